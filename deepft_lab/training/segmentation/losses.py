"""Losses of maps: means over examples, so a batch gives the same in parts. Unknown pixels count for nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.segmenter import Loss
from deepft_lab.training.segmentation.truth import UNKNOWN


def loss(logits: list[Tensor], targets: Tensor, settings: Loss, weights: Tensor | None = None) -> Tensor:
    """`logits`: [n, places, h, w] of the head, then of the auxiliary head where the network has one.

    `targets`: integers [n, height, width]. Logits are enlarged to the targets (bilinear).
    `weights`: of each place in the cross-entropy.
    """
    wanted = targets.long()
    total = torch.zeros((), device=targets.device)
    base = cross_entropy if settings.name == "cross_entropy" else _installed(settings)
    for turn, part in enumerate(logits):
        enlarged = enlarge(part, wanted.shape[-2], wanted.shape[-1])
        own = base(enlarged, wanted, weights)
        if settings.dice:
            own = own + settings.dice * dice(enlarged, wanted)
        total = total + own * (settings.auxiliary if turn else 1.0)
    return total


def _installed(settings: Loss) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """A loss that an administrator has installed; it knows no weights of places."""
    function = builders.bound("loss", settings.name, settings.arguments)
    return lambda logits, targets, weights: function(logits, targets)


def enlarge(logits: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, in float32."""
    return functional.interpolate(logits.float(), size=(height, width), mode="bilinear", align_corners=False)


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over all pixels; an unknown one adds nothing."""
    weights = None if weights is None else weights.to(logits.device)
    total = functional.cross_entropy(logits, targets, weights, ignore_index=UNKNOWN, reduction="sum")
    return total / targets.numel()


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - the soft Dice coefficient (arXiv 1606.04797), mean over the places that an example shows, then examples."""
    known = (targets != UNKNOWN).unsqueeze(1)
    values = logits.softmax(1) * known
    places = functional.one_hot(targets.clamp(min=0), logits.shape[1]).movedim(-1, 1) * known
    both, sizes = (values * places).sum((2, 3)), (values + places).sum((2, 3))
    shown = places.any(3).any(2).float()
    each = (1 - 2 * both / sizes.clamp(min=1e-6)) * shown
    return (each.sum(1) / shown.sum(1).clamp(min=1)).mean()
