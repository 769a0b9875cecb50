"""Pictures of discs and squares whose outlines are known: a disc as a mask, a square as a polygon."""

from __future__ import annotations

import io

import job_folders
import numpy
from PIL import Image

from deepft_lab.records import Region

Outlined = tuple[bytes, dict[str, int], list[Region]]


def outlined(count: int, first: int = 0, size: tuple[int, int] = (56, 44)) -> list[Outlined]:
    """`count` pictures; every fourth shows nothing."""
    return [_picture(first + place, size, empty=place % 4 == 3) for place in range(count)]


def _picture(seed: int, size: tuple[int, int], *, empty: bool) -> Outlined:
    random = numpy.random.default_rng(seed)
    width, height = size
    pixels = random.integers(90, 130, (height, width, 3))
    regions = []
    if not empty:
        x, y = random.integers(10, width // 2 - 4), random.integers(10, height - 10)
        rows, columns = numpy.mgrid[:height, :width]
        disc = (rows - y) ** 2 + (columns - x) ** 2 <= 64
        pixels[disc] = (200, 60, 60)
        left, top, side = random.integers(width // 2 + 2, width - 16), random.integers(2, height - 16), 14
        pixels[top : top + side, left : left + side] = (60, 60, 200)
        ring = [left, top, left + side, top, left + side, top + side, left, top + side]
        points = [float(value) / (width, height)[place % 2] for place, value in enumerate(ring)]
        box = (points[0], points[1], points[2], points[5])
        regions = [
            job_folders.mask_region("disc", disc),
            Region(kind="polygon", concept="square", box=box, polygons=[points]),
        ]
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(numpy.uint8)).save(buffer, "PNG")
    return buffer.getvalue(), {}, regions
