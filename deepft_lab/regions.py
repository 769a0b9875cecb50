"""Regions by a word each, in fractions of the picture: x to the right, y down, 0 to 1.

from deepft_lab import regions
app.annotate_regions(input, [regions.box("ant", 0.1, 0.2, 0.5, 0.6), regions.point("eye", 0.3, 0.3)])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from deepft_lab import masks
from deepft_lab.errors import InvalidRequest
from deepft_lab.records import Region

_PIXELS = 10.0  # from here on a coordinate is no fraction that reaches a little beyond the picture


def box(concept: str, left: float, top: float, right: float, bottom: float, ignored: bool = False) -> Region:
    """A rectangle. An ignored one counts neither for nor against a prediction."""
    first, second, third, fourth = _fractions(concept, (left, top, right, bottom))
    return Region(concept=concept, box=(first, second, third, fourth), ignored=ignored)


def point(concept: str, x: float, y: float) -> Region:
    across, down = _fractions(concept, (x, y))
    return Region(kind="point", concept=concept, box=(across, down, across, down))


def polygon(concept: str, *rings: Sequence[Any], ignored: bool = False) -> Region:
    """One outline or several: [(x, y), (x, y), ...], or x, y, x, y in a row."""
    flat = [_fractions(concept, [value for corner in ring for value in _numbers_of(corner)]) for ring in rings]
    x = [value for ring in flat for value in ring[::2]] or [0.0]
    y = [value for ring in flat for value in ring[1::2]] or [0.0]
    around = (min(x), min(y), max(x), max(y))
    return Region(kind="polygon", concept=concept, box=around, polygons=flat, ignored=ignored)


def mask(concept: str, array: Any, ignored: bool = False) -> Region:
    """Pixels: an array (height x width) that is not 0 where the region is. It covers the whole picture."""
    shape = tuple(getattr(array, "shape", ()))
    if len(shape) != 2:
        raise InvalidRequest(
            f"The mask of {concept!r} is an array of height x width, not {shape or type(array).__name__}: "
            "make a numpy array of it, and choose one channel."
        )
    encoded = masks.encode(array)
    around = masks.extent(encoded) or (0.0, 0.0, 0.0, 0.0)
    return Region(kind="mask", concept=concept, box=around, mask=encoded, ignored=ignored)


def _numbers_of(corner: Any) -> Sequence[Any]:
    """A corner is a pair of any kind, or one number of a row of them."""
    return list(corner) if isinstance(corner, Iterable) else [corner]


def _fractions(concept: str, values: Sequence[Any]) -> list[float]:
    """Raises InvalidRequest for what is no number, and for pixels."""
    found = [float(value) for value in values]
    for value in found:
        if not math.isfinite(value):
            raise InvalidRequest(
                f"A region of {concept!r} has the coordinate {value}: it is a fraction of the picture, 0 to 1."
            )
        if abs(value) > _PIXELS:
            raise InvalidRequest(
                f"A region of {concept!r} has the coordinate {value:g}: it is a fraction of the picture, 0 to 1. "
                "Divide pixels by its width and height."
            )
    return found
