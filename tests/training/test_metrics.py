"""Figures held against scikit-learn's."""

from __future__ import annotations

import numpy
import pytest
from sklearn import metrics as peer

from deepft_lab.training.metrics import classification, roc_auc

CONCEPTS = ["a", "b", "c"]


def drawn(seed: int, rows: int = 60) -> tuple[numpy.ndarray, numpy.ndarray]:
    random = numpy.random.default_rng(seed)
    values = random.random((rows, 3)).round(1)  # rounded: equal values must be told apart by nothing
    return values, numpy.eye(3)[random.integers(0, 3, rows)]


@pytest.mark.parametrize("seed", range(5))
def test_exclusive_figures_are_those_of_scikit_learn(seed: int) -> None:
    values, targets = drawn(seed)
    whole, by_concept = classification(values, targets, CONCEPTS, exclusive=True)
    truth, guess = targets.argmax(1), values.argmax(1)
    assert whole["accuracy"] == pytest.approx(peer.accuracy_score(truth, guess))
    assert whole["f1_macro"] == pytest.approx(peer.f1_score(truth, guess, average="macro"))
    each = [peer.roc_auc_score(targets[:, place], values[:, place]) for place in range(3)]
    assert whole["roc_auc_macro"] == pytest.approx(numpy.mean(each))
    assert by_concept["b"]["precision"] == pytest.approx(peer.precision_score(truth == 1, guess == 1))
    assert by_concept["b"]["recall"] == pytest.approx(peer.recall_score(truth == 1, guess == 1))
    assert by_concept["b"]["positives"] == (truth == 1).sum()


def test_other_figures_are_those_of_scikit_learn() -> None:
    values, _ = drawn(9)
    targets = numpy.random.default_rng(9).integers(0, 2, values.shape).astype(float)
    whole, _ = classification(values, targets, CONCEPTS, exclusive=False)
    assert "accuracy" not in whole
    assert whole["f1_macro"] == pytest.approx(peer.f1_score(targets, values >= 0.5, average="macro"))


def test_unknown_targets_count_for_nothing() -> None:
    values, _ = drawn(3)
    targets = numpy.random.default_rng(3).integers(-1, 2, values.shape).astype(float)
    _, by_concept = classification(values, targets, CONCEPTS, exclusive=False)
    known = targets[:, 0] >= 0
    assert by_concept["a"]["roc_auc"] == pytest.approx(peer.roc_auc_score(targets[known, 0], values[known, 0]))
    assert by_concept["a"]["f1"] == pytest.approx(peer.f1_score(targets[known, 0], values[known, 0] >= 0.5))


def test_what_is_not_defined_is_none() -> None:
    values = numpy.array([[0.1, 0.9], [0.2, 0.8]])
    targets = numpy.array([[0.0, 1.0], [0.0, 1.0]])
    whole, by_concept = classification(values, targets, ["a", "b"], exclusive=True)
    assert whole == {"accuracy": 1.0, "f1_macro": None, "roc_auc_macro": None}
    assert by_concept["a"] == {"precision": None, "recall": None, "f1": None, "roc_auc": None, "positives": 0}
    assert by_concept["b"]["recall"] == 1.0
    assert roc_auc(numpy.array([True, True]), numpy.array([0.1, 0.2])) is None


def test_macro_means_leave_out_concepts_without_both_classes() -> None:
    values = numpy.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.2]])
    targets = numpy.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    whole, by_concept = classification(values, targets, ["a", "b"], exclusive=False)
    assert (
        (whole["f1_macro"], whole["roc_auc_macro"]) == (by_concept["a"]["f1"], by_concept["a"]["roc_auc"]) == (1.0, 1.0)
    )
