"""Regions of inputs, and their history."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("annotations", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("region", Key, nullable=True))
        table.alter_column("concept", existing_type=Key, nullable=True)
    op.create_index("annotations_by_concept", "annotations", ["concept"], unique=False)
    op.create_table(
        "regions",
        sa.Column("key", Key, autoincrement=True, nullable=False),
        sa.Column("input", Key, nullable=False),
        sa.Column("concept", Key, nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("left", sa.Float(), nullable=False),
        sa.Column("top", sa.Float(), nullable=False),
        sa.Column("right", sa.Float(), nullable=False),
        sa.Column("bottom", sa.Float(), nullable=False),
        sa.Column("ignored", sa.Boolean(), nullable=False),
        sa.Column("removed", sa.Float(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("polygons", sa.Text(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["concept"], ["concepts.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["input"], ["inputs.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("regions_by_input", "regions", ["input", "removed", "key"], unique=False)
    op.create_index("regions_by_concept", "regions", ["concept"], unique=False)
    op.create_table(
        "region_concepts",
        sa.Column("input", Key, nullable=False),
        sa.Column("concept", Key, nullable=False),
        sa.ForeignKeyConstraint(["concept"], ["concepts.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["input"], ["inputs.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("input", "concept"),
    )
    op.create_index("region_concepts_by_concept", "region_concepts", ["concept", "input"], unique=False)
