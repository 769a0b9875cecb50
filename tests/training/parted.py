"""Batches whose losses count what is known of them, each with a small network in which no example sees another."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy
import tiny
import torch
from torch import Tensor, nn

from deepft_lab import params
from deepft_lab.catalog import Catalog
from deepft_lab.records import Template
from deepft_lab.training import tasks
from deepft_lab.training.segmentation.truth import UNKNOWN
from deepft_lab.training.task import Batch, Task
from deepft_lab.training.tasks.embed import Cosines

COUNT, CONCEPTS = 6, ["a", "b", "c"]


class Case(NamedTuple):
    task: Task
    model: nn.Module
    batch: Batch


class Embedder(nn.Module):
    """Images to (embeddings, cosines)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = tiny.Plain(8), Cosines(8, len(CONCEPTS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)
        return features, self.head(features)


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, len(CONCEPTS) + 1, 3, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.layer(images)]


class Detector(nn.Module):
    """Stands for RT-DETR: a sum of what boxes cost, over their number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, images: Tensor, sizes: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
        found = self.layer(images.mean((2, 3)))
        total = found.square().sum()
        for own, target in zip(found, targets, strict=True):
            total = total + (own - target["boxes"]).abs().sum()
        return total / max(1, sum(len(target["boxes"]) for target in targets))


def made(name: str) -> Case:
    """The case of this name, always the same."""
    torch.manual_seed(3)
    return CASES[name]()


def _task(template: str, *, exclusive: bool = True, **values: Any) -> Task:
    chosen = _template(template)
    complete, faults = params.check(chosen.fields, values)
    assert not faults, faults
    return tasks.make(chosen.type, chosen.recipe, complete, CONCEPTS, exclusive=exclusive)


@functools.cache
def _template(id: str) -> Template:
    return Catalog().get(id)


def _images() -> Tensor:
    return torch.from_numpy(numpy.random.default_rng(1).normal(size=(COUNT, 3, 32, 32)).astype(numpy.float32))


def _one_hot() -> Tensor:
    """Every example has one concept, but the last two: of those nothing is known."""
    targets = nn.functional.one_hot(torch.tensor([0, 1, 2, 1, 0, 0]), 3).float()
    targets[4:] = -1
    return targets


def _partly() -> Tensor:
    """Of the first examples much is known, of the last ones little."""
    random = numpy.random.default_rng(2)
    targets = random.integers(0, 2, (COUNT, 3)).astype(numpy.float32)
    targets[random.random((COUNT, 3)) < numpy.linspace(0, 0.9, COUNT)[:, None]] = -1
    return torch.from_numpy(targets)


def _cross_entropy() -> Case:
    task = _task("classifier-mobilenet-v2")
    return Case(task, tiny.Plain(3), Batch(_images(), _one_hot()))


def _balanced() -> Case:
    case = _cross_entropy()
    case.task.balance(_one_hot())
    return case


def _binary() -> Case:
    return Case(_task("classifier-mobilenet-v2", exclusive=False), tiny.Plain(3), Batch(_images(), _partly()))


def _margin() -> Case:
    task = _task("embedder-angular-margin")
    assert task.plan.margin is not None
    task.balance(_one_hot())
    return Case(task, Embedder(), Batch(_images(), _one_hot()))


def _pixels() -> Case:
    maps = torch.from_numpy(numpy.random.default_rng(4).integers(0, 4, (COUNT, 32, 32)).astype(numpy.int16))
    maps[4:] = UNKNOWN
    maps[3, :20] = UNKNOWN
    return Case(_task("segmenter-light"), Segmenter(), Batch(_images(), maps))


def _boxes() -> Case:
    targets = [{"boxes": torch.rand(number, 4)} for number in (3, 0, 5, 1, 0, 0)]
    return Case(_task("detector-rt-detr"), Detector(), Batch(_images(), targets, torch.full((COUNT, 2), 32)))


CASES: dict[str, Callable[[], Case]] = {
    "cross_entropy": _cross_entropy, "balanced": _balanced, "binary": _binary, "margin": _margin, "pixels": _pixels,
    "boxes": _boxes,
}  # fmt: skip


def detector(template: str) -> Task:
    return _task(template)
