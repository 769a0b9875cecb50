"""Contrastive denoising (arXiv 2203.03605, section 3.3), as RT-DETR trains with it: true boxes as queries of their own.

Of each true box there are copies with a little noise, which the decoder leads back to it, and copies with much, which
it is to call nothing. So it learns from the first step what is near an object, before the matching has settled. No
ordinary query sees a copy, and no copy sees another group's: what is found without them is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from deepft_lab.training.detection import boxes
from deepft_lab.training.detection.pictures import Target

LABEL_NOISE = 0.25  # of the copies, so many are told a concept at random: half of the paper's ratio of 0.5
BOX_NOISE = 1.0  # a corner moves by less than half a side times this; where there is to be nothing, by up to twice that


class Copies(NamedTuple):
    """Queries [n, groups x 2 x boxes]: of each group first those with little noise, then those with much.

    Images with fewer boxes than others are filled up; `present` tells what is no filling. `pairs`: of each image the
    queries that have little noise, and the places of their boxes.
    """

    labels: Tensor  # int64
    boxes: Tensor  # [n, queries, 4] centre and size, fractions of the canvas
    present: Tensor  # bool
    pairs: list[tuple[Tensor, Tensor]]
    groups: int


def copies(targets: Sequence[Target], canvas: Tensor, concepts: int, queries: int) -> Copies | None:
    """About `queries` copies with little noise, and as many with much; each box has one of both at least.

    None where no image has a box.
    """
    most = max((len(target["boxes"]) for target in targets), default=0)
    if not most:
        return None
    groups, device = max(1, queries // most), canvas.device
    labels = torch.zeros(len(targets), most, dtype=torch.long, device=device)
    corners = torch.full((len(targets), most, 4), 0.5, device=device)
    present = torch.zeros(len(targets), most, dtype=torch.bool, device=device)
    pairs = []
    starts = torch.arange(groups, device=device)[:, None] * 2 * most
    for image, target in enumerate(targets):
        count = len(target["boxes"])
        labels[image, :count] = target["labels"]
        corners[image, :count] = target["boxes"] / canvas
        present[image, :count] = True
        own = torch.arange(count, device=device)
        pairs.append(((starts + own).flatten(), own.repeat(groups)))
    labels, present = labels.repeat(1, 2 * groups), present.repeat(1, 2 * groups)
    corners = corners.repeat(1, 2 * groups, 1)
    much = torch.arange(labels.shape[1], device=device) // most % 2
    told = torch.randint(concepts, labels.shape, device=device)
    labels = torch.where(torch.rand(labels.shape, device=device) < LABEL_NOISE, told, labels)
    sides = (corners[..., 2:] - corners[..., :2]).repeat(1, 1, 2)
    away = torch.randint(2, corners.shape, device=device) * 2 - 1
    by = (torch.rand(corners.shape, device=device) + much[:, None]) * sides / 2 * BOX_NOISE
    moved = boxes.to_centre((corners + away * by).clamp(0, 1))
    moved[..., 2:].clamp_(min=0)  # corners that have crossed make a box of no size, and not again a likely one
    return Copies(labels, moved, present, pairs, groups)


def unseen(groups: int, copies_: int, queries: int, device: torch.device) -> Tensor:
    """bool [copies + queries, copies + queries]: whom each (row) does not see (column). Copies come first."""
    group = torch.arange(copies_, device=device) // max(1, copies_ // groups)
    found = torch.zeros(copies_ + queries, copies_ + queries, dtype=torch.bool, device=device)
    found[:copies_, :copies_] = group[:, None] != group
    found[copies_:, :copies_] = True
    return found
