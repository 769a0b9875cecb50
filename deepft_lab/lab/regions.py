"""Regions of inputs: putting and taking away, and reading them.

A region is written once; taking it away marks it, so that the history has it whole. `region_concepts` says which
concepts the regions of an input bear, and is made anew for each input that changes.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, insert, literal, select, update

from deepft_lab.errors import InvalidRequest
from deepft_lab.lab import region_rows
from deepft_lab.lab.access import find_app
from deepft_lab.lab.inputs import find_inputs, records
from deepft_lab.lab.labels import make_concepts
from deepft_lab.lab.names import clean_concept
from deepft_lab.records import AnnotatedRegions, AnnotateRegions, Caller, Fault, InputRegions, Region
from deepft_lab.shapes import Settled, settle
from deepft_lab.store import tables as t
from deepft_lab.store.database import chunks

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

MAX_REGIONS = 10_000  # of one input
MAX_ID = 2**63 - 1  # SQLite has no larger numbers
MAX_FAULTS = 100  # told at once
TOLD = 3  # regions that one warning names


class Change(msgspec.Struct):
    """What is asked of one input, settled."""

    asked: InputRegions
    place: int
    put: list[Region] = []
    left_out: list[str] = []
    clipped: list[str] = []


def annotate_regions(lab: Lab, caller: Caller, *, owner: str, app: str, body: AnnotateRegions) -> AnnotatedRegions:
    """All or none. Raises InvalidRequest with every fault: numbers that are none, polygons without three corners, masks
    whose run lengths do not fit, ids of other inputs, more than 10,000 regions an input."""
    faults: list[Fault] = []
    changes = [_settle(place, asked, faults) for place, asked in enumerate(body.inputs)]
    _refuse_doubles(body, faults)
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        rows = {row["id"]: row for row in find_inputs(connection, key, [asked.input for asked in body.inputs])[0]}
        _check_inputs(changes, rows, faults)
        _check_removals(connection, changes, rows, faults)
        _refuse(faults)
        names = dict.fromkeys(region.concept for change in changes for region in change.put if region.concept)
        concepts = make_concepts(connection, key, names)
        _carry_out(connection, caller, changes, rows, concepts)
        answer = AnnotatedRegions(
            inputs=records(connection, [rows[asked.input] for asked in body.inputs]),
            warnings=[words for change in changes for words in _words(change, rows[change.asked.input]["name"])],
        )
    lab.hub.changed(owner, app, "inputs")
    lab.hub.changed(owner, app, "concepts")
    return answer


# -- what is asked ------------------------------------------------------------------------------


def _settle(place: int, asked: InputRegions, faults: list[Fault]) -> Change:
    change = Change(asked, place)
    for number, region in enumerate(asked.add):
        field = f"inputs[{place}].add[{number}]"
        settled = _settle_one(region)
        if settled.fault:
            faults.append(Fault(field, region.concept[:80], f"The {region.kind} cannot be taken: {settled.fault}."))
        elif settled.region is None:
            change.left_out.append(f"{_name(region)} {settled.reason}")
        else:
            change.put.append(settled.region)
            if settled.clipped:
                change.clipped.append(_name(region))
    return change


def _settle_one(region: Region) -> Settled:
    settled = settle(region)
    if settled.region is None:
        return settled
    concept = region.concept.strip()
    if not concept and not region.ignored:
        return Settled(None, fault="it names no concept; only an ignored region may do without")
    try:
        settled.region = msgspec.structs.replace(settled.region, id=0, concept=concept and clean_concept(concept))
    except InvalidRequest as error:
        return Settled(None, fault=error.message.rstrip("."))
    return settled


def _refuse_doubles(body: AnnotateRegions, faults: list[Fault]) -> None:
    for id, times in Counter(asked.input for asked in body.inputs).items():
        if times > 1:
            faults.append(Fault("inputs", id[:80], f"It is named {times} times. Name it once, with all its changes."))


def _check_inputs(changes: list[Change], rows: dict[str, RowMapping], faults: list[Fault]) -> None:
    for change in changes:
        if change.asked.input not in rows:
            reason = f"There is no input {change.asked.input[:80]!r} in this app."
            faults.append(Fault(f"inputs[{change.place}].input", change.asked.input[:80], reason))


def _check_removals(
    connection: Connection, changes: list[Change], rows: dict[str, RowMapping], faults: list[Fault]
) -> None:
    """A region that another tab has taken away already is none the worse for it; one of another input is a fault."""
    wanted = [id for change in changes for id in change.asked.remove if 0 < id <= MAX_ID]
    owners: dict[int, int] = {}
    for part in chunks(wanted):
        found = select(t.regions.c.key, t.regions.c.input).where(t.regions.c.key.in_(part))
        owners |= {row.key: row.input for row in connection.execute(found)}
    for change in changes:
        row = rows.get(change.asked.input)
        for id in change.asked.remove:
            if row is not None and owners.get(id) != row["key"]:
                reason = f"The input {change.asked.input} has no region of this id, and never had."
                faults.append(Fault(f"inputs[{change.place}].remove", id, reason))


def _refuse(faults: list[Fault]) -> None:
    if faults:
        words = " ".join(f"{fault.field}: {fault.reason}" for fault in faults[:5])
        more = f" And {len(faults) - 5} more." if len(faults) > 5 else ""
        raise InvalidRequest(f"The regions were not saved. {words}{more}", faults[:MAX_FAULTS])


# -- what comes of it ---------------------------------------------------------------------------


def _carry_out(
    connection: Connection,
    caller: Caller,
    changes: list[Change],
    rows: dict[str, RowMapping],
    concepts: dict[str, int],
) -> None:
    keys = {change.asked.input: rows[change.asked.input]["key"] for change in changes}
    replacing = [change for change in changes if change.asked.replace or change.asked.replace_kinds]
    standing = region_rows.read(connection, [keys[change.asked.input] for change in replacing], whole=True)
    removed: list[int] = []
    put: list[tuple[int, Region]] = []
    for change in changes:
        key = keys[change.asked.input]
        going = set(change.asked.remove)
        if change.asked.replace or change.asked.replace_kinds:
            kinds = None if change.asked.replace else set(change.asked.replace_kinds)
            old = [r for r in standing.get(key, []) if r.id not in going and (kinds is None or r.kind in kinds)]
            change.put, others = _difference(change.put, old)
            going |= others
        removed += going
        put += [(key, region) for region in change.put]
    _write(connection, caller, removed, put, concepts)
    _check_count(connection, list(keys.values()), rows)
    _renew_concepts(connection, list(keys.values()))


def _difference(put: list[Region], old: list[Region]) -> tuple[list[Region], set[int]]:
    """What is new in `put`, and the ids of what is in `old` alone. The same region twice counts twice."""
    known: dict[bytes, list[int]] = defaultdict(list)
    for region in old:
        known[_content(region)].append(region.id)
    new = []
    for region in put:
        same = known[_content(region)]
        if same:
            same.pop(0)
        else:
            new.append(region)
    return new, {id for ids in known.values() for id in ids}


def _content(region: Region) -> bytes:
    return msgspec.json.encode(msgspec.structs.astuple(msgspec.structs.replace(region, id=0)))


def _write(
    connection: Connection,
    caller: Caller,
    removed: list[int],
    put: list[tuple[int, Region]],
    concepts: dict[str, int],
) -> None:
    now = time.time()
    who: dict[str, Any] = {"author": caller.user, "created": now}
    r = t.regions
    for part in chunks(dict.fromkeys(removed)):
        history = select(r.c.input, r.c.concept, literal("remove"), literal(caller.user), literal(now), r.c.key)
        columns = ["input", "concept", "action", "author", "created", "region"]
        live = r.c.key.in_(part) & r.c.removed.is_(None)
        connection.execute(insert(t.annotations).from_select(columns, history.where(live).order_by(r.c.key)))
        connection.execute(update(r).where(live).values(removed=now))
    if not put:
        return
    values = [region_rows.row(input, region, concepts) for input, region in put]
    made = connection.execute(insert(r).returning(r.c.key, sort_by_parameter_order=True), values).scalars().all()
    history_rows = [
        {"input": value["input"], "concept": value["concept"], "action": "positive", "region": key, **who}
        for key, value in zip(made, values, strict=True)
    ]
    connection.execute(insert(t.annotations), history_rows)


def _check_count(connection: Connection, inputs: list[int], rows: dict[str, RowMapping]) -> None:
    names = {row["key"]: row["name"] for row in rows.values()}
    faults = []
    for part in chunks(inputs):
        r = t.regions
        counted = select(r.c.input, func.count().label("count")).where(r.c.input.in_(part), r.c.removed.is_(None))
        for row in connection.execute(counted.group_by(r.c.input).having(func.count() > MAX_REGIONS)):
            reason = f"{names[row.input]!r} would have {row.count:,} regions; the limit is {MAX_REGIONS:,} an input."
            faults.append(Fault("inputs", row.count, reason))
    _refuse(faults)


def _renew_concepts(connection: Connection, inputs: list[int]) -> None:
    r = t.regions
    for part in chunks(inputs):
        connection.execute(delete(t.region_concepts).where(t.region_concepts.c.input.in_(part)))
        borne = (
            select(r.c.input, r.c.concept)
            .where(r.c.input.in_(part), r.c.removed.is_(None), r.c.ignored.is_(False), r.c.concept.is_not(None))
            .distinct()
        )
        connection.execute(insert(t.region_concepts).from_select(["input", "concept"], borne))


# -- in words -----------------------------------------------------------------------------------


def _words(change: Change, name: str) -> Iterable[str]:
    if change.left_out:
        yield f"{name}: {_some(change.left_out)}: left out."
    if change.clipped:
        verb = "reaches" if len(change.clipped) == 1 else "reach"
        yield f"{name}: {_some(change.clipped)} {verb} beyond the picture: clipped."


def _some(names: list[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


def _name(region: Region) -> str:
    place = ", ".join(f"{value:.4g}" for value in region.box)
    return f"the {region.kind} {region.concept[:80]!r} ({place})"
