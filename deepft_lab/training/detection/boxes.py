"""Geometry of boxes: float tensors [n, 4] of left, top, right, bottom in pixels, unless said otherwise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.ops import batched_nms

IGNORED = 0.5  # share of a box inside an ignored region from which it is no negative example
LARGEST_GROWTH = math.log(1000 / 16)  # of a side by one regression: keeps a wild start from overflowing


def area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """[n, 4] and [m, 4] to [n, m]: the area that each pair shares."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    return (high - low).clamp(min=0).prod(2)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """[n, 4] and [m, 4] to [n, m]: shared area over united area."""
    shared = intersection(first, second)
    return shared / (area(first)[:, None] + area(second)[None] - shared).clamp(min=1e-9)


def iou_of_pairs(first: Tensor, second: Tensor) -> Tensor:
    """[n, 4] twice to [n]."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    return shared / (area(first) + area(second) - shared).clamp(min=1e-9)


def share_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """[n, 4] and [m, 4] to [n]: the largest share of a box that lies inside one of the regions."""
    if not len(regions) or not len(boxes):
        return boxes.new_zeros(len(boxes))
    return (intersection(boxes, regions) / area(boxes).clamp(min=1e-9)[:, None]).max(1).values


def giou_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """[n, 4] twice to [n]: 1 - generalised IoU (arXiv 1902.09630)."""
    low, high = torch.maximum(found[:, :2], wanted[:, :2]), torch.minimum(found[:, 2:], wanted[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    united = area(found) + area(wanted) - shared
    hull = (torch.maximum(found[:, 2:], wanted[:, 2:]) - torch.minimum(found[:, :2], wanted[:, :2])).clamp(min=0)
    hull_area = hull.prod(1).clamp(min=1e-7)
    return 1 - shared / united.clamp(min=1e-7) + (hull_area - united) / hull_area


def encode(boxes: Tensor, anchors: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Boxes as shifts and log growths from their anchors (arXiv 1311.2524, appendix C); `weights`: centre, size."""
    size, wanted = _size(anchors), _size(boxes)
    shift = (_centre(boxes) - _centre(anchors)) / size * weights[0]
    return torch.cat((shift, (wanted / size).log() * weights[1]), -1)


def decode(deltas: Tensor, anchors: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """The inverse of `encode`."""
    size = _size(anchors)
    centre = _centre(anchors) + deltas[..., :2] / weights[0] * size
    half = (deltas[..., 2:] / weights[1]).clamp(max=LARGEST_GROWTH).exp() * size / 2
    return torch.cat((centre - half, centre + half), -1)


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes cut off at the borders of a picture."""
    return torch.stack(
        (
            boxes[..., 0].clamp(0, width),
            boxes[..., 1].clamp(0, height),
            boxes[..., 2].clamp(0, width),
            boxes[..., 3].clamp(0, height),
        ),
        -1,
    )


def from_centre(boxes: Tensor) -> Tensor:
    """Centre x, centre y, width, height to corners."""
    half = boxes[..., 2:] / 2
    return torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), -1)


def to_centre(boxes: Tensor) -> Tensor:
    """Corners to centre x, centre y, width, height."""
    return torch.cat((_centre(boxes), boxes[..., 2:] - boxes[..., :2]), -1)


def suppress(
    boxes: Tensor, scores: Tensor, labels: Tensor, *, least_score: float, most_iou: float, keep: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best of the boxes, without those that overlap a better one of the same concept; highest score first."""
    sides = boxes[:, 2:] - boxes[:, :2]
    good = (scores > least_score) & (sides > 0.01).all(1)
    boxes, scores, labels = boxes[good], scores[good], labels[good]
    best = batched_nms(boxes, scores, labels, most_iou)[:keep]
    return boxes[best], scores[best], labels[best]


def _centre(boxes: Tensor) -> Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _size(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
