"""The database: SQLite beside the blobs. Many read at once, one writes at a time.

    with database.reading() as connection: ...
    with database.writing() as connection: ...     # whole or not at all

The journal is a write-ahead log on a local disk and DELETE on a network file system.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, create_engine, event, exc, func, select, true

from deepft_lab.errors import StoreFull, Unavailable
from deepft_lab.store import migrations
from deepft_lab.store.filesystem import is_network

BUSY_SECONDS = 30.0
CHUNK = 500  # parameters of one IN (...): SQLite's oldest limit is 999


class Database:
    """One owner a file: the write lock is this object's, so a store has one Database at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = "DELETE" if is_network(path.parent) else "WAL"
        self._writing = threading.Lock()
        path.touch(mode=0o600)  # nobody else's to read; SQLite gives its side files the same mode
        self.engine = create_engine(
            f"sqlite:///{path}",
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
        event.listen(self.engine, "connect", self._prepare)
        event.listen(self.engine, "begin", _begin)
        with self._translated():
            migrations.upgrade(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. It never waits for a writer (but on a network disk)."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one writer's transaction. An exception undoes it all."""
        with self._writing, self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(deepft_writing=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        self.engine.dispose()

    def _prepare(self, connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin in _begin, not at the driver's will
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_mode = {self.journal}")
        connection.execute("PRAGMA synchronous = " + ("NORMAL" if self.journal == "WAL" else "FULL"))
        connection.execute("PRAGMA cache_size = -4096")  # KiB a connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.OperationalError as error:
            words = str(error.orig)
            if "full" in words:
                raise StoreFull(
                    f"The disk of the store is full ({self.path.parent}). Make room, then try again."
                ) from error
            if "locked" in words or "disk I/O" in words or "unable to open" in words:
                raise Unavailable(f"The database {self.path} does not answer now ({words}). Try again.") from error
            raise


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("deepft_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists short enough for one IN (...)."""
    found = list(values)
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    """Inserts rows; where the `keys` are there already, the other columns are overwritten."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgres_insert

        statement: Any = postgres_insert(table)
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        statement = sqlite_insert(table)
    others = [name for name in rows[0] if name not in keys]
    if others:
        changes = {name: statement.excluded[name] for name in others}
        statement = statement.on_conflict_do_update(index_elements=list(keys), set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    connection.execute(statement, list(rows))


def metadata_has(connection: Connection, column: ColumnElement[Any], wanted: dict[str, Any]) -> ColumnElement[bool]:
    """A condition: the JSON object in `column` has all of these keys with these values."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy import cast
        from sqlalchemy.dialects.postgresql import JSONB

        return cast(column, JSONB).contains(wanted)
    return and_(true(), *(_has(column, key, value) for key, value in wanted.items()))


def _number(value: int | float) -> int | float:
    """The number as SQLite holds it: an integer of more than 64 bits is a real."""
    if -(2**63) <= value < 2**63:
        return value
    return float(value) if abs(value) <= sys.float_info.max else math.inf if value > 0 else -math.inf


def _has(column: ColumnElement[Any], key: str, value: Any) -> ColumnElement[bool]:
    each = func.json_each(column).table_valued("key", "value", "type")
    found = select(each.c.key).where(each.c.key == key)
    if value is None:
        found = found.where(each.c.type == "null")
    elif isinstance(value, bool):
        found = found.where(each.c.type == ("true" if value else "false"))
    elif isinstance(value, (int, float)):
        found = found.where(each.c.type.in_(["integer", "real"]), each.c.value == _number(value))
    elif isinstance(value, str):
        found = found.where(each.c.type == "text", each.c.value == value)
    else:
        found = found.where(each.c.value == func.json(msgspec.json.encode(value).decode()))
    return found.exists()
