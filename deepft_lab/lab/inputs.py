"""Inputs: pages with filters, edits of many at once, taking away and bringing back."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, delete, exists, func, or_, select, update

from deepft_lab.errors import InvalidRequest, NotFound
from deepft_lab.lab import region_rows
from deepft_lab.lab.access import find_app
from deepft_lab.lab.datasets import make_dataset, validation_datasets
from deepft_lab.lab.names import check_id
from deepft_lab.records import (
    Annotation,
    Caller,
    Count,
    Edited,
    EditInputs,
    Input,
    InputDetail,
    InputIds,
    InputPage,
    InputQuery,
    Label,
)
from deepft_lab.store import tables as t
from deepft_lab.store.database import chunks, metadata_has, upsert

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

MAX_PAGE = 1000
KEY_DIGITS = 18  # what a database can hold in a key


def inputs(lab: Lab, caller: Caller, *, owner: str, app: str, query: InputQuery) -> InputPage:
    """Newest first. `next` is the key of the page's last input, so pages stay right while inputs are added."""
    limit = max(1, min(query.limit, MAX_PAGE))
    with lab.database.reading() as connection:
        matching = _matching(connection, find_app(connection, owner, app)["key"], query)
        if query.after is not None:
            if not query.after.isdecimal() or len(query.after) > KEY_DIGITS:
                raise InvalidRequest(f"after={query.after!r} is no page; give the `next` of the page before.")
            matching.append(t.inputs.c.key < int(query.after))
        statement = select(t.inputs).where(*matching).order_by(t.inputs.c.key.desc()).limit(limit + 1)
        rows = connection.execute(statement).mappings().all()
        page = rows[:limit]
        more = len(rows) > limit
        return InputPage(inputs=records(connection, page), next=str(page[-1]["key"]) if more else None)


def count_inputs(lab: Lab, caller: Caller, *, owner: str, app: str, query: InputQuery) -> Count:
    with lab.database.reading() as connection:
        matching = _matching(connection, find_app(connection, owner, app)["key"], query)
        counted = select(func.count()).select_from(t.inputs).where(*matching)
        return Count(count=connection.execute(counted).scalar_one())


def input_(lab: Lab, caller: Caller, *, owner: str, app: str, input: str) -> InputDetail:
    with lab.database.reading() as connection:
        row = find_input(connection, find_app(connection, owner, app)["key"], input)
        history = (
            select(t.annotations, t.concepts.c.name)
            .outerjoin(t.concepts, t.concepts.c.key == t.annotations.c.concept)
            .where(t.annotations.c.input == row["key"])
            .order_by(t.annotations.c.key)
        )
        # A region is never changed, only removed: the history tells of each with the shape that it has always had.
        regions = connection.execute(region_rows.columns(whole=False).where(t.regions.c.input == row["key"]))
        known = {region.id: region for region in map(region_rows.record, regions)}
        entries = [
            Annotation(
                id=entry["key"],
                input=input,
                concept=entry["name"] or "",
                action=entry["action"],
                author=entry["author"],
                created=entry["created"],
                region=known.get(entry["region"]),
            )
            for entry in connection.execute(history).mappings()
        ]
        return InputDetail(input=records(connection, [row], whole=True)[0], history=entries)


def edit_inputs(lab: Lab, caller: Caller, *, owner: str, app: str, body: EditInputs) -> Edited:
    """Unknown datasets are created. Inputs that are not there are told of, and the others edited."""
    for dataset in body.add_datasets:
        check_id("a dataset", dataset)
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        rows, warnings = find_inputs(connection, key, body.inputs)
        keys = [row["key"] for row in rows]
        for dataset in body.add_datasets:
            put_in_dataset(connection, key, dataset, keys)
        gone = select(t.datasets.c.key).where(t.datasets.c.app == key, t.datasets.c.id.in_(body.remove_datasets))
        for part in chunks(keys) if body.remove_datasets else ():
            leaving = t.dataset_inputs.c.dataset.in_(gone) & t.dataset_inputs.c.input.in_(part)
            connection.execute(delete(t.dataset_inputs).where(leaving))
        if body.metadata:
            for row in rows:
                merge_metadata(connection, row, body.metadata)
        if body.add_datasets:
            warnings += split_warnings(connection, key, keys)
    lab.hub.changed(owner, app, "inputs")
    if body.add_datasets or body.remove_datasets:
        lab.hub.changed(owner, app, "datasets")
    return Edited(count=len(keys), warnings=warnings)


def delete_inputs(lab: Lab, caller: Caller, *, owner: str, app: str, body: InputIds) -> Edited:
    return _set_deleted(lab, owner, app, body.inputs, time.time())


def restore_inputs(lab: Lab, caller: Caller, *, owner: str, app: str, body: InputIds) -> Edited:
    return _set_deleted(lab, owner, app, body.inputs, None)


# -- for the other use-cases --------------------------------------------------------------------


def find_input(connection: Connection, app: int, input: str) -> RowMapping:
    """Raises NotFound, also for an input that was deleted."""
    living = select(t.inputs).where(t.inputs.c.app == app, t.inputs.c.id == input, t.inputs.c.deleted.is_(None))
    row = connection.execute(living).mappings().first()
    if row is None:
        raise NotFound(f"There is no input {input!r} in this app.")
    return row


def find_inputs(
    connection: Connection, app: int, ids: list[str], deleted: bool = False
) -> tuple[list[RowMapping], list[str]]:
    """Rows of those that are there, and a warning for the others."""
    wanted = list(dict.fromkeys(ids))
    rows: list[RowMapping] = []
    for part in chunks(wanted):
        # `deleted` is looked at here: in the query it leads SQLite to an index that goes through the whole app.
        statement = select(t.inputs).where(t.inputs.c.app == app, t.inputs.c.id.in_(part))
        found = connection.execute(statement).mappings()
        rows += [row for row in found if (row["deleted"] is not None) == deleted]
    missing = len(wanted) - len(rows)
    if not missing:
        return rows, []
    example = next(id for id in wanted if id not in {row["id"] for row in rows})
    where = "among the deleted inputs" if deleted else "in this app"
    return rows, [f"{missing} of {len(wanted)} inputs are not {where}, such as {example[:40]!r}."]


def put_in_dataset(connection: Connection, app: int, dataset: str, inputs: Iterable[int]) -> None:
    key = make_dataset(connection, app, dataset)
    upsert(connection, t.dataset_inputs, [{"dataset": key, "input": i} for i in inputs], ("dataset", "input"))


def merge_metadata(connection: Connection, row: RowMapping, changes: dict[str, Any]) -> None:
    """Puts keys over the input's; a key with None is taken away."""
    merged = {name: value for name, value in {**row["metadata"], **changes}.items() if value is not None}
    if merged != row["metadata"]:
        connection.execute(update(t.inputs).where(t.inputs.c.key == row["key"]).values(metadata=merged))


def split_warnings(connection: Connection, app: int, inputs: list[int]) -> list[str]:
    """Warns of inputs that are both in a dataset for validation and in another one."""
    held_out = validation_datasets(connection, app)
    if not held_out:
        return []
    found: dict[int, set[str]] = defaultdict(set)
    for part in chunks(inputs):
        statement = (
            select(t.dataset_inputs.c.input, t.datasets.c.id)
            .join(t.datasets, t.datasets.c.key == t.dataset_inputs.c.dataset)
            .where(t.dataset_inputs.c.input.in_(part))
        )
        for row in connection.execute(statement):
            found[row.input].add(row.id)
    pairs: dict[tuple[str, str], int] = defaultdict(int)
    for names in found.values():
        for training in names - held_out:
            for validation in names & held_out:
                pairs[training, validation] += 1
    return [
        f"{'1 input is' if count == 1 else f'{count} inputs are'} now in both {training!r} and {validation!r}: a model "
        f"that has trained on them is measured too well. Take them out of one of the two."
        for (training, validation), count in sorted(pairs.items())
    ]


def records(connection: Connection, rows: Iterable[RowMapping], *, whole: bool = False) -> list[Input]:
    """Wire records, with the datasets, labels and regions of each; large masks only if `whole`."""
    rows = list(rows)
    regions = region_rows.read(connection, [row["key"] for row in rows], whole=whole)
    datasets: dict[int, list[str]] = defaultdict(list)
    labels: dict[int, list[Label]] = defaultdict(list)
    for part in chunks(row["key"] for row in rows):
        in_datasets = (
            select(t.dataset_inputs.c.input, t.datasets.c.id)
            .join(t.datasets, t.datasets.c.key == t.dataset_inputs.c.dataset)
            .where(t.dataset_inputs.c.input.in_(part))
            .order_by(t.datasets.c.id)
        )
        for input, dataset in connection.execute(in_datasets):
            datasets[input].append(dataset)
        labelled = (
            select(t.labels.c.input, t.labels.c.positive, t.concepts.c.name)
            .join(t.concepts, t.concepts.c.key == t.labels.c.concept)
            .where(t.labels.c.input.in_(part))
            .order_by(t.concepts.c.name)
        )
        for input, positive, name in connection.execute(labelled):
            labels[input].append(Label(name, positive))
    return [
        Input(
            **{name: row[name] for name in _COPIED},
            datasets=datasets[row["key"]],
            labels=labels[row["key"]],
            regions=regions.get(row["key"], []),
        )
        for row in rows
    ]


_COPIED = ("id", "name", "width", "height", "format", "bytes", "created", "author", "metadata")


def _matching(connection: Connection, app: int, query: InputQuery) -> list[ColumnElement[bool]]:
    """The filter as conditions on `inputs`."""
    conditions: list[ColumnElement[bool]] = [t.inputs.c.app == app, t.inputs.c.deleted.is_(None)]
    if query.concept is not None:
        concept = (
            select(t.concepts.c.key)
            .where(t.concepts.c.app == app, t.concepts.c.name == query.concept)
            .scalar_subquery()
        )
        labelled = select(t.labels.c.input).where(t.labels.c.concept == concept, t.labels.c.positive.is_(True))
        within = select(t.region_concepts.c.input).where(t.region_concepts.c.concept == concept)
        # Two lists joined by OR, not their union: SQLite then goes along the inputs, and a page ends when it is full.
        conditions.append(or_(t.inputs.c.key.in_(labelled), t.inputs.c.key.in_(within)))
    if query.dataset is not None:
        dataset = select(t.datasets.c.key).where(t.datasets.c.app == app, t.datasets.c.id == query.dataset)
        members = select(t.dataset_inputs.c.input).where(t.dataset_inputs.c.dataset == dataset.scalar_subquery())
        conditions.append(t.inputs.c.key.in_(members))
    if query.unlabelled:
        conditions.append(~exists().where(t.labels.c.input == t.inputs.c.key))
        standing = (t.regions.c.input == t.inputs.c.key) & t.regions.c.removed.is_(None)
        conditions.append(~exists().where(standing))
    if query.metadata:
        conditions.append(metadata_has(connection, t.inputs.c.metadata, _metadata(query.metadata)))
    return conditions


def _metadata(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=dict[str, Any])
    except msgspec.MsgspecError:
        raise InvalidRequest(f'metadata={text[:80]!r} is no JSON object, such as {{"camera": 3}}.') from None


def _set_deleted(lab: Lab, owner: str, app: str, ids: list[str], when: float | None) -> Edited:
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        rows, warnings = find_inputs(connection, key, ids, deleted=when is None)
        for part in chunks(row["key"] for row in rows):
            connection.execute(update(t.inputs).where(t.inputs.c.key.in_(part)).values(deleted=when))
    for what in ("inputs", "concepts", "datasets"):
        lab.hub.changed(owner, app, what)
    return Edited(count=len(rows), warnings=warnings)
