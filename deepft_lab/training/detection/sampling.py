"""Which anchors and regions a two-stage detector learns from: by overlap, then a random sample (arXiv 1506.01497)."""

from __future__ import annotations

import torch
from torch import Tensor

from deepft_lab.training.detection import boxes, ignored
from deepft_lab.training.detection.pictures import Target
from deepft_lab.training.recipes.detector import TwoStage


def assign_anchors(every: Tensor, size: Tensor, target: Target, limits: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """For each anchor 1 (an object), 0 (none) or -1 (not to be learned from), and the place of its box.

    Where any concept is open an anchor says nothing against there being an object.
    """
    wanted = target["boxes"]
    labels = every.new_zeros(len(every))
    nearest = torch.zeros(len(every), dtype=torch.long, device=every.device)
    if len(wanted):
        overlap = boxes.iou(wanted, every)
        most, nearest = overlap.max(0)
        labels[most >= limits[0]] = -1
        labels[most >= limits[1]] = 1
        best = overlap.max(1, keepdim=True).values
        closest = ((overlap == best) & (best > 0)).any(0)  # each box has one anchor at least
        labels[closest] = 1
    if len(target["ignored"]):
        inside = boxes.share_inside(ignored.in_picture(every, size), target["ignored"])
        labels[(labels == 0) & (inside > boxes.IGNORED)] = -1
    middle = (every[:, :2] + every[:, 2:]) / 2
    outside = (middle[:, 0] > size[1]) | (middle[:, 1] > size[0])  # on the canvas beside the picture
    labels[outside & (labels == 0)] = -1
    return labels, nearest


def sample_regions(
    found: Tensor, size: Tensor, target: Target, settings: TwoStage, concepts: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Regions to learn from, their labels (0: background), their true boxes, and which concepts are open there."""
    wanted = target["boxes"]
    regions = torch.cat((found, wanted, *(_moved(wanted) for _ in range(settings.jittered))))
    labels = torch.zeros(len(regions), dtype=torch.long, device=regions.device)
    true = regions.clone()
    if len(wanted):
        most, nearest = boxes.iou(regions, wanted).max(1)
        labels = torch.where(most >= 0.5, target["labels"][nearest] + 1, labels)
        true = wanted[nearest]
    unknown = ignored.unknown(regions, size, target, concepts)
    labels[(labels == 0) & unknown.all(1)] = -1
    groups = labels if settings.balanced else None
    positive, negative = sample(labels > 0, labels == 0, settings.region_samples, settings.region_positives, groups)
    chosen = torch.cat((positive, negative))
    return regions[chosen], labels[chosen], true[chosen], unknown[chosen]


def sample(
    positive: Tensor, negative: Tensor, count: int, share: float, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Places of at most `count`, of which `share` at most are positive, drawn at random.

    With `groups` the positives of each group together are as likely as those of any other.
    """
    yes, no = positive.nonzero()[:, 0], negative.nonzero()[:, 0]
    wanted = min(len(yes), int(count * share))
    if groups is None or wanted == len(yes):
        yes = yes[torch.randperm(len(yes), device=yes.device)[:wanted]]
    else:
        own = groups[yes]
        yes = yes[torch.multinomial(1 / torch.bincount(own)[own].float(), wanted)]
    no = no[torch.randperm(len(no), device=no.device)[: count - wanted]]
    return yes, no


def _moved(some: Tensor) -> Tensor:
    """Boxes moved by up to a tenth of their sides, and up to a fifth larger or smaller."""
    sides = some[:, 2:] - some[:, :2]
    middle = (some[:, :2] + some[:, 2:]) / 2 + (torch.rand_like(sides) - 0.5) * 0.2 * sides
    half = sides * (1 + (torch.rand_like(sides) - 0.5) * 0.4) / 2
    return torch.cat((middle - half, middle + half), 1)
