"""Figures of an embedder: whether the neighbours of an input share a concept with it.

Validation inputs are looked for among each other, each without itself, as is usual (Musgrave, Belongie, Lim: A metric
learning reality check, arXiv 2003.08505): `recall_at_1`, `recall_at_5` and `mAP_at_R`. `knn_accuracy` takes for each
the nearest of the training inputs, as whoever uses the embedder to label would.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deepft_lab.training.task import Figures

_ROWS = 512  # queries that are compared at a time: memory stays bounded
_AT = (1, 5)


def score(
    embeddings: Tensor, targets: Tensor, concepts: Sequence[str], *, references: tuple[Tensor, Tensor] | None = None
) -> tuple[Figures, dict[str, Figures]]:
    """Metrics of the whole, and by concept (over the inputs that show it).

    `embeddings`: float32 [n, width] of length 1. `targets`: [n, concepts], 1 present, 0 absent, -1 unknown; two inputs
    match where both show a concept. An input that no other matches asks for nothing. `references`: the same of the
    training inputs.
    """
    shown = targets == 1
    figures = among_each_other(embeddings, shown)
    if references is not None:
        figures["knn_accuracy"] = nearest(embeddings, shown, references[0], references[1] == 1)
    whole = {name: _mean(values) for name, values in figures.items()}
    by_concept: dict[str, Figures] = {}
    for place, concept in enumerate(concepts):
        rows = shown[:, place]
        by_concept[concept] = {name: _mean(values[rows]) for name, values in figures.items()}
        by_concept[concept]["positives"] = float(rows.sum())
    return whole, by_concept


def among_each_other(embeddings: Tensor, shown: Tensor) -> dict[str, Tensor]:
    """Of each input [n] recall at 1 and 5, and average precision at R; nan where no other input matches it.

    R is the number of inputs that match; precision at each of the first R places counts where that place matches.
    """
    count = len(embeddings)
    found = {f"recall_at_{k}": torch.full((count,), torch.nan) for k in _AT}
    found["mAP_at_R"] = torch.full((count,), torch.nan)
    concepts = shown.float()
    for start in range(0, count, _ROWS):
        rows = torch.arange(start, min(start + _ROWS, count))
        similar = embeddings[rows] @ embeddings.T
        similar[torch.arange(len(rows)), rows] = -torch.inf
        matching = concepts[rows] @ concepts.T > 0
        matching[torch.arange(len(rows)), rows] = False
        others = matching.sum(1)
        most = max(int(others.max()), *_AT) if count > 1 else 0
        if not most:
            continue
        nearest_first = similar.topk(min(most, count - 1), dim=1).indices
        hits = matching.gather(1, nearest_first)
        asked = others > 0
        for k in _AT:
            found[f"recall_at_{k}"][rows[asked]] = hits[asked, :k].any(1).float()
        places = torch.arange(1, hits.shape[1] + 1)
        counted = hits & (places <= others[:, None])
        precision = counted.cumsum(1) / places
        average = (precision * counted).sum(1) / others.clamp(min=1)
        found["mAP_at_R"][rows[asked]] = average[asked]
    return found


def nearest(embeddings: Tensor, shown: Tensor, references: Tensor, reference_shown: Tensor) -> Tensor:
    """Of each input [n] whether the nearest reference shows a concept that it shows too; nan where it shows none."""
    found = torch.full((len(embeddings),), torch.nan)
    for start in range(0, len(embeddings), _ROWS):
        place = (embeddings[start : start + _ROWS] @ references.T).argmax(1)
        right = (shown[start : start + _ROWS] & reference_shown[place]).any(1).float()
        asked = shown[start : start + _ROWS].any(1)
        found[start : start + _ROWS] = torch.where(asked, right, torch.nan)
    return found


def _mean(values: Tensor) -> float | None:
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else None
