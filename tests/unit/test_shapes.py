"""Regions from outside: what is taken of them lies within the picture, has a size, and is taken as it is again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from deepft_lab import masks
from deepft_lab.records import Region
from deepft_lab.shapes import NO_SIZE, area, settle

numbers = some.one_of(some.floats(-2, 3), some.sampled_from([0.0, 1.0, 0.5]), some.floats())
boxes = some.tuples(numbers, numbers, numbers, numbers)
rings = some.lists(numbers, max_size=16)


def check(region: Region) -> None:
    settled = settle(region)
    if settled.fault or settled.region is None:
        assert settled.fault or settled.reason
        return
    taken = settled.region
    left, top, right, bottom = taken.box
    assert 0 <= left <= right <= 1 and 0 <= top <= bottom <= 1
    assert taken.kind == "point" or (right > left and bottom > top)
    for ring in taken.polygons:
        assert all(0 <= value <= 1 for value in ring) and abs(area(ring)) > NO_SIZE
    again = settle(taken)
    assert again.region == taken and not again.clipped, "else a second upload would change what the first has put"


@settings(deadline=None)
@given(boxes, some.sampled_from(["box", "point"]))
def test_boxes_and_points(box, kind) -> None:
    check(Region(kind=kind, concept="a", box=box))


@settings(deadline=None, max_examples=300)
@given(some.lists(rings, max_size=3))
def test_polygons(polygons) -> None:
    check(Region(kind="polygon", concept="a", box=(0, 0, 1, 1), polygons=polygons))


@settings(deadline=None)
@given(some.lists(some.integers(0, 1), min_size=6, max_size=6))
def test_masks(pixels) -> None:
    import numpy as np

    mask = masks.encode(np.array(pixels).reshape(2, 3))
    check(Region(kind="mask", concept="a", box=(0, 0, 1, 1), mask=mask))


def test_a_polygon_across_the_edge_keeps_the_area_within() -> None:
    diamond = [0.5, -0.5, 1.5, 0.5, 0.5, 1.5, -0.5, 0.5]
    taken = settle(Region(kind="polygon", concept="a", box=(0, 0, 1, 1), polygons=[diamond]))
    assert taken.clipped and taken.region is not None and abs(abs(area(taken.region.polygons[0])) - 1.0) < 1e-9
