"""RandAugment (arXiv 1909.13719) with strengths that grow with the magnitude, 0..10, on 8-bit RGB pictures.

Each image gets some operations, each drawn from the list and carried out with a chance of one half, as in the settings
that the authors of "ResNet strikes back" published.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy
from PIL import Image, ImageEnhance, ImageOps

from deepft_lab.training.recipes.parts import RandAugment

CHANCE = 0.5
GREY = (124, 116, 104)  # ImageNet's mean colour fills what comes in from outside
Operation = Callable[[Image.Image, float, float], Image.Image]  # picture, strength 0..1, sign


def randaugment(picture: Image.Image, settings: RandAugment, random: numpy.random.Generator) -> Image.Image:
    """The picture after the operations that `random` draws."""
    for _ in range(settings.operations):
        operation = OPERATIONS[random.integers(len(OPERATIONS))]
        if random.random() < CHANCE:
            magnitude = numpy.clip(random.normal(settings.magnitude, settings.deviation), 0, 10)
            picture = operation(picture, float(magnitude) / 10, 1.0 if random.random() < 0.5 else -1.0)
    return picture


def _affine(picture: Image.Image, matrix: tuple[float, float, float, float, float, float]) -> Image.Image:
    resampling = Image.Resampling.BILINEAR
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, resampling, fillcolor=GREY)


def _rotate(picture: Image.Image, strength: float, sign: float) -> Image.Image:
    return picture.rotate(30 * strength * sign, Image.Resampling.BILINEAR, fillcolor=GREY)


def _solarize_add(picture: Image.Image, strength: float, sign: float) -> Image.Image:
    added = min(128, int(110 * strength))
    return picture.point([min(255, value + added) if value < 128 else value for value in range(256)] * 3)


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda picture, strength, sign: kind(picture).enhance(max(0.1, 1 + 0.9 * strength * sign))


OPERATIONS: tuple[Operation, ...] = (
    lambda picture, strength, sign: ImageOps.autocontrast(picture),
    lambda picture, strength, sign: ImageOps.equalize(picture),
    lambda picture, strength, sign: ImageOps.invert(picture),
    _rotate,
    lambda picture, strength, sign: ImageOps.posterize(picture, max(1, 4 - int(4 * strength))),
    lambda picture, strength, sign: ImageOps.solarize(picture, 256 - int(256 * strength)),
    _solarize_add,
    _enhance(ImageEnhance.Color),
    _enhance(ImageEnhance.Contrast),
    _enhance(ImageEnhance.Brightness),
    _enhance(ImageEnhance.Sharpness),
    lambda picture, strength, sign: _affine(picture, (1, 0.3 * strength * sign, 0, 0, 1, 0)),
    lambda picture, strength, sign: _affine(picture, (1, 0, 0, 0.3 * strength * sign, 1, 0)),
    lambda picture, strength, sign: _affine(picture, (1, 0, 0.45 * strength * sign * picture.width, 0, 1, 0)),
    lambda picture, strength, sign: _affine(picture, (1, 0, 0, 0, 1, 0.45 * strength * sign * picture.height)),
)
