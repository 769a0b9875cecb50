"""Which anchors answer for which box. A label is a concept, NONE, or UNKNOWN, which nothing is learned from."""

from __future__ import annotations

import torch
from torch import Tensor

from deepft_lab.training.detection import boxes
from deepft_lab.training.detection.pictures import Target

NONE, UNKNOWN = -1, -2
NEAREST = 4  # anchors, and as many predictions, that answer for each box in uniform matching


def overlap(every: Tensor, target: Target, low: float, high: float) -> tuple[Tensor, Tensor]:
    """By IoU: from `high` on an anchor answers for its box, below `low` for none. Each box has one anchor at least."""
    wanted = target["boxes"]
    labels = torch.full((len(every),), NONE, device=every.device)
    if not len(wanted):
        return labels, torch.zeros_like(labels)
    shared = boxes.iou(wanted, every)
    most, nearest = shared.max(0)
    labels[most >= low] = UNKNOWN
    sure = most >= high
    best = shared.max(1)
    owned = best.values > 0
    nearest[best.indices[owned]] = torch.arange(len(wanted), device=every.device)[owned]
    sure[best.indices[owned]] = True
    labels[sure] = target["labels"][nearest[sure]]
    return labels, nearest


def uniform(every: Tensor, placed: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """YOLOF's: each box, large or small, gets its nearest anchors and the anchors of its nearest predictions.

    An anchor that hardly touches its box is not learned from; nor is one whose prediction is good though it was not
    chosen. `placed`: the predictions [n, 4].
    """
    wanted = target["boxes"]
    labels = torch.full((len(every),), NONE, device=every.device)
    nearest = torch.zeros_like(labels)
    if not len(wanted):
        return labels, nearest
    labels[boxes.iou(placed, wanted).max(1).values > 0.7] = UNKNOWN
    aim = boxes.to_centre(wanted)
    count = min(NEAREST, len(every))
    shared = boxes.iou(every, wanted)
    for start in (placed, every):
        distance = torch.cdist(boxes.to_centre(start), aim, p=1)
        chosen = distance.topk(count, 0, largest=False).indices  # [count, boxes]
        place = torch.arange(len(wanted), device=every.device).expand_as(chosen)
        chosen, place = chosen.flatten(), place.flatten()
        touching = shared[chosen, place] >= 0.15
        own = torch.where(touching, target["labels"][place], torch.full_like(place, UNKNOWN))
        # An anchor that is already sure of another box stays with it.
        free = labels[chosen] < 0
        labels[chosen[free]] = own[free]
        nearest[chosen[free]] = place[free]
    return labels, nearest
