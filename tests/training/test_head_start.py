"""A pretrained classifier's start: its norms stay as they are, and its new head is fitted to what they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from deepft_lab.training import head_start, optimizers, recipes, tasks
from deepft_lab.training.task import Batch

RECIPE = {
    "task": "classify",
    "architecture": "mobilenet_v2",
    "embedding_length": 16.0,
    "norms": "kept",
    "head_start": "fitted",
    "loss": {"exclusive": "cross_entropy"},
    "optimizer": {"name": "adamw", "head_lrate_factor": 10.0},
}
CONCEPTS = ["dark", "middle", "bright"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.safetensors"
    save_file(models.mobilenet_v2(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def task() -> tasks.classify.Classify:
    made = tasks.make("visual-classifier", RECIPE, {"image_size": 32, "batch_size": 8}, CONCEPTS, exclusive=True)
    assert isinstance(made, tasks.classify.Classify)
    return made


class Shades:
    """Twelve pictures of three shades, as a job's examples give them."""

    targets = torch.eye(3).repeat(4, 1)

    def __len__(self) -> int:
        return 12

    def __getitems__(self, keys: list[tuple[int, int, int]]) -> Batch:
        shades = torch.tensor([40 + 80 * (example % 3) + example for example, _, _ in keys], dtype=torch.uint8)
        return Batch(shades[:, None, None, None].expand(-1, 3, 32, 32).contiguous())


def test_a_fitted_head_knows_the_training_pictures_before_the_first_step(
    task: tasks.classify.Classify, file: Path
) -> None:
    model, shades = task.build(str(file)), Shades()
    task.settle(model, shades, shades)  # type: ignore[arg-type]
    batch = task.prepare(shades.__getitems__([(place, 0, 0) for place in range(12)]))
    found = torch.stack(task.outputs(model.eval(), batch))
    assert (found.argmax(1) == shades.targets.argmax(1)).all()


def test_concepts_that_do_not_exclude_each_other_are_each_fitted_as_if_alone(file: Path) -> None:
    def bright(concepts: int) -> Tensor:
        class One(Shades):
            targets = Shades.targets[:, 2:].repeat(1, concepts)

        names = [str(place) for place in range(concepts)]
        made = tasks.make("visual-classifier", RECIPE, {"image_size": 32, "batch_size": 8}, names, exclusive=False)
        model = made.build(str(file))
        made.settle(model, One(), One())  # type: ignore[arg-type]
        return made.head_of(model).weight.detach()

    alone, many = bright(1), bright(50)
    assert all((row - alone[0]).norm() < 0.1 * alone.norm() for row in many)


def test_a_random_start_keeps_its_random_head(task: tasks.classify.Classify) -> None:
    model = task.build()
    before = task.head_of(model).weight.clone()
    task.settle(model, Shades(), Shades())  # type: ignore[arg-type]
    assert torch.equal(task.head_of(model).weight, before)
    assert task.lrate_factor("features.0.1.weight", pretrained=False) == 1.0


def test_norms_of_a_given_network_keep_their_statistics_and_the_entire_graph_learns(
    task: tasks.classify.Classify, file: Path
) -> None:
    model = task.build(str(file))
    optimizer = optimizers.build(
        task.plan.optimizer, model, weight_decay=0.0, factor=lambda name: task.lrate_factor(name, pretrained=True)
    )
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * group["factor"]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    shades = Shades()
    batch = task.prepare(shades.__getitems__([(place, 0, 0) for place in range(12)]))
    task.loss(model, Batch(batch.images, shades.targets)).backward()
    optimizer.step()
    same = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
    statistics = {name for name, _ in model.named_buffers()}
    assert statistics and same == statistics


def test_unknown_targets_take_no_part_in_the_fit() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    targets = torch.tensor([[1.0], [-1.0], [0.0]])

    def loss(logits: Tensor, wanted: Tensor) -> Tensor:
        known = (wanted >= 0).float()
        return (nn.functional.softplus(logits * (1 - 2 * wanted)) * known).sum() / known.sum()

    weight, bias = head_start.linear(vectors, targets, loss)
    assert weight[0, 0] > 1 and abs(float(weight[0, 1])) < 1e-4 and abs(float(bias[0])) < 1e-3


def test_what_the_fit_looks_back_on_stays_small_however_many_concepts_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_back: list[int] = []
    real = torch.optim.LBFGS

    def made(parameters: list[Tensor], **settings: Any) -> torch.optim.Optimizer:
        looked_back.append(settings["history_size"] * 8 * sum(parameter.numel() for parameter in parameters))
        return real(parameters, **settings)

    monkeypatch.setattr(torch.optim, "LBFGS", made)
    for concepts in (2, 1000):
        head_start.linear(
            torch.ones(4, 1280), torch.zeros(4, concepts), lambda logits, wanted: (logits - wanted).square().mean()
        )
    assert looked_back[0] == 100 * 8 * 2 * 1281, "all steps, where they are few numbers"
    assert looked_back[1] < 2**27, "bytes"


def test_a_projection_that_nobody_trained_learns_its_statistics(file: Path) -> None:
    recipe = {**RECIPE, "task": "embed", "projection": True, "embedding_length": None}
    values = {"image_size": 32, "batch_size": 8, "embeddings_size": 8}
    made = tasks.make("visual-embedder", recipe, values, CONCEPTS, exclusive=True)
    kept = {name for name, layer in made.build(str(file)).named_modules() if getattr(layer, "kept", False)}
    assert kept and all(name.startswith("backbone.") for name in kept)


def test_a_recipe_that_fits_a_head_of_angles_is_refused_in_words() -> None:
    recipe = {**RECIPE, "task": "embed", "margin": {"scale": 16.0}}
    with pytest.raises(Exception, match="head_start = fitted is for a head without a margin"):
        recipes.read(recipe, "visual-embedder")
