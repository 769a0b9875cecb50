"""Losses, optimizers, schedules and networks, each against what its paper or its peer says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from deepft_lab.manifest import Entry, Manifest
from deepft_lab.training import optimizers, schedules
from deepft_lab.training.architectures import ARCHITECTURES
from deepft_lab.training.recipes.classifier import Classifier, Loss
from deepft_lab.training.recipes.parts import Optimizer
from deepft_lab.training.tasks import classify

BCE, CROSS = Loss(exclusive="bce"), Loss(exclusive="cross_entropy")


def entry(name: str, **labels: int) -> Entry:
    return Entry(name, name, 10, 10, labels)


def test_targets_are_present_absent_or_unknown() -> None:
    manifest = Manifest(["a", "b"], [entry("1", a=1), entry("2", a=0, b=1), entry("3", other=1)])
    assert classify.examples(manifest, ["a", "b"], exclusive=False).tolist() == [[1, -1], [0, 1], [-1, -1]]
    assert classify.examples(manifest, ["a", "b"], exclusive=True).tolist() == [[1, 0], [0, 1], [-1, -1]]


def test_cross_entropy_is_that_of_torch() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    wanted = torch.tensor([0, 1, 2, 0, 1, 2])
    targets = functional.one_hot(wanted, 3).float()
    for smoothing in (0.0, 0.1):
        own = classify.loss(logits, targets, Loss(exclusive="cross_entropy", label_smoothing=smoothing), exclusive=True)
        assert float(own) == pytest.approx(float(functional.cross_entropy(logits, wanted, label_smoothing=smoothing)))


def test_unknown_targets_pull_at_nothing() -> None:
    for settings, exclusive in ((BCE, True), (BCE, False), (CROSS, False)):
        logits = torch.zeros(2, 3, requires_grad=True)
        targets = torch.tensor([[1.0, -1.0, 0.0], [-1.0, -1.0, -1.0]])
        classify.loss(logits, targets, settings, exclusive=exclusive).backward()
        assert logits.grad is not None
        assert (logits.grad != 0).tolist() == [[True, False, True], [False, False, False]]


def test_a_batch_of_which_nothing_is_known_has_no_loss_and_no_nan() -> None:
    targets = torch.full((2, 3), -1.0)
    for settings, exclusive in ((CROSS, True), (BCE, False)):
        assert float(classify.loss(torch.randn(2, 3), targets, settings, exclusive=exclusive)) == 0.0


def test_a1_takes_binary_cross_entropy_even_where_concepts_exclude_each_other() -> None:
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    peer = functional.binary_cross_entropy_with_logits(logits, targets)
    assert float(classify.loss(logits, targets, BCE, exclusive=True)) == pytest.approx(float(peer))


def test_exclusive_values_add_up_to_one_and_others_stand_alone() -> None:
    logits = torch.tensor([[1.0, 1.0, -30.0]])
    assert float(classify.values(logits, exclusive=True).sum()) == pytest.approx(1.0)
    assert classify.values(logits, exclusive=False)[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_the_best_metric_is_one_that_the_validation_set_defines() -> None:
    one_hot = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert classify.best_metric(one_hot, exclusive=True) == "accuracy"
    assert classify.best_metric(one_hot, exclusive=False) == "roc_auc_macro"
    assert classify.best_metric(torch.tensor([[1.0], [-1.0]]), exclusive=False) == "loss"
    assert classify.best_metric(torch.empty(0, 2), exclusive=True) == ""


def test_people_hear_of_concepts_that_cannot_be_learned() -> None:
    targets = torch.tensor([[1.0, -1.0], [1.0, 0.0]])
    said = classify.complaints(targets, ["everywhere", "nowhere"], exclusive=False)
    assert any("'everywhere'" in line for line in said) and any("'nowhere'" in line for line in said)


def test_lamb_takes_the_step_of_the_paper() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    bias = nn.Parameter(torch.tensor([2.0]))
    groups = [{"params": [weight], "weight_decay": 0.01}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = optimizers.Lamb(groups, lr=0.1, eps=0.0)
    (weight * torch.tensor([[1.0, -2.0]])).sum().backward()
    (bias * 5).sum().backward()
    optimizer.step()
    # The first step of Adam is the sign of the gradient; the layer's step is scaled to the norm of its weights, 5.
    update = torch.tensor([[1.0, -1.0]]) + 0.01 * torch.tensor([[3.0, 4.0]])
    wanted = torch.tensor([[3.0, 4.0]]) - 0.1 * 5 / update.norm() * update
    assert torch.allclose(weight.data, wanted)
    assert torch.allclose(bias.data, torch.tensor([2.0 - 0.1]))


@pytest.mark.parametrize("name", ["adamw", "lamb", "sgd"])
def test_every_optimizer_learns(name: str) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    settings = Optimizer(name=name)  # type: ignore[arg-type]
    optimizer = optimizers.build(settings, model, weight_decay=0.01, factor=lambda name: 1.0)
    inputs = torch.randn(64, 4)
    losses = []
    for _ in range(60):
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        loss = functional.mse_loss(model(inputs)[:, 0], inputs.sum(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


def test_vectors_are_not_decayed_and_only_a_new_head_on_old_weights_is_faster() -> None:
    settings = Optimizer(name="adamw", head_lrate_factor=10)
    plan = Classifier(architecture="mobilenet_v2", loss=BCE, optimizer=settings)
    task = classify.Classify(plan, {}, ["a", "b", "c"], exclusive=True)
    model = task.build()
    for pretrained, factors in ((True, {1.0, 10.0}), (False, {1.0})):

        def factor(name: str, pretrained: bool = pretrained) -> float:
            return task.lrate_factor(name, pretrained=pretrained)

        groups = optimizers.build(settings, model, weight_decay=0.1, factor=factor).param_groups
        assert {group["factor"] for group in groups} == factors
        assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.1) for group in groups for p in group["params"])


def test_what_is_frozen_is_left_out() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    factor = lambda name: 0.0 if name.startswith("0.") else 1.0  # noqa: E731
    optimizer = optimizers.build(Optimizer(name="sgd"), model, weight_decay=0.1, factor=factor)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
    assert not any(parameter.requires_grad for parameter in model[0].parameters())


def test_the_cosine_rises_in_a_line_and_ends_at_its_least() -> None:
    values = {"per_item_min_lrate": 1e-6, "warmup_iters": 10, "warmup_ratio": 0.1}
    plan = schedules.plan(values, lrate=1.0, images_a_step=100, steps=100)
    rates = [schedules.cosine(plan, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[5] == pytest.approx(0.55)
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx((1.0 + 1e-4) / 2)
    assert rates[100] == pytest.approx(1e-4)
    assert schedules.plan(values, lrate=1.0, images_a_step=100, steps=8).warmup == 2


def test_stochastic_depth_grows_along_resnet50_and_leaves_torchvisions_keys() -> None:
    from torchvision.models import resnet50

    model = ARCHITECTURES["resnet50"].build(4, 0.05)
    rates = [block.drop.p for block in model.modules() if hasattr(block, "drop")]
    assert len(rates) == 16 and rates[0] == 0.0 and rates[-1] == 0.05 and rates == sorted(rates)
    peer = resnet50(num_classes=4)
    model.load_state_dict(peer.state_dict())
    inputs = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model.eval()(inputs), peer.eval()(inputs), atol=1e-5)
