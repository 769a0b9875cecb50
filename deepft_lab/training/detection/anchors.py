"""Anchors: boxes of fixed shapes around every place of a feature map; and shapes that fit the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import torch
from torch import Tensor

ODD = (1, 99)  # percentiles of the areas beyond which boxes are left out of the fit
ROUNDS = 100  # of k-means at most; it settles after ten or twenty


def grid(shapes: Tensor, sizes: Sequence[tuple[int, int]], strides: Sequence[int], offset: float = 0.5) -> list[Tensor]:
    """Anchors [height x width x shapes, 4] of each level, row by row.

    `shapes`: [levels, shapes, 2] width and height in pixels, 0 where a level has fewer; `sizes`: height and width of
    the levels' maps; `offset`: where in a place its anchors' middle lies, 0.5 is the middle.
    """
    found = []
    for own, (height, width), stride in zip(shapes, sizes, strides, strict=True):
        middle = centres(height, width, stride, own.device, offset)
        half = own[(own > 0).all(1)] / 2
        found.append(torch.cat((middle[:, None] - half, middle[:, None] + half), 2).reshape(-1, 4))
    return found


def centres(height: int, width: int, stride: int, device: torch.device, offset: float = 0.5) -> Tensor:
    """[height x width, 2]: x and y of the middle of each place, row by row."""
    y = (torch.arange(height, device=device, dtype=torch.float32) + offset) * stride
    x = (torch.arange(width, device=device, dtype=torch.float32) + offset) * stride
    return torch.stack((x.repeat(height), y.repeat_interleave(width)), 1)


def regular(strides: Sequence[int], scales: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """[levels, ratios x scales, 2]: `scale` x stride squares, stretched to each ratio of width over height."""
    return torch.tensor(
        [[(stride * s * r**0.5, stride * s / r**0.5) for r in ratios for s in scales] for stride in strides]
    )


def of_ssd(side: int, scales: Sequence[float], ratios: Sequence[Sequence[float]]) -> Tensor:
    """[levels, shapes, 2]: SSD's boxes (arXiv 1512.02325, section 2.2) for pictures of a side; 0 fills up.

    Each level has a square of its scale, one between its own and the next, and each ratio lying and standing.
    """
    levels = []
    for scale, following, own in zip(scales, scales[1:], ratios, strict=False):
        between = (scale * following) ** 0.5
        shapes = [(scale, scale), (between, between)]
        for ratio in own:
            root = ratio**0.5
            shapes += [(scale * root, scale / root), (scale / root, scale * root)]
        levels.append(shapes)
    most = max(map(len, levels))
    return torch.tensor([shapes + [(0.0, 0.0)] * (most - len(shapes)) for shapes in levels]) * side


def fitted(sides: numpy.ndarray, levels: int, each: int) -> Tensor | None:
    """[levels, each, 2]: shapes that overlap the boxes of widths and heights `sides` [n, 2] best, smallest first.

    k-means whose distance is 1 - IoU of boxes with one centre (arXiv 1612.08242). Deterministic: it starts at evenly
    spaced areas. None where there are no boxes.
    """
    sides = sides[(sides > 0).all(1)]
    if not len(sides):
        return None
    areas = sides.prod(1)
    least, most = numpy.percentile(areas, ODD)  # a few boxes drawn by mistake should not have an anchor
    sides = sides[(areas >= least) & (areas <= most)]
    # Evenly over the sizes, not over the boxes, so that a rare size gets its anchor too.
    by_area = sides[numpy.argsort(sides.prod(1), kind="stable")]
    start, end = numpy.log(by_area[[0, -1]].prod(1)).tolist()
    wanted = numpy.exp(numpy.linspace(start, end, levels * each))
    shapes = by_area[numpy.abs(by_area.prod(1)[None] - wanted[:, None]).argmin(1)]
    for _ in range(ROUNDS):
        shared = numpy.minimum(sides[:, None], shapes[None]).prod(2)
        overlap = shared / (sides.prod(1)[:, None] + shapes.prod(1)[None] - shared)
        nearest = overlap.argmax(1)
        moved = numpy.stack(
            [
                numpy.median(sides[nearest == place], 0) if (nearest == place).any() else shape
                for place, shape in enumerate(shapes)
            ]
        )
        if numpy.allclose(moved, shapes):
            break
        shapes = moved
    ordered = shapes[numpy.argsort(shapes.prod(1), kind="stable")]
    return torch.from_numpy(ordered.astype(numpy.float32)).reshape(levels, each, 2)
