"""What is true of each pixel of a picture: a map of places, drawn from the regions of a manifest's entry.

Place 0 is the background, place 1 the first concept, and so on; UNKNOWN counts neither for nor against.

- Polygons and masks are painted from the largest to the smallest, so that a small region on a large one is seen
  (a nucleus on its cell); of two that are equally large the later one is seen.
- A box says that its concept is somewhere inside, not where: its pixels are unknown where no mask or polygon says more.
- An ignored region of any kind makes its pixels unknown, whatever lies below it.
- Where an input bears a concept as a label that none of its regions shows, its remaining pixels are unknown.
- All other pixels are background; so is the whole of a picture without regions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from deepft_lab import masks
from deepft_lab.manifest import Entry
from deepft_lab.records import Region

BACKGROUND = 0
UNKNOWN = -1
_KEPT = 2  # sizes a picture is drawn at: in training one, in validation those of the network and of the metric

Map = numpy.ndarray  # int16 [height, width]


class Truth:
    """The truth of one picture, drawn when it is first asked for and kept as run lengths."""

    def __init__(self, entry: Entry, concepts: Sequence[str]) -> None:
        self.height, self.width = entry.height, entry.width
        self._places = {concept: place for place, concept in enumerate(concepts, 1)}
        self._regions = [r for r in entry.regions if r.concept in self._places or (r.ignored and not r.concept)]
        shown = {region.concept for region in self._regions if not region.ignored}
        said = {concept for concept, label in entry.labels.items() if label and concept in self._places}
        self._rest = UNKNOWN if said - shown else BACKGROUND
        self._drawn: dict[tuple[int, int], tuple[numpy.ndarray, numpy.ndarray]] = {}

    @property
    def outlined(self) -> set[str]:
        """Concepts of which a region tells the pixels."""
        return {r.concept for r in self._regions if not r.ignored and r.kind in ("polygon", "mask")}

    @property
    def boxed(self) -> set[str]:
        """Concepts of which there is nothing but boxes or points."""
        return {r.concept for r in self._regions if not r.ignored and r.kind in ("box", "point")} - self.outlined

    def at(self, height: int, width: int) -> Map:
        """int16 [height, width] of places, by nearest neighbour where the picture has another size."""
        size = (height, width)
        if size not in self._drawn:
            if len(self._drawn) >= _KEPT:
                self._drawn.clear()
            self._drawn[size] = _runs(self._draw(height, width))
        values, lengths = self._drawn[size]
        return numpy.repeat(values, lengths).reshape(height, width)

    def _draw(self, height: int, width: int) -> Map:
        drawn = numpy.full((height, width), self._rest, numpy.int16)
        outlines = []
        for region in self._regions:
            if region.kind == "box" and not region.ignored:
                drawn[_pixels(region, height, width)] = UNKNOWN
            elif region.kind in ("polygon", "mask") and not region.ignored:
                outlines.append((_pixels(region, height, width), self._places[region.concept]))
        for pixels, place in sorted(outlines, key=lambda outline: -int(outline[0].sum())):
            drawn[pixels] = place
        for region in self._regions:
            if region.ignored:
                drawn[_pixels(region, height, width)] = UNKNOWN
        return drawn


def _pixels(region: Region, height: int, width: int) -> numpy.ndarray:
    """The region's pixels: bool [height, width]."""
    if region.kind == "mask" and region.mask is not None:
        return masks.decode(region.mask, (height, width)).astype(bool)
    if region.kind == "polygon":
        return masks.draw(region.polygons, height, width).astype(bool)
    found = numpy.zeros((height, width), bool)
    left, top, right, bottom = region.box
    found[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return found


def _runs(drawn: Map) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Values and lengths of runs, row by row."""
    flat = drawn.ravel()
    starts = numpy.concatenate([[0], numpy.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return flat[starts], numpy.diff(numpy.concatenate([starts, [flat.size]])).astype(numpy.int32)
