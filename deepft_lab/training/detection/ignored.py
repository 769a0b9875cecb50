"""What is not known of a place: whether a concept is there that an ignored region leaves open.

An ignored region bears one concept or stands for all of them (EVERY). A label that nobody has drawn is such a region
over the whole picture. A place inside says nothing against a concept that is open there; of all others it is an
example as any other place is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepft_lab.training.detection import boxes
from deepft_lab.training.detection.pictures import Target

EVERY = -1  # the label of an ignored region that stands for all concepts


def unknown(some: Tensor, size: Tensor, target: Target, concepts: int) -> Tensor:
    """bool [n, concepts]: whether the concept is open at each of the boxes [n, 4] in a picture of (height, width)."""
    regions, labels = target["ignored"], target["ignored_labels"]
    if len(regions):
        some = in_picture(some, size)
    found = torch.zeros(len(some), concepts, dtype=torch.bool, device=some.device)
    for label in labels.unique().tolist():  # a few at most; all pairs of regions and concepts would not fit
        place = slice(None) if label == EVERY else slice(label, label + 1)
        inside = boxes.share_inside(some, regions[labels == label]) > boxes.IGNORED
        found[:, place] |= inside[:, None]
    return found


def in_picture(some: Tensor, size: Tensor) -> Tensor:
    """What lies in the picture: of a box that is larger nothing can be drawn beside it."""
    return torch.minimum(some.clamp(min=0), size.flip(0).repeat(2).to(some))


def masked(logits: Tensor, labels: Tensor, open_: Tensor) -> Tensor:
    """Logits [..., 1 + concepts] of a softmax whose first is the background, without the concepts that are open.

    They then take no part in it, unless they are the label [...] (0 is the background).
    """
    concepts = torch.arange(1, logits.shape[-1], device=logits.device)
    left_out = open_ & (labels[..., None] != concepts)
    none = torch.zeros_like(left_out[..., :1])
    return logits.masked_fill(torch.cat((none, left_out), -1), -torch.inf)
