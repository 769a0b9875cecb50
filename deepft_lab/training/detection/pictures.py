"""Pictures and their boxes on the way into a detector: sizes, random changes, one canvas a batch.

A target is a dictionary of tensors: `boxes` float32 [n, 4] and `labels` int64 [n]; `ignored` float32 [m, 4] and
`ignored_labels` int64 [m], -1 for every concept. In a manifest's targets boxes are fractions of the picture, in a
batch's they are pixels of its canvas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

from deepft_lab.training.augment import Flip, empty_batch, resize
from deepft_lab.training.detection import boxes as geometry
from deepft_lab.training.recipes.detector import BoxAugment

Target = dict[str, Tensor]
DIVISOR = 32  # a canvas's sides are multiples of the coarsest stride
LEAST_SEEN = 0.3  # share of a box that must stay in the picture: what is cut off further is neither there nor absent
MAX_ASPECT = 5 / 3  # of the longer side to the shorter where no field says; detectors commonly cap 800 at 1333
FILL = (124, 116, 104)  # the mean colour, so that what is around a picture becomes nearly zero


def shown_size(
    sides: Sequence[int], values: Mapping[str, Any], image_size: Sequence[int] | None = None
) -> tuple[int, int]:
    """Height and width at which the network sees a picture of this height and width.

    One value of `image_size` is the shorter side (a square without `keep_aspect_ratio`), two are width and height.
    """
    height, width = int(sides[0]), int(sides[1])
    wanted = [int(value) for value in (image_size or values["image_size"])]
    keep = values.get("keep_aspect_ratio", len(wanted) == 1)
    if not keep:
        return wanted[-1], wanted[0]
    if len(wanted) == 1:
        longest = wanted[0] * float(values.get("max_aspect_ratio") or MAX_ASPECT)
        scale = min(wanted[0] / min(height, width), longest / max(height, width))
    else:
        scale = min(wanted[1] / height, wanted[0] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def drawn_size(values: Mapping[str, Any], random: numpy.random.Generator) -> list[int]:
    """An image size between `random_resize_lower` and `random_resize_upper`; both are empty: the image size."""
    fixed = [int(side) for side in values["image_size"]]
    low, high = (values.get(f"random_resize_{end}") or fixed for end in ("lower", "upper"))
    if list(low) == list(high):
        return list(low)
    share = random.random()
    return [
        round(low[min(i, len(low) - 1)] + share * (high[min(i, len(high) - 1)] - low[min(i, len(low) - 1)]))
        for i in range(max(len(low), len(high)))
    ]


def plain(picture: Tensor, target: Target | None, size: tuple[int, int]) -> tuple[Tensor, Target | None]:
    """A picture (uint8 [h, w, 3]) at its size: uint8 [3, *size], and its boxes in pixels."""
    return resize(picture, size), None if target is None else scaled(target, size)


def changed(
    picture: Tensor, target: Target, size: tuple[int, int], settings: BoxAugment, flip: Flip,
    random: numpy.random.Generator,
) -> tuple[Tensor, Target]:  # fmt: skip
    """A picture zoomed, shifted, mirrored and recoloured at random, and its boxes with it."""
    height, width = size
    zoom = 1.0
    if settings.zoom != (1.0, 1.0) and random.random() < settings.zoom_probability:
        zoom = math.exp(random.uniform(math.log(settings.zoom[0]), math.log(settings.zoom[1])))
    high, wide = max(1, round(height * zoom)), max(1, round(width * zoom))
    top, left = (int(random.integers(min(0, room), max(0, room) + 1)) for room in (height - high, width - wide))
    if settings.shift:
        top, left = (edge + int(random.integers(-settings.shift, settings.shift + 1)) for edge in (top, left))
    pixels = _placed(picture, (high, wide), (top, left), size)
    target = moved(scaled(target, (high, wide)), top, left, size)
    if random.random() < flip.probability:
        pixels, target = mirrored(pixels, target, flip.direction)
    return recoloured(pixels, settings, random), target


def scaled(target: Target, size: tuple[int, int]) -> Target:
    """Fractions to pixels of a picture of this height and width."""
    sides = torch.tensor([size[1], size[0], size[1], size[0]], dtype=torch.float32)
    return {**target, "boxes": target["boxes"] * sides, "ignored": target["ignored"] * sides}


def moved(target: Target, top: int, left: int, size: tuple[int, int]) -> Target:
    """Boxes shifted and cut to a canvas. Those of which too little is left are ignored from there on, not absent."""
    offset = torch.tensor([left, top, left, top], dtype=torch.float32)
    boxes, ignored = target["boxes"] + offset, target["ignored"] + offset
    cut, cut_ignored = (geometry.clip(some, size[0], size[1]) for some in (boxes, ignored))
    left_over = geometry.area(cut)
    kept = left_over >= LEAST_SEEN * geometry.area(boxes)
    rest = ~kept & (left_over > 0)
    still = geometry.area(cut_ignored) > 0
    return {
        **target,
        "boxes": cut[kept],
        "labels": target["labels"][kept],
        "ignored": torch.cat((cut_ignored[still], cut[rest])),
        "ignored_labels": torch.cat((target["ignored_labels"][still], target["labels"][rest])),
    }


def mirrored(pixels: Tensor, target: Target, direction: str) -> tuple[Tensor, Target]:
    horizontal = direction == "horizontal"
    length = pixels.shape[-1 if horizontal else -2]
    low, high = (0, 2) if horizontal else (1, 3)
    flipped = {}
    for name in ("boxes", "ignored"):
        boxes = target[name].clone()
        boxes[:, low], boxes[:, high] = length - target[name][:, high], length - target[name][:, low]
        flipped[name] = boxes
    return pixels.flip(-1 if horizontal else -2), {**target, **flipped}


def recoloured(pixels: Tensor, settings: BoxAugment, random: numpy.random.Generator) -> Tensor:
    """Brightness, contrast and saturation changed by a random share each; uint8 [3, h, w]."""
    ranges = (settings.brightness, settings.contrast, settings.saturation)
    if not any(ranges):
        return pixels
    bright, contrast, saturation = (1 + random.uniform(-share, share) for share in ranges)
    found = pixels.float()
    grey = found.mean(0, keepdim=True)
    found = grey + (found - grey) * saturation
    middle = grey.mean()
    return ((found - middle) * contrast + middle).mul_(bright).clamp_(0, 255).to(torch.uint8)


def canvas_of(size: Sequence[int]) -> tuple[int, int]:
    """Height and width of the least canvas for a picture of this height and width."""
    height, width = (math.ceil(side / DIVISOR) * DIVISOR for side in size)
    return height, width


def together(pictures: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """One canvas for all, each picture at its top left corner: uint8 [n, 3, h, w], and int64 [n, 2] of their sizes."""
    sizes = torch.tensor([picture.shape[1:] for picture in pictures])
    height, width = canvas_of(sizes.max(0).values.tolist())
    canvas = empty_batch(len(pictures), height, width)
    for place, picture in enumerate(pictures):
        high, wide = picture.shape[1:]
        canvas[place, :, :high, :wide] = picture
        for channel, value in enumerate(FILL):
            canvas[place, channel, high:] = value
            canvas[place, channel, :high, wide:] = value
    return canvas, sizes


def _placed(picture: Tensor, shown: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """A picture scaled to `shown` and laid with its corner at (top, left) on a canvas of `size`; only what is seen
    is computed."""
    spans = []
    for length, edge, room, source in zip(shown, corner, size, picture.shape[:2], strict=True):
        first, last = max(0, edge), min(room, edge + length)  # on the canvas
        low = math.floor((first - edge) * source / length)
        high = math.ceil((last - edge) * source / length)
        spans.append((first, max(last, first), max(0, low), min(source, max(high, low + 1))))
    (top, bottom, low_y, high_y), (left, right, low_x, high_x) = spans
    if (top, left, bottom, right) == (0, 0, *size):
        return resize(picture[low_y:high_y, low_x:high_x], size)
    canvas = torch.tensor(FILL, dtype=torch.uint8)[:, None, None].repeat(1, *size)
    if bottom > top and right > left:
        canvas[:, top:bottom, left:right] = resize(picture[low_y:high_y, low_x:high_x], (bottom - top, right - left))
    return canvas
