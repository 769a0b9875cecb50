"""Real photographs for tiny runs, a few of each task; drawn pictures where the shared ones are absent."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import job_folders
from boxed import boxed as drawn_boxes
from coloured import coloured
from outlined import outlined as drawn_outlines

SIGNS = ("0", "5")  # a fist and an open hand


class Sample(NamedTuple):
    """What to train and to validate on: bytes, labels and, where there are some, regions."""

    training: list[tuple[Any, ...]]
    validation: list[tuple[Any, ...]]

    @property
    def concepts(self) -> set[str]:
        every = self.training + self.validation
        return {concept for _, labels, *_ in every for concept in labels} | {
            region.concept for _, _, *regions in every for region in (regions[0] if regions else [])
        }


@functools.cache
def classified() -> Sample:
    """Hands that sign two digits."""
    shared = job_folders.shared()
    if shared is None:
        return Sample(coloured(12), coloured(8, first=500))

    def signs(dataset: str, each: int) -> list[tuple[Any, ...]]:
        folders = [shared / "data" / "classify-signdigits" / dataset / sign for sign in SIGNS]
        return [(path.read_bytes(), {folder.name: 1}) for folder in folders for path in sorted(folder.iterdir())[:each]]

    return Sample(signs("train", 6), signs("val", 4))


@functools.cache
def boxed() -> Sample:
    """Blood under a microscope: red cells, white cells and platelets, a dozen boxes a picture."""
    shared = job_folders.shared()
    if shared is None:
        return Sample(drawn_boxes(8), drawn_boxes(5, first=100))
    every = job_folders.voc(shared / "data" / "detect-bccd", "test")
    showing_all = [picture for picture in every if len({region.concept for region in picture[2]}) == 3]
    return Sample(showing_all[:8], showing_all[8:13])


@functools.cache
def outlined() -> Sample:
    """White blood cells, each with its nucleus and its cytoplasm."""
    shared = job_folders.shared()
    if shared is None:
        return Sample(drawn_outlines(12), drawn_outlines(5, first=100))
    cells = job_folders.white_blood_cells(shared / "data" / "segment-wbc1" / "val")
    return Sample(cells[:12], cells[12:17])
