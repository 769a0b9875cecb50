"""A picture and its map on their way into the network: scaled, cropped, mirrored and coloured together.

The map takes the nearest neighbour, so it never holds a place that nobody drew. Everything random takes the example's
own generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from deepft_lab.masks import nearest
from deepft_lab.training.augment import Flip, resize
from deepft_lab.training.recipes.segmenter import Augment
from deepft_lab.training.segmentation.truth import UNKNOWN, Map

GRAIN = 16  # pixels: a longer side is a multiple of it, so that many pictures go through the network together
LONGEST = 4.0  # a longer side is squeezed to this many shorter ones
_TRIES = 10  # crops that are drawn until no place fills too much of one
_GREY = numpy.array([0.299, 0.587, 0.114], numpy.float32)  # luma of ITU-R BT.601


class Size(NamedTuple):
    """What `image_size` says: one value is the shorter side, two are width and height, whatever the picture's shape."""

    height: int
    width: int
    exact: bool

    def of(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a whole picture."""
        if self.exact:
            return self.height, self.width
        scale = self.height / min(height, width)
        high, wide = (
            min(round(side * scale / GRAIN) * GRAIN, round(self.height * LONGEST)) for side in (height, width)
        )
        return max(high, self.height), max(wide, self.height)


def size_of(image_size: Sequence[int] | int) -> Size:
    """The field's value, one or two numbers."""
    sides = [image_size] if isinstance(image_size, int) else list(image_size)
    return Size(sides[0], sides[0], False) if len(sides) == 1 else Size(sides[1], sides[0], True)


def train_pixels(
    picture: Tensor, truth: Map, size: Size, settings: Augment, flip: Flip, colour: Sequence[float],
    random: numpy.random.Generator,
) -> tuple[Tensor, Map]:  # fmt: skip
    """A part of the picture at a random scale: uint8 [3, height, width] and int16 [height, width].

    Where the scaled picture is smaller, the rest is filled with `colour` and unknown.
    """
    scale = random.uniform(*settings.scale)
    high, wide = (max(1, round(side * scale)) for side in size.of(*picture.shape[:2]))
    for attempt in range(_TRIES):
        (top, bottom), (left, right), place = _window(picture.shape[:2], (high, wide), size, random)
        tall, broad = min(high, size.height), min(wide, size.width)
        part = nearest(truth[top:bottom, left:right], (tall, broad))
        if settings.largest_share >= 1 or attempt == _TRIES - 1 or _largest_share(part) < settings.largest_share:
            break
    pixels = resize(picture[top:bottom, left:right], (tall, broad))
    if random.random() < flip.probability:
        axis = -1 if flip.direction == "horizontal" else -2
        pixels, part = pixels.flip(axis), numpy.flip(part, axis)
    if settings.colour:
        pixels = distort(pixels, settings.colour, random)
    if (tall, broad) == (size.height, size.width):
        return pixels, part
    return _framed(pixels, part, size, place, colour)


def test_pixels(picture: Tensor, size: Size) -> Tensor:
    """The whole picture: uint8 [3, height, width]."""
    return resize(picture, size.of(*picture.shape[:2]))


def distort(pixels: Tensor, strength: float, random: numpy.random.Generator) -> Tensor:
    """Brightness, contrast and saturation (arXiv 1512.02325, section 2.2), each for half of the pictures.

    At strength 1: brightness by up to an eighth of the range, the others by a factor of 0.5 to 1.5.
    """
    chosen = random.random(3) < 0.5
    amounts = random.uniform(-strength, strength, 3)
    image = pixels.permute(1, 2, 0).numpy().astype(numpy.float32)
    if chosen[0]:
        image += amounts[0] * 32
    if chosen[1]:
        image *= 1 + amounts[1] / 2
    if chosen[2]:
        grey = (image @ _GREY)[..., None]
        image = grey + (image - grey) * (1 + amounts[2] / 2)
    return torch.from_numpy(numpy.clip(image, 0, 255).astype(numpy.uint8)).permute(2, 0, 1)


def _window(
    picture: Sequence[int], scaled: tuple[int, int], size: Size, random: numpy.random.Generator
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Rows and columns of the picture that are seen, and where they lie in the network's image."""
    spans, places = [], []
    for side, length, wanted in zip(picture, scaled, (size.height, size.width), strict=True):
        if length <= wanted:
            spans.append((0, int(side)))
            places.append(int(random.integers(wanted - length + 1)))
            continue
        start = int(random.integers(length - wanted + 1))
        first = min(int(start * side / length), side - 1)
        spans.append((first, max(first + 1, min(int(side), round((start + wanted) * side / length)))))
        places.append(0)
    return spans[0], spans[1], (places[0], places[1])


def _largest_share(part: Map) -> float:
    """Share of the most frequent place among the known pixels; below two places there is nothing to choose (0)."""
    counts = numpy.bincount(part.ravel().astype(numpy.int64) + 1)[1:]
    return float(counts.max() / counts.sum()) if counts.any() and part.max() > 0 else 0.0


def _framed(
    pixels: Tensor, part: Map, size: Size, place: tuple[int, int], colour: Sequence[float]
) -> tuple[Tensor, Map]:
    image = torch.tensor([round(value * 255) for value in colour], dtype=torch.uint8)[:, None, None]
    image = image.expand(3, size.height, size.width).clone()
    truth = numpy.full((size.height, size.width), UNKNOWN, numpy.int16)
    top, left = place
    image[:, top : top + part.shape[0], left : left + part.shape[1]] = pixels
    truth[top : top + part.shape[0], left : left + part.shape[1]] = part
    return image, truth
