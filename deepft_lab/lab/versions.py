"""Model versions: their state, events, log and spec; stopping and deleting them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, and_, select

from deepft_lab.errors import Conflict, NotFound
from deepft_lab.events import EventReader
from deepft_lab.lab import ledger
from deepft_lab.lab.access import find, find_app, visible
from deepft_lab.lab.progress import Progress
from deepft_lab.records import FINISHED, Caller, EventPage, EventQuery, LogPage, LogQuery, ModelVersion
from deepft_lab.store import tables as t

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

LOG_BYTES = 256 * 1024  # of one page


def versions(lab: Lab, caller: Caller, *, owner: str, app: str, model: str) -> list[ModelVersion]:
    """Newest first, without those that were deleted."""
    with lab.database.reading() as connection:
        key = find(connection, t.models, find_app(connection, owner, app)["key"], "model", model)["key"]
        chosen = rows().where(t.versions.c.model == key, t.versions.c.state != "deleted")
        found = connection.execute(chosen.order_by(t.versions.c.key.desc())).mappings().all()
    return [lab.jobs.record(row) for row in found]


def running(lab: Lab, caller: Caller) -> list[ModelVersion]:
    """Those that run, then those that wait, in the order of the queue."""
    with lab.database.reading() as connection:
        chosen = rows().where(visible(caller), t.versions.c.state.not_in(FINISHED)).order_by(t.versions.c.key)
        found = connection.execute(chosen).mappings().all()
    records = [lab.jobs.record(row) for row in found]
    unfinished = [record for record in records if record.state not in FINISHED]
    return sorted(unfinished, key=lambda record: record.queue_place or 0)


def version(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str) -> ModelVersion:
    """Also of a deleted one: its state says so."""
    with lab.database.reading() as connection:
        return lab.jobs.record(find_version(connection, owner, app, model, version))


def delete_version(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str) -> ModelVersion:
    """Ends its job where one runs, and removes its files. What it used stays in the ledger."""
    with lab.database.reading() as connection:
        row = find_version(connection, owner, app, model, version)
    lab.jobs.cancel(row["job"])
    lab.hub.changed(owner, app, "versions")
    with lab.database.reading() as connection:
        return lab.jobs.record(find_version(connection, owner, app, model, version))


def stop_version(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str) -> ModelVersion:
    """Asks the worker to end after its step and keep the best checkpoint. Raises Conflict where nothing runs."""
    with lab.database.reading() as connection:
        row = find_version(connection, owner, app, model, version)
    lab.jobs.stop(row)
    with lab.database.reading() as connection:
        return lab.jobs.record(find_version(connection, owner, app, model, version))


def resume_version(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str) -> ModelVersion:
    """Queues a failed version again: it goes on from its last checkpoint. Raises Conflict where there is none."""
    with lab.database.reading() as connection:
        row = find_version(connection, owner, app, model, version)
    lab.jobs.resume(row)
    lab.hub.changed(owner, app, "versions")
    with lab.database.reading() as connection:
        return lab.jobs.record(find_version(connection, owner, app, model, version))


def events(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str, query: EventQuery) -> EventPage:
    """All events after a sequence number. The state is read first: a finished one means that these are all."""
    with lab.database.reading() as connection:
        record = lab.jobs.record(find_version(connection, owner, app, model, version))
    found = EventReader(lab.job_folder(record.job) / "events.jsonl").read()
    return EventPage(events=[event for event in found if event.seq > query.after], state=record.state)


def log(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str, query: LogQuery) -> LogPage:
    """The log from a byte offset, at most 256 KiB, never cut within a character."""
    with lab.database.reading() as connection:
        row = find_version(connection, owner, app, model, version)
    start = max(0, query.after)
    try:
        with (lab.job_folder(row["job"]) / "log.txt").open("rb") as file:
            if start > os.fstat(file.fileno()).st_size:
                return LogPage(text="", next=start)
            file.seek(start)
            content = file.read(LOG_BYTES)
    except FileNotFoundError:
        return LogPage(text="", next=start)
    for cut in range(4):  # a character has at most four bytes
        try:
            whole = content[: len(content) - cut]
            return LogPage(text=whole.decode(), next=start + len(whole))
        except UnicodeDecodeError as error:
            if error.start < len(content) - 4:
                break
    return LogPage(text=content.decode(errors="replace"), next=start + len(content))


def spec(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str) -> dict[str, Any]:
    with lab.database.reading() as connection:
        row = find_version(connection, owner, app, model, version)
    try:
        return msgspec.json.decode((lab.job_folder(row["job"]) / "spec.json").read_bytes())
    except FileNotFoundError:
        raise NotFound(f"The version {version!r} was deleted, and its spec with it.") from None


# -- for the other use-cases --------------------------------------------------------------------


def rows() -> Select:
    """Versions with the names of what they belong to and their row in the ledger (columns `usage_...`)."""
    mine = and_(t.usage.c.job == t.versions.c.job, t.usage.c.attempt == t.versions.c.attempt)
    ledger_columns = [
        t.usage.c[name].label(f"usage_{name}")
        for name in ("started", "ended", "gpus", "cpu_seconds", "price_per_gpu_hour", "price_per_cpu_hour", "currency")
    ]
    return (
        select(
            t.versions,
            t.apps.c.owner,
            t.apps.c.id.label("app_id"),
            t.models.c.id.label("model_id"),
            t.models.c.type,
            *ledger_columns,
        )
        .join(t.models, t.models.c.key == t.versions.c.model)
        .join(t.apps, t.apps.c.key == t.models.c.app)
        .outerjoin(t.usage, mine)
    )


def find_version(connection: Connection, owner: str, app: str, model: str, version: str) -> RowMapping:
    """Raises NotFound."""
    key = find(connection, t.models, find_app(connection, owner, app)["key"], "model", model)["key"]
    wanted = rows().where(t.versions.c.model == key, t.versions.c.id == version)
    found = connection.execute(wanted).mappings().first()
    if found is None:
        raise NotFound(f"There is no version {version!r} of the model {model!r}.")
    return found


def refuse_unless_running(row: RowMapping, state: str) -> None:
    name = row["id"]
    if state == "queued":
        raise Conflict(f"{name} waits and has trained nothing yet, so there is nothing to keep. Delete it instead.")
    if state in FINISHED:
        raise Conflict(f"{name} has ended already; its state is {state}.")


def build(
    row: RowMapping, view: Progress, *, state: str, queue_place: int | None, stopping: bool, resumable: bool = False
) -> ModelVersion:
    """The wire record of a row and the view of its job's events."""
    gpus = row["usage_gpus"] or 0
    seconds = 0.0
    if row["usage_started"] is not None:
        seconds = max(0.0, (row["usage_ended"] or time.time()) - row["usage_started"])
    cpu_seconds = row["usage_cpu_seconds"] if row["usage_ended"] else view.cpu_seconds
    prices = ledger.Prices(per_gpu_hour=row["usage_price_per_gpu_hour"], per_cpu_hour=row["usage_price_per_cpu_hour"])
    warnings = [*row["warnings"], *(warning for warning in view.warnings if warning not in row["warnings"])]
    copied = ("template", "template_hash", "values", "concepts", "dataset", "train_version", "validation_version")
    return ModelVersion(
        owner=row["owner"],
        app=row["app_id"],
        model=row["model_id"],
        id=row["id"],
        job=row["job"],
        type=row["type"],
        **{name: row[name] for name in copied},
        description=row["description"],
        author=row["author"],
        created=row["created"],
        state=state,  # type: ignore[arg-type]
        attempt=row["attempt"],
        started=row["started"],
        ended=row["ended"],
        reason=row["reason"],
        queue_place=queue_place,
        progress=1.0 if state == "trained" else view.fraction,
        epoch=view.epoch,
        epochs=view.epochs or int(row["values"].get("num_epochs") or 0),
        step=view.step,
        steps=view.steps,
        images_per_second=view.images_per_second,
        seconds_left=None if state in FINISHED else view.seconds_left,
        seconds_used=seconds,
        gpus=gpus,
        cost=ledger.cost(prices, seconds * gpus / ledger.HOUR, (cpu_seconds or 0.0) / ledger.HOUR),
        currency=row["usage_currency"] or "",
        stopping=stopping and state not in FINISHED,
        metrics=view.metrics,
        metrics_by_concept=view.metrics_by_concept,
        best_epoch=view.best_epoch,
        best_metric=view.best_metric,
        warnings=warnings,
        last_seq=view.last_seq,
        preparing="" if state in FINISHED else view.preparing,
        resumable=resumable,
    )
