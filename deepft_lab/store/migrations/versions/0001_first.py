"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("owner", "id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "usage",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("app", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("price_per_gpu_hour", sa.Float(), nullable=True),
        sa.Column("price_per_cpu_hour", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("job", "attempt"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_usage_user"), "usage", ["user"], unique=False)
    op.create_table(
        "app_members",
        sa.Column("app", Key, nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app", "user"),
    )
    op.create_table(
        "concepts",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("app", Key, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dataset_versions",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("app", Key, nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("inputs", sa.Integer(), nullable=False),
        sa.Column("concepts", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "dataset", "id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "datasets",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("app", Key, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "inputs",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("app", Key, nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("plain", sa.Boolean(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("deleted", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("inputs_by_app", "inputs", ["app", "deleted", "key"], unique=False)
    op.create_index(op.f("ix_inputs_sha256"), "inputs", ["sha256"], unique=False)
    op.create_table(
        "models",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("app", Key, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("concepts", sa.JSON(), nullable=True),
        sa.Column("template", sa.String(length=255), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("app", "id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("app", Key, nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "annotations",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("input", Key, nullable=False),
        sa.Column("concept", Key, nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["concept"], ["concepts.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["input"], ["inputs.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("annotations_by_input", "annotations", ["input", "key"], unique=False)
    op.create_table(
        "dataset_inputs",
        sa.Column("dataset", Key, nullable=False),
        sa.Column("input", Key, nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["input"], ["inputs.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("dataset", "input"),
    )
    op.create_index("datasets_by_input", "dataset_inputs", ["input"], unique=False)
    op.create_table(
        "labels",
        sa.Column("input", Key, nullable=False),
        sa.Column("concept", Key, nullable=False),
        sa.Column("positive", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["concept"], ["concepts.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["input"], ["inputs.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("input", "concept"),
    )
    op.create_index("labels_by_concept", "labels", ["concept", "positive", "input"], unique=False)
    op.create_table(
        "versions",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("model", Key, nullable=False),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("template", sa.String(length=255), nullable=False),
        sa.Column("template_hash", sa.String(length=64), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("concepts", sa.JSON(), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=True),
        sa.Column("train_version", sa.String(length=64), nullable=False),
        sa.Column("validation_version", sa.String(length=64), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("num_gpus", sa.Integer(), nullable=False),
        sa.Column("allocation", sa.JSON(), nullable=True),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("started", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["model"], ["models.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("job"),
        sa.UniqueConstraint("model", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_versions_state"), "versions", ["state"], unique=False)
