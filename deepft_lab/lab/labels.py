"""Concepts, and putting them on inputs. Every change is an annotation; `labels` holds what they add up to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, tuple_

from deepft_lab.errors import InvalidRequest
from deepft_lab.lab.access import find_app
from deepft_lab.lab.inputs import find_inputs
from deepft_lab.lab.names import clean_concepts
from deepft_lab.records import Annotate, Caller, Concept, CreateConcepts, Edited
from deepft_lab.store import tables as t
from deepft_lab.store.database import chunks, upsert

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab


def concepts(lab: Lab, caller: Caller, *, owner: str, app: str) -> list[Concept]:
    """By name, with how many inputs bear each."""
    with lab.database.reading() as connection:
        return _records(connection, find_app(connection, owner, app)["key"])


def create_concepts(lab: Lab, caller: Caller, *, owner: str, app: str, body: CreateConcepts) -> list[Concept]:
    """Those that are there already stay as they are. The answer has the named ones, in their order."""
    names = clean_concepts(body.names)
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        make_concepts(connection, key, names)
        found = {record.name: record for record in _records(connection, key)}
    lab.hub.changed(owner, app, "concepts")
    return [found[name] for name in names]


def annotate(lab: Lab, caller: Caller, *, owner: str, app: str, body: Annotate) -> Edited:
    """Raises InvalidRequest where a concept is asked to be two things at once."""
    actions: dict[str, str] = {}
    for action, names in (("positive", body.positive), ("negative", body.negative), ("remove", body.remove)):
        for name in clean_concepts(names):
            if actions.setdefault(name, action) != action:
                raise InvalidRequest(f"The concept {name!r} is asked to be {actions[name]} and {action} at once.")
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        rows, warnings = find_inputs(connection, key, body.inputs)
        put_labels(connection, caller, app=key, inputs=[row["key"] for row in rows], actions=actions)
    lab.hub.changed(owner, app, "inputs")
    lab.hub.changed(owner, app, "concepts")
    return Edited(count=len(rows), warnings=warnings)


# -- for the other use-cases --------------------------------------------------------------------


def make_concepts(connection: Connection, app: int, names: Iterable[str]) -> dict[str, int]:
    """The keys of the concepts; those that are not there are created."""
    names = list(names)
    now = time.time()
    known = _keys(connection, app, names)
    missing = [{"app": app, "name": name, "created": now} for name in names if name not in known]
    if not missing:
        return known
    upsert(connection, t.concepts, missing, ("app", "name"))
    return _keys(connection, app, names)


def put_labels(
    connection: Connection, caller: Caller, *, app: int, inputs: list[int], actions: Mapping[str, str]
) -> None:
    """Writes an annotation for each label that changes. `actions`: concept -> positive, negative or remove."""
    added = make_concepts(connection, app, [name for name, action in actions.items() if action != "remove"])
    keys = added | _keys(connection, app, [name for name, action in actions.items() if action == "remove"])
    wanted = {key: actions[name] for name, key in keys.items()}
    now = time.time()
    for part in chunks(inputs):
        current = {
            (row.input, row.concept): row.positive
            for row in connection.execute(select(t.labels).where(t.labels.c.input.in_(part)))
        }
        changes = [
            (input, concept, action)
            for input in part
            for concept, action in wanted.items()
            if current.get((input, concept)) != {"positive": True, "negative": False, "remove": None}[action]
        ]
        if not changes:
            continue
        history = [
            {"input": input, "concept": concept, "action": action, "author": caller.user, "created": now}
            for input, concept, action in changes
        ]
        connection.execute(insert(t.annotations), history)
        put = [{"input": i, "concept": c, "positive": a == "positive"} for i, c, a in changes if a != "remove"]
        upsert(connection, t.labels, put, ("input", "concept"))
        for taken in chunks((i, c) for i, c, a in changes if a == "remove"):
            pair = tuple_(t.labels.c.input, t.labels.c.concept)
            connection.execute(delete(t.labels).where(pair.in_(taken)))


def _keys(connection: Connection, app: int, names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in chunks(names):
        rows = select(t.concepts.c.name, t.concepts.c.key).where(t.concepts.c.app == app, t.concepts.c.name.in_(part))
        found |= {row.name: row.key for row in connection.execute(rows)}
    return found


def _records(connection: Connection, app: int) -> list[Concept]:
    """An input bears a concept by a label or by a region: it counts once."""
    rows = connection.execute(select(t.concepts).where(t.concepts.c.app == app).order_by(t.concepts.c.name)).all()
    labels, regions = t.labels.c, t.region_concepts.c
    positives: Counter[int] = Counter()
    negatives: Counter[int] = Counter()
    for concept, positive, count in _counted(connection, app, labels, labels.concept, labels.positive):
        (positives if positive else negatives)[concept] += count
    for concept, count in _counted(connection, app, regions, regions.concept):
        positives[concept] += count
    if any(True for _ in connection.execute(select(regions.input).limit(1))):
        both = (labels.input == regions.input) & (labels.concept == regions.concept) & labels.positive.is_(True)
        for concept, count in _counted(connection, app, regions, regions.concept, also=(t.labels, both)):
            positives[concept] -= count
    return [
        Concept(name=row.name, positives=positives[row.key], negatives=negatives[row.key], created=row.created)
        for row in rows
    ]


def _counted(
    connection: Connection,
    app: int,
    columns: Any,
    *groups: ColumnElement[Any],
    also: tuple[Table, ColumnElement[bool]] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Counts of a table's living inputs, in groups; `also` joins another table.

    Deleted inputs are few: counting all from the index and taking theirs off saves a join over all inputs.
    """
    start = select(*groups, func.count().label("count")).group_by(*groups)
    every = start.join(t.concepts, t.concepts.c.key == columns.concept).where(t.concepts.c.app == app)
    gone = start.join(t.inputs, t.inputs.c.key == columns.input).where(
        t.inputs.c.app == app, t.inputs.c.deleted.is_not(None)
    )
    for sign, statement in ((1, every), (-1, gone)):
        for *group, count in connection.execute(statement.join(*also) if also else statement):
            yield (*group, sign * count)
