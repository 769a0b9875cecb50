"""Regions between records and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, case, null, select

from deepft_lab.records import Mask, Region
from deepft_lab.store import tables as t
from deepft_lab.store.database import chunks

LARGE = 32 * 1024  # characters: longer run lengths and polygons are no part of a page of inputs

# msgspec leaves a default out only if it is the very same object, and the bytes of a manifest must always be the same.
_KINDS: dict[str, Any] = {kind: kind for kind in ("box", "polygon", "mask", "point")}

_decode_polygons = msgspec.json.Decoder(list[list[float]]).decode


def row(input: int, region: Region, concepts: Mapping[str, int]) -> dict[str, Any]:
    """The values of a new row."""
    left, top, right, bottom = region.box
    mask = region.mask
    polygons = msgspec.json.encode(region.polygons).decode() if region.polygons else None
    return {
        "input": input,
        "concept": concepts[region.concept] if region.concept else None,
        "kind": region.kind,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        "ignored": region.ignored,
        "removed": None,
        "height": mask.height if mask else None,
        "width": mask.width if mask else None,
        "length": len(mask.counts) if mask else len(polygons or ""),
        "polygons": polygons,
        "counts": mask.counts if mask else None,
    }


def read(connection: Connection, inputs: Iterable[int], *, whole: bool = False) -> dict[int, list[Region]]:
    """The regions that stand, by input and in the order of their ids.

    Unless `whole`, a mask or polygon that is large comes without its pixels or corners: its box says where it is.
    """
    found: dict[int, list[Region]] = {}
    for part in chunks(inputs):
        standing = columns(whole).where(t.regions.c.input.in_(part), t.regions.c.removed.is_(None))
        for each in connection.execute(standing.order_by(t.regions.c.input, t.regions.c.key)):
            found.setdefault(each.input, []).append(record(each))
    return found


def columns(whole: bool, shapes: bool = True) -> Any:
    """A selection of what `record` needs; without `shapes` the box alone stands for polygons and masks."""
    r = t.regions
    small = r.c.length <= (LARGE if shapes else -1)
    return select(
        r.c.key,
        r.c.input,
        r.c.kind,
        r.c.left,
        r.c.top,
        r.c.right,
        r.c.bottom,
        r.c.ignored,
        r.c.height,
        r.c.width,
        r.c.polygons if whole else case((small, r.c.polygons), else_=null()).label("polygons"),
        r.c.counts if whole else case((small, r.c.counts), else_=null()).label("counts"),
        t.concepts.c.name,
    ).outerjoin_from(r, t.concepts, t.concepts.c.key == r.c.concept)


def record(row: Any) -> Region:
    return Region(
        kind=_KINDS[row.kind],
        concept=row.name or "",
        box=(row.left, row.top, row.right, row.bottom),
        polygons=_decode_polygons(row.polygons) if row.polygons else [],
        mask=Mask(row.height, row.width, row.counts) if row.counts is not None else None,
        ignored=row.ignored,
        id=row.key,
    )
