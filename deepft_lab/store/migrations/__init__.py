"""The schema's history. Alembic is imported only where a store is behind.

upgrade(engine)     a new store gets today's tables at once; an older one walks through `versions/`
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from deepft_lab.errors import Unavailable
from deepft_lab.store.tables import metadata

HEAD = "0002"  # the newest file in versions/; a test holds it


def upgrade(engine: Engine) -> None:
    """Brings the tables to HEAD. Raises Unavailable for a store that a later version of DeepFT Lab has written."""
    found = revision(engine)
    if found == HEAD:
        return
    if found is None:
        with engine.begin() as connection:
            metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
        return
    if found > HEAD:
        raise Unavailable(
            f"The store was written by a later version of DeepFT Lab (schema {found}, this one knows {HEAD}). "
            "Update DeepFT Lab."
        )
    walk(engine)


def revision(engine: Engine) -> str | None:
    """The store's revision, or None for an empty database."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def walk(engine: Engine, target: str = "head") -> None:
    """Runs the migrations one after another, in one transaction."""
    from alembic import command
    from alembic.config import Config

    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(__file__).parent))
        command.upgrade(config, target)
