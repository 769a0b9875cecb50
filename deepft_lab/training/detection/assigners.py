"""Which anchors answer for which box. A label is a concept, NONE, or UNKNOWN, which nothing is learned from."""

from __future__ import annotations

import torch
from torch import Tensor

from deepft_lab.training.detection import boxes
from deepft_lab.training.detection.pictures import Target

NONE, UNKNOWN = -1, -2
NEAREST = 4  # anchors, and as many predictions, that answer for each box in uniform matching


def overlap(every: Tensor, target: Target, low: float, high: float) -> tuple[Tensor, Tensor]:
    """By IoU: from `high` on an anchor answers for its box, below `low` for none. Each box has an anchor of its own."""
    wanted = target["boxes"]
    labels = torch.full((len(every),), NONE, device=every.device)
    if not len(wanted):
        return labels, torch.zeros_like(labels)
    shared = boxes.iou(wanted, every)
    most, nearest = shared.max(0)
    labels[most >= low] = UNKNOWN
    own = _own(shared)
    sure = (most >= high) | (own >= 0)
    nearest = torch.where(own >= 0, own, nearest)
    labels[sure] = target["labels"][nearest[sure]]
    return labels, nearest


def _own(shared: Tensor) -> Tensor:
    """For each anchor the box whose best one it is, or -1. `shared`: IoU [boxes, anchors].

    Of two boxes with the same best anchor the one that overlaps it more has it, the first of equal ones, and the other
    takes its best of the rest (arXiv 1512.02325, section 2.2). No place is written twice, which a GPU would do in any
    order.
    """
    own = torch.full((shared.shape[1],), -1, device=shared.device)
    waiting, left = torch.arange(len(shared), device=shared.device), shared
    while len(waiting):
        best, place = left.max(1)
        claims = torch.zeros_like(left).scatter_(1, place[:, None], best[:, None])
        most, winner = claims.max(0)
        given = most > 0
        own = torch.where(given, waiting[winner], own)
        beaten = (best > 0) & (own[place] != waiting)
        waiting, left = waiting[beaten], left[beaten].masked_fill(given, 0)
    return own


def uniform(every: Tensor, placed: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """YOLOF's: each box, large or small, gets its nearest anchors and the anchors of its nearest predictions.

    An anchor that hardly touches its box is not learned from; nor is one whose prediction is good though it was not
    chosen. Of several boxes that choose an anchor it answers for one that it touches, and of these for the nearest.
    `placed`: the predictions [n, 4].
    """
    wanted = target["boxes"]
    labels = torch.full((len(every),), NONE, device=every.device)
    nearest = torch.zeros_like(labels)
    if not len(wanted):
        return labels, nearest
    labels[boxes.iou(placed, wanted).max(1).values > 0.7] = UNKNOWN
    aim = boxes.to_centre(wanted)
    count = min(NEAREST, len(every))
    chosen = torch.zeros(len(every), len(wanted), dtype=torch.bool, device=every.device)
    for start in (placed, every):
        distance = torch.cdist(boxes.to_centre(start), aim, p=1)
        chosen.scatter_(0, distance.topk(count, 0, largest=False).indices, True)
    labels[chosen.any(1)] = UNKNOWN
    touched = chosen & (boxes.iou(every, wanted) >= 0.15)
    sure = touched.any(1)
    nearest = distance.masked_fill(~touched, torch.inf).argmin(1)
    labels[sure] = target["labels"][nearest[sure]]
    return labels, nearest
