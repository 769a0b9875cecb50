"""The geometry of a region from outside: what is wrong with it, what lies outside the picture, what has no size.

Polygons are clipped side by side (Sutherland and Hodgman, "Reentrant polygon clipping", 1974).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from deepft_lab import masks
from deepft_lab.records import Region

Point = tuple[float, float]
Box = tuple[float, float, float, float]

KINDS = ("box", "polygon", "mask", "point")
NO_SIZE = 1e-9  # of a side or an area, in fractions of the picture
MAX_CORNERS = 100_000  # of all rings of one region


class Settled(msgspec.Struct):
    """A region as it can be stored, or None and why it is left out. `fault`: it cannot be understood at all."""

    region: Region | None
    reason: str = ""
    clipped: bool = False
    fault: str = ""


def settle(region: Region) -> Settled:
    """Checks and clips. The box of a polygon, a mask or a point is worked out anew."""
    if not all(math.isfinite(value) for value in region.box):
        return Settled(None, fault=f"its box {list(region.box)} holds a value that is not finite")
    if (region.mask is not None) != (region.kind == "mask"):
        return Settled(None, fault="a mask belongs to a region of the kind mask, and only there")
    if bool(region.polygons) != (region.kind == "polygon"):
        return Settled(None, fault="polygons belong to a region of the kind polygon, and only there")
    return {"box": _box, "polygon": _polygon, "mask": _mask, "point": _point}[region.kind](region)


def _box(region: Region) -> Settled:
    left, top, right, bottom = region.box
    if right - left <= NO_SIZE or bottom - top <= NO_SIZE:
        return Settled(None, reason="has no size")
    box = _clip(region.box)
    if box[2] - box[0] <= NO_SIZE or box[3] - box[1] <= NO_SIZE:
        return Settled(None, reason="lies outside the picture")
    return Settled(msgspec.structs.replace(region, box=box), clipped=box != tuple(region.box))


def _point(region: Region) -> Settled:
    x, y = region.box[:2]
    if not (0 <= x <= 1 and 0 <= y <= 1):
        return Settled(None, reason="lies outside the picture")
    return Settled(msgspec.structs.replace(region, box=(x, y, x, y)))


def _mask(region: Region) -> Settled:
    assert region.mask is not None
    reason = masks.check(region.mask)
    if reason:
        return Settled(None, fault=reason)
    box = masks.extent(region.mask)
    if box is None:
        return Settled(None, reason="holds no pixel")
    return Settled(msgspec.structs.replace(region, box=box))


def _polygon(region: Region) -> Settled:
    if sum(map(len, region.polygons)) > 2 * MAX_CORNERS:
        return Settled(None, fault=f"it has more than {MAX_CORNERS:,} corners")
    kept: list[list[float]] = []
    clipped = flat = False
    for ring in region.polygons:
        if len(ring) % 2 or len(ring) < 6:
            return Settled(
                None, fault=f"a polygon has 3 corners or more, x and y of each; here are {len(ring)} numbers"
            )
        if not all(map(math.isfinite, ring)):
            return Settled(None, fault="a corner of its polygon is not finite")
        if abs(area(ring)) <= NO_SIZE:
            flat = True
            continue
        if min(ring) < 0 or max(ring) > 1:
            clipped = True
            ring = clip_ring(ring)
        if abs(area(ring)) > NO_SIZE:
            kept.append(list(map(float, ring)))
    if not kept:
        return Settled(None, reason="has no size" if flat and not clipped else "lies outside the picture")
    box = (
        min(min(ring[::2]) for ring in kept),
        min(min(ring[1::2]) for ring in kept),
        max(max(ring[::2]) for ring in kept),
        max(max(ring[1::2]) for ring in kept),
    )
    return Settled(msgspec.structs.replace(region, box=box, polygons=kept), clipped=clipped)


def area(ring: Sequence[float]) -> float:
    """The signed area of a ring, by the shoelace formula."""
    x, y = ring[::2], ring[1::2]
    return sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x))) / 2


def clip_ring(ring: Sequence[float]) -> list[float]:
    """The part of a ring within 0..1, as one ring; empty where nothing is left."""
    points: list[Point] = list(zip(ring[::2], ring[1::2], strict=True))
    for axis in (0, 1):
        points = _cut(points, lambda point, axis=axis: point[axis], 0.0)  # type: ignore[misc]
        points = _cut(points, lambda point, axis=axis: -point[axis], -1.0)  # type: ignore[misc]
    return [min(1.0, max(0.0, value)) for point in points for value in point]


def _cut(points: list[Point], height: Callable[[Point], float], level: float) -> list[Point]:
    """The part of a polygon where `height` is at least `level`."""
    kept: list[Point] = []
    for place, point in enumerate(points):
        before = points[place - 1]
        if (height(point) >= level) != (height(before) >= level):
            part = (level - height(before)) / (height(point) - height(before))
            kept.append((before[0] + part * (point[0] - before[0]), before[1] + part * (point[1] - before[1])))
        if height(point) >= level:
            kept.append(point)
    return kept


def _clip(box: Box) -> Box:
    left, top, right, bottom = (float(min(1.0, max(0.0, value))) for value in box)
    return left, top, right, bottom
