"""Apps: create, list, delete."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, delete, exists, func, insert, select

from deepft_lab.errors import Conflict
from deepft_lab.lab.access import find_app, role_of, visible
from deepft_lab.lab.names import check_id
from deepft_lab.records import App, Caller, Count, CreateApp
from deepft_lab.store import tables as t
from deepft_lab.training import pack_file

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab


def apps(lab: Lab, caller: Caller) -> list[App]:
    with lab.database.reading() as connection:
        rows = connection.execute(select(t.apps).where(visible(caller)).order_by(t.apps.c.owner, t.apps.c.id))
        return [_record(connection, caller, row) for row in rows.mappings().all()]


def app(lab: Lab, caller: Caller, *, owner: str, app: str) -> App:
    with lab.database.reading() as connection:
        return _record(connection, caller, find_app(connection, owner, app))


def create_app(lab: Lab, caller: Caller, *, body: CreateApp) -> App:
    """Raises InvalidRequest for the id, Conflict where it is taken."""
    check_id("an app", body.id)
    with lab.database.writing() as connection:
        taken = select(t.apps.c.key).where(t.apps.c.owner == caller.user, t.apps.c.id == body.id)
        if connection.execute(taken).first():
            raise Conflict(
                f"You have an app {body.id!r} already. Choose another id, or go on with that app: lab.app({body.id!r})."
            )
        row = {"owner": caller.user, "id": body.id, "description": body.description, "created": time.time()}
        connection.execute(insert(t.apps).values(row))
        record = _record(connection, caller, find_app(connection, caller.user, body.id))
    lab.hub.changed(caller.user, body.id, "apps")
    return record


def delete_app(lab: Lab, caller: Caller, *, owner: str, app: str) -> Count:
    """Cancels its jobs and quotes, then removes all. Files that no other app holds go too; the ledger stays."""
    with lab.database.reading() as connection:
        key = find_app(connection, owner, app)["key"]
        jobs = _jobs(connection, key)
    for job in jobs:
        lab.jobs.cancel(job)
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        left = [job for job in _jobs(connection, key) if job not in jobs]
        hashes = connection.execute(select(t.inputs.c.sha256).where(t.inputs.c.app == key)).scalars().all()
        frozen = connection.execute(select(t.dataset_versions.c.id).where(t.dataset_versions.c.app == key)).scalars()
        manifests = set(frozen)
        live = select(func.count()).where(t.inputs.c.app == key, t.inputs.c.deleted.is_(None))
        count = connection.execute(live).scalar_one()
        connection.execute(delete(t.apps).where(t.apps.c.key == key))
        for sha256 in hashes:
            lab.forget_blob(connection, sha256)
        for sha256 in manifests:
            if not connection.execute(select(exists().where(t.dataset_versions.c.id == sha256))).scalar():
                lab.blobs.remove(sha256)
    lab.quotes.forget(owner, app)  # before the cache: one that is measured writes pictures there
    pack_file.forget(lab.cache_path, [sha256 for sha256 in hashes if not lab.blobs.has(sha256)])
    for job in left:  # trained in the moment between
        lab.jobs.cancel(job)
    for job in jobs:
        lab.remove_job_folder(job)
    lab.hub.changed(owner, app, "apps")
    return Count(count=count)


def _jobs(connection: Connection, app: int) -> list[str]:
    rows = select(t.versions.c.job).join(t.models, t.models.c.key == t.versions.c.model).where(t.models.c.app == app)
    return list(connection.execute(rows).scalars())


def _record(connection: Connection, caller: Caller, row: RowMapping) -> App:
    def count(table, *conditions) -> int:
        return connection.execute(
            select(func.count()).select_from(table).where(table.c.app == row["key"], *conditions)
        ).scalar_one()

    return App(
        owner=row["owner"],
        id=row["id"],
        description=row["description"],
        created=row["created"],
        role=role_of(connection, caller, row["owner"], row["key"]) or "viewer",
        inputs=count(t.inputs, t.inputs.c.deleted.is_(None)),
        concepts=count(t.concepts),
        datasets=count(t.datasets),
        models=count(t.models),
    )
