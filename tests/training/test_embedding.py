"""Figures and losses of embedders, and classifiers over frozen embeddings, against plain reckoning."""

from __future__ import annotations

import math
from pathlib import Path

import job_folders
import pytest
import torch
from coloured import COLOURS, coloured, picture
from torch.nn import functional

from deepft_lab.training import k_fold, retrieval, tasks
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor
from deepft_lab.training.recipes.embedder import Margin
from deepft_lab.training.tasks import classify
from deepft_lab.training.tasks.embed import angular_margin

ONE_HOT = functional.one_hot(torch.tensor([0, 0, 1, 1, 1, 2]), 3)


def drawn(seed: int, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    embeddings = functional.normalize(torch.randn(count, 5, generator=random), dim=1)
    return embeddings, functional.one_hot(torch.randint(0, 4, (count,), generator=random), 4)


@pytest.mark.parametrize("seed", range(3))
def test_retrieval_figures_are_those_of_plain_reckoning(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_ROWS", 7)  # several blocks, the last one smaller
    embeddings, targets = drawn(seed)
    wanted: dict[str, list[float]] = {"recall_at_1": [], "recall_at_5": [], "mAP_at_R": []}
    label = targets.argmax(1).tolist()
    for query in range(len(label)):
        others = [place for place in range(len(label)) if place != query]
        others.sort(key=lambda place: -float(embeddings[query] @ embeddings[place]))
        hits = [label[place] == label[query] for place in others]
        relevant = sum(hits)
        if not relevant:
            continue
        wanted["recall_at_1"].append(float(hits[0]))
        wanted["recall_at_5"].append(float(any(hits[:5])))
        precisions = [sum(hits[: place + 1]) / (place + 1) for place in range(relevant) if hits[place]]
        wanted["mAP_at_R"].append(sum(precisions) / relevant)
    whole, by_concept = retrieval.score(embeddings, targets, list("abcd"))
    for name, values in wanted.items():
        assert whole[name] == pytest.approx(sum(values) / len(values)), name
    assert by_concept["a"]["positives"] == label.count(0)


def test_an_input_alone_with_its_concept_asks_for_nothing() -> None:
    whole, by_concept = retrieval.score(functional.normalize(torch.randn(6, 4), dim=1), ONE_HOT, list("abc"))
    assert by_concept["c"]["recall_at_1"] is None and whole["recall_at_1"] is not None


def test_one_validation_input_is_measured_against_training_inputs_alone() -> None:
    one = torch.tensor([[1.0, 0.0]])
    references = (torch.tensor([[0.9, 0.1], [0.0, 1.0]]), torch.tensor([[1, 0], [0, 1]]))
    whole, _ = retrieval.score(one, torch.tensor([[1, 0]]), ["a", "b"], references=references)
    assert whole == {"recall_at_1": None, "recall_at_5": None, "mAP_at_R": None, "knn_accuracy": 1.0}


def test_unknown_concepts_match_nothing() -> None:
    targets = torch.tensor([[1, -1], [-1, 1], [1, 0]])
    found = retrieval.among_each_other(torch.eye(3), targets == 1)
    assert found["recall_at_1"].isnan().tolist() == [False, True, False]


def test_the_margin_is_that_of_the_paper() -> None:
    angles = torch.tensor([[0.4, 1.3], [2.9, 0.2]])
    settings = Margin(scale=16.0, margin=0.5)
    own = angular_margin(angles.cos(), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), settings)
    first = functional.cross_entropy(16 * torch.tensor([[math.cos(0.9), math.cos(1.3)]]), torch.tensor([0]))
    second = functional.cross_entropy(16 * torch.tensor([[math.cos(2.9), math.cos(0.7)]]), torch.tensor([1]))
    assert float(own) == pytest.approx(float(first + second) / 2, rel=1e-4)


def test_beyond_half_a_turn_the_margin_still_pulls_the_right_way() -> None:
    cosines = torch.tensor([[-0.99, 0.1]], requires_grad=True)
    angular_margin(cosines, torch.tensor([[1.0, 0.0]]), Margin(scale=16.0, margin=0.5)).backward()
    assert cosines.grad is not None and float(cosines.grad[0, 0]) < 0 < float(cosines.grad[0, 1])


def test_unknown_and_empty_targets_pull_at_nothing_in_the_margin() -> None:
    cosines = torch.tensor([[0.5, 0.2, 0.1], [0.3, 0.3, 0.3]], requires_grad=True)
    targets = torch.tensor([[1.0, -1.0, 0.0], [0.0, -1.0, 0.0]])
    angular_margin(cosines, targets, Margin()).backward()
    assert cosines.grad is not None and (cosines.grad != 0).tolist() == [[True, False, True], [False, False, False]]
    nothing = angular_margin(cosines.detach(), torch.full((2, 3), -1.0), Margin())
    assert float(nothing) == 0.0


def test_folds_predict_inputs_that_their_layer_never_saw() -> None:
    random = torch.Generator().manual_seed(1)
    noise = torch.randn(60, 20, generator=random)  # nothing to learn: a layer that saw its inputs would know them
    targets = functional.one_hot(torch.arange(60) % 2, 2).float()

    def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, truth)

    guessed = k_fold.held_out_logits(noise, targets, 5, loss).argmax(1) == targets.argmax(1)
    assert 0.2 < float(guessed.float().mean()) < 0.8
    told = noise + 4 * targets.repeat(1, 10)
    known = k_fold.held_out_logits(told, targets, 5, loss).argmax(1) == targets.argmax(1)
    assert float(known.float().mean()) > 0.95


def test_class_weights_let_every_concept_count_the_same() -> None:
    targets = torch.tensor([[1.0, 0.0]] * 9 + [[0.0, 1.0]])
    weights = classify.balance(targets, exclusive=True)
    assert weights[1].tolist() == pytest.approx([10 / 18, 5.0])
    logits = torch.zeros(10, 2, requires_grad=True)
    settings = classify.Loss(exclusive="cross_entropy")
    classify.loss(logits, targets, settings, exclusive=True, balance=weights).backward()
    assert logits.grad is not None
    assert float(logits.grad[:9, 0].sum()) == pytest.approx(float(logits.grad[9:, 1].sum()), rel=1e-4)
    both = classify.balance(torch.tensor([[1.0, -1.0], [0.0, 1.0], [0.0, -1.0]]), exclusive=False)
    assert both[:, 0].tolist() == pytest.approx([0.75, 1.5])


def test_a_version_gives_its_embeddings_to_a_linear_layer(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    small = {"pretrained_weights": "None", "image_size": 32, "batch_size": 6, "num_epochs": 1}
    held_out = coloured(9, names=("red", "blue", "green"), first=700)
    for template in ("classifier-mobilenet-v2", "embedder-mobilenet-v2"):
        base, upper = tmp_path / template, tmp_path / f"upper-{template}"
        job = job_folders.make(base, coloured(12), coloured(4, first=500), template=template, threads=1, **small)
        train(job, base, lambda *_, **__: None)
        more = coloured(12, names=("red", "blue", "green"))
        job = job_folders.make(
            upper, more, held_out, template="transfer-linear", base=base / "model", threads=1, image_size=32,
            batch_size=6, num_epochs=4, per_item_lrate=1e-3,
        )  # fmt: skip
        result = train(job, upper, lambda *_, **__: None)
        assert result.metrics["accuracy"] is not None
        prediction = Predictor(upper / "model").predict([picture(COLOURS["green"], 3)])[0]
        assert {value.concept for value in prediction.concepts} == {"red", "blue", "green"}


def test_the_trunk_of_a_linear_layer_never_moves(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    values = {"pretrained_weights": "None", "image_size": 32, "batch_size": 6, "num_epochs": 2}
    job = job_folders.make(tmp_path, coloured(12), coloured(4, first=500), template="transfer-linear", **values)
    task = tasks.make(job.type, job.template.recipe, job.values, job.concepts, exclusive=True)
    torch.manual_seed(job.seed)
    before = task.build().state_dict()
    train(job, tmp_path, lambda *_, **__: None)
    after = Predictor(tmp_path / "model").model.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"head.weight", "head.bias"}
