"""The database, its migrations, and the files named by their content."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import UniqueConstraint, create_engine, func, insert, select, text

from deepft_lab.errors import StoreFull, Unavailable
from deepft_lab.store import filesystem, migrations
from deepft_lab.store import tables as t
from deepft_lab.store.blobs import Blobs, hash_file
from deepft_lab.store.database import Database, metadata_has, upsert

SMALL = {"uploads"}  # tables that may be looked through
APP = {"owner": "ann", "id": "a", "description": "", "created": 1.0}


def test_migrations_lead_to_the_tables_of_today(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
    migrations.walk(engine)
    assert migrations.revision(engine) == migrations.HEAD
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_current_head() == migrations.HEAD


def test_an_up_to_date_store_opens_without_alembic(tmp_path: Path) -> None:
    Database(tmp_path / "x.sqlite").close()
    code = f"""
        import sys
        from pathlib import Path
        from deepft_lab.store.database import Database
        Database(Path({str(tmp_path / "x.sqlite")!r})).close()
        Database(Path({str(tmp_path / "new.sqlite")!r})).close()
        assert not [m for m in sys.modules if m.startswith(("alembic", "torch", "PIL", "numpy", "fsspec"))]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(Unavailable, match="later version"):
        Database(tmp_path / "x.sqlite")


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(insert(t.apps).values(APP))
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(t.apps)).scalar() == 0
    database.close()


def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")
    inside, done = threading.Event(), threading.Event()

    def write() -> None:
        with database.writing() as connection:
            connection.execute(insert(t.apps).values(APP))
            inside.set()
            assert done.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    assert inside.wait(20)
    with database.reading() as connection:  # would end in a time-out of the test if it waited
        assert connection.execute(select(func.count()).select_from(t.apps)).scalar() == 0
    done.set()
    writer.join()
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(t.apps)).scalar() == 1
    database.close()


def test_many_writers_take_turns(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")

    def write(number: int) -> None:
        for i in range(10):
            with database.writing() as connection:
                connection.execute(insert(t.apps).values({**APP, "id": f"a{number}-{i}"}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(t.apps)).scalar() == 80
    database.close()


def test_a_network_disk_gets_no_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\ntmpfs /home/ann/fast\\040disk tmpfs rw 0 0\n"
    )
    assert filesystem.is_network("/home/ann/store", mounts)
    assert not filesystem.is_network("/home/ann/fast disk/store", mounts)
    assert not filesystem.is_network("/homework", mounts)
    assert filesystem.is_network("/anywhere", tmp_path / "missing")
    monkeypatch.setattr("deepft_lab.store.database.is_network", lambda folder: True)
    database = Database(tmp_path / "x.sqlite")
    with database.writing() as connection:
        connection.execute(insert(t.apps).values(APP))
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "delete"
    assert not list(tmp_path.glob("*-wal"))
    database.close()


def test_an_upsert_overwrites_and_a_bare_key_stays(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")
    with database.writing() as connection:
        upsert(connection, t.apps, [APP], ("owner", "id"))
        upsert(connection, t.apps, [{**APP, "description": "new"}], ("owner", "id"))
        upsert(connection, t.apps, [], ("owner", "id"))
        assert connection.execute(select(t.apps.c.description)).scalars().all() == ["new"]
    database.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, [1]),
        ({"a": True}, [2]),
        ({"a": "1"}, [3]),
        ({"a": None}, [4]),
        ({"a": [1, 2]}, [5]),
        ({'k"ey.$[0]': "x'; DROP TABLE inputs"}, [6]),
        ({"a": 1, "b": 2.5}, [1]),
        ({"b": 2.5}, [1, 3]),
        ({"missing": 1}, []),
        ({}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_metadata_is_matched_by_value_and_type(tmp_path: Path, wanted, found) -> None:
    stored = [
        {"a": 1, "b": 2.5},
        {"a": True},
        {"a": "1", "b": 2.5},
        {"a": None},
        {"a": [1, 2]},
        {'k"ey.$[0]': "x'; DROP TABLE inputs"},
    ]
    rest = {
        "app": 1,
        "width": 1,
        "height": 1,
        "format": "PNG",
        "plain": True,
        "bytes": 1,
        "created": 1.0,
        "author": "",
        "name": "",
    }
    database = Database(tmp_path / "x.sqlite")
    with database.writing() as connection:
        connection.execute(insert(t.apps).values(APP))
        for number, metadata in enumerate(stored):
            row = {**rest, "id": str(number), "sha256": str(number), "metadata": metadata}
            connection.execute(insert(t.inputs).values(row))
    with database.reading() as connection:
        matching = select(t.inputs.c.key).where(metadata_has(connection, t.inputs.c.metadata, wanted))
        assert connection.execute(matching.order_by(t.inputs.c.key)).scalars().all() == found
    database.close()


def test_a_blob_is_stored_once_and_its_source_goes(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    for new in (True, False):
        source = tmp_path / "incoming"
        source.write_bytes(b"content")
        sha256, size = hash_file(source)
        assert size == 7
        assert blobs.adopt(source, sha256) is new
        assert not source.exists()
    assert blobs.read(sha256) == b"content"
    assert blobs.write(b"content") == sha256
    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == [blobs.path(sha256)]
    blobs.remove(sha256)
    assert not blobs.has(sha256)


def test_blobs_by_url_behave_as_in_a_folder(tmp_path: Path) -> None:
    blobs = Blobs("memory://blobs")
    source = tmp_path / "incoming"
    source.write_bytes(b"content")
    sha256, _ = hash_file(source)
    assert blobs.adopt(source, sha256)
    assert blobs.has(sha256) and blobs.read(sha256) == b"content" and not source.exists()
    blobs.remove(sha256)
    assert not blobs.has(sha256)


FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    from deepft_lab.errors import StoreFull
    from deepft_lab.store.blobs import Blobs
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    blobs = Blobs(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        blobs.write(bytes(50_000))
    except StoreFull as error:
        print(error.message)
"""


def test_a_blob_that_does_not_fit_leaves_nothing_half_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path / "blobs")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "full" in said and "Make room" in said
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


FULL_MOUNT = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from desk import Desk, picture
    from deepft_lab.errors import StoreFull
    from deepft_lab.lab import Lab
    import numpy
    from PIL import Image
    import io

    class Nothing:
        def close(self): pass

    lab = Lab(Path({mount!r}) / "store", engine=Nothing(), catalog=Nothing(), predictors=Nothing())
    desk = Desk(lab).create()
    upload = desk.begin(dataset="train", concepts=["noise"])
    random = numpy.random.default_rng(0)
    added = 0
    try:
        for _ in range(200):
            noise = random.integers(0, 256, (200, 200, 3), dtype="uint8")
            buffer = io.BytesIO()
            Image.fromarray(noise).save(buffer, "PNG")
            try:
                desk.put(upload, "n.png", buffer.getvalue())
            except OSError:  # the test's own writing of the incoming file
                raise StoreFull("incoming")
            added += 1
    except StoreFull as error:
        full = error.message
    for path in lab.incoming.iterdir():
        path.unlink()
    # What is there is whole: each input has its blob, and each blob its input.
    from deepft_lab.records import InputQuery
    from deepft_lab.store.blobs import hash_file
    page = desk.inputs(query=InputQuery(limit=1000)).inputs
    blobs = [path for path in lab.blobs.folder.rglob("*") if path.is_file()]
    assert len(page) == added == len(blobs), (len(page), added, len(blobs))
    assert all(hash_file(path)[0] == path.name for path in blobs)
    assert desk.concepts()[0].positives == added
    lab.close()
    print("added", added, full)
"""


def test_a_full_disk_while_uploading_is_told_and_what_is_stored_is_whole(tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    code = textwrap.dedent(FULL_MOUNT).format(tests=str(Path(__file__).parent), mount=str(mount))
    (tmp_path / "fill.py").write_text(code)
    inner = f"mount -t tmpfs -o size=4m tmpfs {mount} && {sys.executable} {tmp_path / 'fill.py'}"
    done = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", inner], capture_output=True, text=True)
    if done.returncode and any(word in done.stderr for word in ("unshare", "mount:")):
        pytest.skip(f"no disk of its own can be mounted here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("added ") and int(done.stdout.split()[1]) > 3


def test_a_database_that_cannot_grow_says_that_the_disk_is_full(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite")
    with database.writing() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
    begun = time.monotonic()
    with pytest.raises(StoreFull, match="Make room"):
        while time.monotonic() - begun < 30:
            with database.writing() as connection:
                connection.execute(text("PRAGMA max_page_count = 1"))
                connection.execute(
                    insert(t.apps).values({**APP, "id": str(time.monotonic_ns()), "description": "x" * 4000})
                )
    database.close()


def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with closing(Database(path)):
        assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("x.sqlite*")} == {0o600}


def test_what_goes_with_a_deleted_thing_is_found_by_an_index() -> None:
    """Else deleting one concept looks through every annotation of every app."""
    for table in t.metadata.sorted_tables:
        found = {next(iter(index.columns)).name for index in table.indexes}
        found |= {next(iter(table.primary_key.columns)).name}
        found |= {next(iter(c.columns)).name for c in table.constraints if isinstance(c, UniqueConstraint)}
        for key in table.foreign_keys:
            assert key.parent.name in found or table.name in SMALL, f"{table.name}.{key.parent.name} has no index"
