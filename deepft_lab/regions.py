"""Regions by a word each, in fractions of the picture: x to the right, y down, 0 to 1.

from deepft_lab import regions
app.annotate_regions(input, [regions.box("ant", 0.1, 0.2, 0.5, 0.6), regions.point("eye", 0.3, 0.3)])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepft_lab import masks
from deepft_lab.records import Region


def box(concept: str, left: float, top: float, right: float, bottom: float, ignored: bool = False) -> Region:
    """A rectangle. An ignored one counts neither for nor against a prediction."""
    return Region(concept=concept, box=(float(left), float(top), float(right), float(bottom)), ignored=ignored)


def point(concept: str, x: float, y: float) -> Region:
    return Region(kind="point", concept=concept, box=(float(x), float(y), float(x), float(y)))


def polygon(concept: str, *rings: Sequence[Any], ignored: bool = False) -> Region:
    """One outline or several: [(x, y), (x, y), ...], or x, y, x, y in a row."""
    flat = [
        [float(value) for corner in ring for value in (corner if isinstance(corner, (tuple, list)) else (corner,))]
        for ring in rings
    ]
    x = [value for ring in flat for value in ring[::2]] or [0.0]
    y = [value for ring in flat for value in ring[1::2]] or [0.0]
    around = (min(x), min(y), max(x), max(y))
    return Region(kind="polygon", concept=concept, box=around, polygons=flat, ignored=ignored)


def mask(concept: str, array: Any, ignored: bool = False) -> Region:
    """Pixels: an array (height x width) that is not 0 where the region is. It covers the whole picture."""
    encoded = masks.encode(array)
    around = masks.extent(encoded) or (0.0, 0.0, 0.0, 0.0)
    return Region(kind="mask", concept=concept, box=around, mask=encoded, ignored=ignored)
