"""The tables, in words of the whole project. Plain types, so that they stand in SQLite and in PostgreSQL.

Every list is paged along an integer key that only grows. `labels` is what `annotations` (append-only) add up to; a
region is written once and only marked as removed, so `regions` is its own history.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

Key = BigInteger().with_variant(Integer(), "sqlite")


def _key() -> Column:
    return Column("key", Key, primary_key=True, autoincrement=True)


def _of(table: str, *, primary_key: bool = False, nullable: bool = False) -> Column:
    """A reference that goes with the thing it points to."""
    points = ForeignKey(f"{table}.key", ondelete="CASCADE")
    return Column(table.removesuffix("s"), Key, points, nullable=nullable, primary_key=primary_key)


apps = Table(
    "apps",
    metadata,
    _key(),
    Column("owner", String(255), nullable=False),
    Column("id", String(64), nullable=False),
    Column("description", Text, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("owner", "id"),
    sqlite_autoincrement=True,
)

app_members = Table(
    "app_members",
    metadata,
    _of("apps", primary_key=True),
    Column("user", String(255), primary_key=True),
    Column("role", String(16), nullable=False),
)

inputs = Table(
    "inputs",
    metadata,
    _key(),
    _of("apps"),
    Column("id", String(24), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String(8), nullable=False),
    Column("plain", Boolean, nullable=False),  # a browser shows the file itself as it should be
    Column("bytes", BigInteger, nullable=False),
    Column("created", Float, nullable=False),
    Column("author", String(255), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("deleted", Float),  # when; None: it lives
    UniqueConstraint("app", "id"),
    Index("inputs_by_app", "app", "deleted", "key"),
    sqlite_autoincrement=True,
)

datasets = Table(
    "datasets",
    metadata,
    _key(),
    _of("apps"),
    Column("id", String(64), nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("app", "id"),
    sqlite_autoincrement=True,
)

dataset_inputs = Table(
    "dataset_inputs",
    metadata,
    _of("datasets", primary_key=True),
    _of("inputs", primary_key=True),
    Index("datasets_by_input", "input"),
)

concepts = Table(
    "concepts",
    metadata,
    _key(),
    _of("apps"),
    Column("name", String(128), nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("app", "name"),
    sqlite_autoincrement=True,
)

annotations = Table(
    "annotations",
    metadata,
    _key(),
    _of("inputs"),
    _of("concepts", nullable=True),  # None: of an ignored region that means every concept
    Column("action", String(8), nullable=False),  # positive, negative, remove
    Column("author", String(255), nullable=False),
    Column("created", Float, nullable=False),
    Column("region", Key),  # its key; no reference, since both go with their input
    Index("annotations_by_input", "input", "key"),
    Index("annotations_by_concept", "concept"),  # or each concept of an app that is deleted would look through them all
    sqlite_autoincrement=True,
)

labels = Table(
    "labels",
    metadata,
    _of("inputs", primary_key=True),
    _of("concepts", primary_key=True),
    Column("positive", Boolean, nullable=False),
    Index("labels_by_concept", "concept", "positive", "input"),
)

# The run lengths stand last and large ones are not read for a page: what comes before is read without them.
regions = Table(
    "regions",
    metadata,
    _key(),
    _of("inputs"),
    _of("concepts", nullable=True),
    Column("kind", String(8), nullable=False),  # box, polygon, mask, point
    Column("left", Float, nullable=False),
    Column("top", Float, nullable=False),
    Column("right", Float, nullable=False),
    Column("bottom", Float, nullable=False),
    Column("ignored", Boolean, nullable=False),
    Column("removed", Float),  # when; None: it stands
    Column("height", Integer),  # of a mask
    Column("width", Integer),
    Column("length", Integer, nullable=False),  # characters of the run lengths
    Column("polygons", Text),  # JSON
    Column("counts", Text),
    Index("regions_by_input", "input", "removed", "key"),
    Index("regions_by_concept", "concept"),
    sqlite_autoincrement=True,
)

# Which concepts the regions of an input bear (ignored ones do not count): what filters and counts are made from.
region_concepts = Table(
    "region_concepts",
    metadata,
    _of("inputs", primary_key=True),
    _of("concepts", primary_key=True),
    Index("region_concepts_by_concept", "concept", "input"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    _of("apps"),
    Column("settings", JSON, nullable=False),
    Column("author", String(255), nullable=False),
    Column("created", Float, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    _key(),
    _of("apps"),
    Column("dataset", String(64), nullable=False),  # empty: chosen by concepts, not by a dataset
    Column("id", String(64), nullable=False),
    Column("inputs", Integer, nullable=False),
    Column("concepts", JSON, nullable=False),
    Column("author", String(255), nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("app", "dataset", "id"),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    _key(),
    _of("apps"),
    Column("id", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("description", Text, nullable=False),
    Column("concepts", JSON),
    Column("template", String(255), nullable=False),
    Column("values", JSON, nullable=False),  # those that were given; the template's defaults complete them
    Column("author", String(255), nullable=False),
    Column("created", Float, nullable=False),
    Column("last_version", Integer, nullable=False),  # numbers are never given twice
    UniqueConstraint("app", "id"),
    sqlite_autoincrement=True,
)

versions = Table(
    "versions",
    metadata,
    _key(),
    _of("models"),
    Column("id", String(16), nullable=False),
    Column("job", String(32), nullable=False, unique=True),
    Column("template", String(255), nullable=False),
    Column("template_hash", String(64), nullable=False),
    Column("values", JSON, nullable=False),
    Column("concepts", JSON, nullable=False),
    Column("dataset", String(64)),
    Column("train_version", String(64), nullable=False),
    Column("validation_version", String(64)),
    Column("description", Text, nullable=False),
    Column("author", String(255), nullable=False),
    Column("created", Float, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("num_gpus", Integer, nullable=False),  # as asked for
    Column("allocation", JSON),  # as given
    Column("handle", Text),  # how the engine finds the job again
    Column("started", Float),
    Column("ended", Float),
    Column("reason", Text, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("outcome", JSON),  # the last view of the job's events, kept when it ends
    UniqueConstraint("model", "id"),
    sqlite_autoincrement=True,
)

# The ledger repeats names instead of pointing, since it outlives everything it tells of.
usage = Table(
    "usage",
    metadata,
    _key(),
    Column("user", String(255), nullable=False, index=True),
    Column("owner", String(255), nullable=False),
    Column("app", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("version", String(16), nullable=False),
    Column("job", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("gpus", Integer, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("price_per_gpu_hour", Float),
    Column("price_per_cpu_hour", Float),
    Column("currency", String(8), nullable=False),
    UniqueConstraint("job", "attempt"),
    sqlite_autoincrement=True,
)
