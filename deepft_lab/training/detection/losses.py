"""Losses of one-stage detectors. Logits and targets have one shape; sums, unless said otherwise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NEGATIVES = 3  # hard ones for each positive


def focal(logits: Tensor, wanted: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss (arXiv 1708.02002), each element's: what is easy counts little."""
    value = logits.sigmoid()
    right = value * wanted + (1 - value) * (1 - wanted)
    weight = alpha * wanted + (1 - alpha) * (1 - wanted)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return weight * (1 - right) ** gamma * entropy


def hard_examples(logits: Tensor, wanted: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of the positives [n, anchors, concepts] and of the hardest negatives, three a positive an image.

    `known` [n, anchors]: which anchors may be negatives; `weights` [n, anchors, concepts].
    """
    each = (functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weights).sum(-1)
    return _hardest(each, wanted.any(-1), known)


def softmax_hard_examples(logits: Tensor, labels: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """SSD's: logits [n, anchors, 1 + concepts] whose first is the background, labels [n, anchors] and their weights."""
    each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), weights, reduction="none").view_as(labels)
    return _hardest(each, labels > 0, known)


def with_object(logits: Tensor, objectness: Tensor) -> Tensor:
    """Logit of (concept and object) from [n, anchors, concepts] and [n, anchors, 1], as YOLOF joins them.

    log(p / (1 - p)) of p = sigmoid(a) sigmoid(b) is a + b - log(1 + e^a + e^b).
    """
    zero = torch.zeros_like(logits)
    together = torch.stack((zero, logits, objectness.expand_as(logits)))
    return logits + objectness - together.logsumexp(0)


def _hardest(each: Tensor, positive: Tensor, known: Tensor) -> Tensor:
    """The sum over the positives and the negatives of greatest loss; an image without a positive gives three."""
    negative = ~positive & known
    allowed = (NEGATIVES * positive.sum(1)).clamp(min=NEGATIVES)
    ranked = each.detach().masked_fill(~negative, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(each.shape[1], device=each.device).expand_as(ranked)
    rank = torch.empty_like(ranked).scatter_(1, ranked, places)
    chosen = negative & (rank < allowed[:, None])
    return (each * (positive | chosen)).sum()
