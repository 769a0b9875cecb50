"""Pixels on their way into the network: crops of stored pictures (uint8), then batches (float32).

Everything random takes a generator that is seeded by (seed, epoch, position), so a run can be replayed with any number
of loading processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from deepft_lab.training.randaugment import randaugment
from deepft_lab.training.recipes.parts import Augment


class Flip(NamedTuple):
    probability: float
    direction: str  # horizontal or vertical


def flip_of(values: Mapping[str, Any]) -> Flip:
    """What the hyperparameters say of mirroring."""
    return Flip(values.get("flip_probability", 0.0), values.get("flip_direction", "horizontal"))


def empty_batch(count: int, height: int, width: int) -> Tensor:
    """uint8 [count, 3, height, width], channels last, to be filled."""
    return torch.empty((count, 3, height, width), dtype=torch.uint8, memory_format=torch.channels_last)


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 [height, width, 3] to uint8 [3, *size]; bilinear, antialiased."""
    return functional.interpolate(_as_image(picture), size=size, mode="bilinear", antialias=True)[0]


def train_images(
    pictures: Sequence[Tensor], size: int, settings: Augment, flip: Flip, randoms: Sequence[numpy.random.Generator]
) -> Tensor:
    """A random part of each picture, perhaps mirrored and changed: uint8 [n, 3, size, size], channels last."""
    images = empty_batch(len(pictures), size, size)
    for place, (picture, random) in enumerate(zip(pictures, randoms, strict=True)):
        _train_pixels(picture, settings, flip, random, images[place : place + 1])
    return images


def train_pixels(picture: Tensor, size: int, settings: Augment, flip: Flip, random: numpy.random.Generator) -> Tensor:
    """`train_images` of one picture: uint8 [3, size, size]."""
    return train_images([picture], size, settings, flip, [random])[0]


def _train_pixels(
    picture: Tensor, settings: Augment, flip: Flip, random: numpy.random.Generator, image: Tensor
) -> None:
    """Fills `image`, uint8 [1, 3, size, size], where it lies: no pixel is copied twice."""
    top, left, height, width = _random_box(picture.shape[0], picture.shape[1], settings, random)
    part = _as_image(picture[top : top + height, left : left + width])
    torch.ops.aten._upsample_bilinear2d_aa.out(part, image.shape[2:], False, None, None, out=image)
    if random.random() < flip.probability:
        image.copy_(image.flip(-1 if flip.direction == "horizontal" else -2))
    if settings.randaugment is not None:
        pixels = image[0].permute(1, 2, 0)
        changed = randaugment(Image.fromarray(pixels.numpy()), settings.randaugment, random)
        pixels.copy_(torch.from_numpy(numpy.array(changed)))


def _as_image(picture: Tensor) -> Tensor:
    """uint8 [height, width, 3] as [1, 3, height, width], channels last, without a copy."""
    return picture.permute(2, 0, 1)[None]


def test_pixels(picture: Tensor, size: int, crop: float) -> Tensor:
    """The middle of the picture, as validation and prediction see it: uint8 [3, size, size].

    The shorter side is scaled so that `crop` of it is seen.
    """
    height, width = picture.shape[:2]
    scale = size / crop / min(height, width)
    high, wide = max(size, round(height * scale)), max(size, round(width * scale))
    pixels = resize(picture, (high, wide))
    top, left = (high - size) // 2, (wide - size) // 2
    return pixels[:, top : top + size, left : left + size]


def normalise(pixels: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """uint8 [n, 3, h, w] to float32, channels last, with mean 0 and deviation 1 a channel, where it lies.

    Computed over whole rows of pixels: over three channels at a time it takes four times as long.
    """
    count, channels, height, width = pixels.shape
    rows = pixels.permute(0, 2, 3, 1).reshape(count, height, width * channels).float()
    rows.sub_(_row(tuple(mean), width, pixels.device))
    rows.div_(_row(tuple(deviation), width, pixels.device))
    return rows.view(count, height, width, channels).permute(0, 3, 1, 2)


@lru_cache(maxsize=64)
def _row(channels: tuple[float, ...], width: int, device: torch.device) -> Tensor:
    """A value of each channel for each pixel of a row. Kept: a GPU would wait for its copy in every step."""
    return torch.tensor(channels, device=device).mul_(255).repeat(width)


def mix(
    pixels: Tensor, targets: Tensor, settings: Augment, threshold: float | None, random: numpy.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup (arXiv 1710.09412) or cutmix (arXiv 1905.04899) of a batch with its own reverse; one of them a batch.

    With a `threshold` a concept is fully present in the mixed image when its image's share is above; else by its share.
    """
    kinds = [kind for kind, alpha in (("mixup", settings.mixup), ("cutmix", settings.cutmix)) if alpha > 0]
    if not kinds or len(pixels) < 2:
        return pixels, targets
    other, other_targets = pixels.flip(0), targets.flip(0)
    if kinds[random.integers(len(kinds))] == "mixup":
        share = float(random.beta(settings.mixup, settings.mixup))
        pixels = pixels * share + other * (1 - share)
    else:
        share = float(random.beta(settings.cutmix, settings.cutmix))
        height, width = pixels.shape[-2:]
        high, wide = round(height * math.sqrt(1 - share)), round(width * math.sqrt(1 - share))
        top, left = int(random.integers(height - high + 1)), int(random.integers(width - wide + 1))
        pixels = pixels.clone()
        pixels[..., top : top + high, left : left + wide] = other[..., top : top + high, left : left + wide]
        share = 1 - high * wide / (height * width)
    return pixels, _mixed_targets(targets, other_targets, share, threshold)


def _mixed_targets(own: Tensor, other: Tensor, share: float, threshold: float | None) -> Tensor:
    """Unknown (below 0) stays unknown, unless the other image says that the concept is there."""
    if threshold is None:
        mixed = own * share + other * (1 - share)
        return torch.where((own < 0) | (other < 0), torch.full_like(own, -1.0), mixed)
    own = own if share > threshold else torch.zeros_like(own)
    other = other if 1 - share > threshold else torch.zeros_like(other)
    highest = torch.maximum(own, other)
    return torch.where((highest < 1) & ((own < 0) | (other < 0)), torch.full_like(own, -1.0), highest)


def _random_box(
    height: int, width: int, settings: Augment, random: numpy.random.Generator
) -> tuple[int, int, int, int]:
    """Top, left, height, width of a box whose area and shape are drawn; after ten misses the largest allowed shape."""
    low, high = math.log(settings.crop_ratio[0]), math.log(settings.crop_ratio[1])
    for _ in range(10):
        area = height * width * random.uniform(*settings.crop_scale)
        ratio = math.exp(random.uniform(low, high))
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
            return int(top), int(left), tall, wide
    wide = min(width, max(1, round(height * settings.crop_ratio[1])))
    tall = min(height, max(1, round(width / settings.crop_ratio[0])))
    return (height - tall) // 2, (width - wide) // 2, tall, wide
