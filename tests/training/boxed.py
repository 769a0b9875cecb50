"""Drawn pictures with boxes: red and green rectangles on a dark ground, which a detector learns to find."""

from __future__ import annotations

import io

import numpy
from PIL import Image

from deepft_lab.records import Region

COLOURS = {"red": (220, 40, 40), "green": (40, 220, 40)}


def boxed(
    count: int, first: int = 0, size: tuple[int, int] = (96, 80)
) -> list[tuple[bytes, dict[str, int], list[Region]]]:
    """`count` pictures of (width, height), each with one to three rectangles; the first of ten has none."""
    found = []
    for seed in range(first, first + count):
        random = numpy.random.default_rng(seed)
        width, height = size
        pixels = random.integers(0, 60, (height, width, 3), dtype=numpy.uint8)
        regions = []
        for _ in range(int(random.integers(1, 4)) if seed % 10 else 0):
            name = ("red", "green")[int(random.integers(2))]
            wide, high = (int(side) for side in random.integers(20, 40, 2))
            left, top = int(random.integers(width - wide)), int(random.integers(height - high))
            pixels[top : top + high, left : left + wide] = COLOURS[name]
            box = (left / width, top / height, (left + wide) / width, (top + high) / height)
            regions.append(Region(concept=name, box=box))
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        found.append((buffer.getvalue(), {}, regions))
    return found
