"""Intersection over union, as Cityscapes and ADE20K count it: one confusion matrix over all pixels of the whole set.

The matrix has a row and a column a place, so memory does not grow with the set. Each picture is compared at its own
size (reduced beyond 4 megapixels); the found map takes the nearest neighbour there, since that is what a person gets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from deepft_lab.masks import nearest
from deepft_lab.training.segmentation.truth import Map, Truth
from deepft_lab.training.task import Figures

COMPARED_PIXELS = 4_000_000


class Confusion:
    """`counts[true place, found place]`: pixels, int64."""

    def __init__(self, places: int) -> None:
        self.counts = numpy.zeros((places, places), numpy.int64)

    def add(self, truth: Truth, found: Map) -> None:
        scale = min(1.0, math.sqrt(COMPARED_PIXELS / (truth.height * truth.width)))
        size = max(1, round(truth.height * scale)), max(1, round(truth.width * scale))
        self.add_maps(truth.at(*size), nearest(found, size))

    def add_maps(self, truth: Map, found: Map) -> None:
        places = len(self.counts)
        known = truth >= 0
        cells = truth[known].astype(numpy.int64) * places + found[known]
        self.counts += numpy.bincount(cells, minlength=places * places).reshape(places, places)

    def result(self, concepts: Sequence[str]) -> tuple[Figures, dict[str, Figures]]:
        """`mIoU` and `dice` are means over background and concepts; what is neither there nor found is left out.

        `accuracy` is the share of pixels that are right.
        """
        true, found, both = self.counts.sum(1), self.counts.sum(0), self.counts.diagonal()
        union = true + found - both
        ious = [_ratio(both[place], union[place]) for place in range(len(union))]
        dices = [_ratio(2 * both[place], true[place] + found[place]) for place in range(len(union))]
        whole: Figures = {
            "mIoU": _mean(ious),
            "dice": _mean(dices),
            "accuracy": _ratio(both.sum(), self.counts.sum()),
            "background_IoU": ious[0],
        }
        by_concept: dict[str, Figures] = {
            concept: {
                "IoU": ious[place],
                "dice": dices[place],
                "precision": _ratio(both[place], found[place]),
                "recall": _ratio(both[place], true[place]),
            }
            for place, concept in enumerate(concepts, 1)
        }
        return whole, by_concept


def _ratio(part: int, whole: int) -> float | None:
    return float(part) / float(whole) if whole else None


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None
