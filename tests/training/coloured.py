"""Pictures of one colour with noise, which a network learns to tell apart in seconds."""

from __future__ import annotations

import io

import numpy
from PIL import Image

COLOURS = {"red": (200, 40, 40), "blue": (40, 40, 200), "green": (40, 200, 40)}


def picture(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (40, 36)) -> bytes:
    """A PNG of one colour with noise over it."""
    noise = numpy.random.default_rng(seed).integers(-35, 35, (size[1], size[0], 3))
    pixels = numpy.clip(numpy.array(colour) + noise, 0, 255).astype(numpy.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def coloured(
    count: int, names: tuple[str, ...] = ("red", "blue"), first: int = 0
) -> list[tuple[bytes, dict[str, int]]]:
    """`count` pictures, the colours in turn; each bears its colour as the one positive concept."""
    chosen = [names[place % len(names)] for place in range(count)]
    return [(picture(COLOURS[name], first + place), {name: 1}) for place, name in enumerate(chosen)]
