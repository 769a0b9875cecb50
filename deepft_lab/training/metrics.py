"""Figures of a classifier, from its values on labelled examples. Plain numpy; tests hold them against scikit-learn.

What is not defined is None: precision where nothing was predicted, ROC AUC where one class is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

Figures = dict[str, float | None]


def classification(
    values: numpy.ndarray, targets: numpy.ndarray, concepts: Sequence[str], *, exclusive: bool
) -> tuple[Figures, dict[str, Figures]]:
    """Metrics of the whole, and by concept.

    `values`: [n, concepts], 0..1. `targets`: [n, concepts], 1, 0, or -1 where it is not known. A concept is predicted
    where it is the highest (`exclusive`) or at least one half. Macro means go over the concepts that have both classes.
    """
    highest = values.argmax(1)[:, None] == numpy.arange(len(concepts))
    predicted = highest if exclusive else values >= 0.5
    by_concept: dict[str, Figures] = {}
    both: list[str] = []
    for place, concept in enumerate(concepts):
        known = targets[:, place] >= 0
        truth, guess = targets[known, place] == 1, predicted[known, place]
        by_concept[concept] = _of_concept(truth, guess, values[known, place])
        if truth.any() and not truth.all():
            both.append(concept)
    whole: Figures = {
        f"{name}_macro": _mean([by_concept[concept][name] for concept in both]) for name in ("f1", "roc_auc")
    }
    if exclusive:
        labelled = (targets == 1).any(1)
        right = (predicted & (targets == 1)).any(1)[labelled]
        whole = {"accuracy": float(right.mean()) if labelled.any() else None, **whole}
    return whole, by_concept


def roc_auc(truth: numpy.ndarray, values: numpy.ndarray) -> float | None:
    """Area under the ROC curve: the chance that a positive has a higher value than a negative (ties count half)."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    _, place, counts = numpy.unique(values, return_inverse=True, return_counts=True)
    ranks = (numpy.cumsum(counts) - (counts - 1) / 2)[place]  # mean rank of equal values, from 1
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _of_concept(truth: numpy.ndarray, guess: numpy.ndarray, values: numpy.ndarray) -> Figures:
    hits, predicted, positives = int((truth & guess).sum()), int(guess.sum()), int(truth.sum())
    return {
        "precision": hits / predicted if predicted else None,
        "recall": hits / positives if positives else None,
        "f1": 2 * hits / (predicted + positives) if predicted + positives else None,
        "roc_auc": roc_auc(truth, values),
        "positives": float(positives),
    }


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return float(numpy.mean(known)) if known else None
