"""The advanced templates: what their configurations become, what is wrong with them, and how they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepft_lab import spec
from deepft_lab.catalog import Catalog
from deepft_lab.records import Fault
from deepft_lab.training import recipes
from deepft_lab.training.loop import train

CLASSIFIER, DETECTOR, SEGMENTER = "classifier-advanced", "detector-advanced", "segmenter-advanced"


def faults_of(template: str, text: str) -> list[Fault]:
    return recipes.check(Catalog().get(template), {"config": text})[1]


def plan_of(template: str, text: str, **values: Any) -> Any:
    found = Catalog().get(template)
    complete, faults = recipes.check(found, {"config": text, **values})
    assert not faults, faults
    return recipes.settled(recipes.read(found.recipe, found.type), complete)


def losses_of(job: spec.JobSpec, folder: Path) -> list[float]:
    """Trains the job of a folder; the training losses of its epochs."""
    losses: list[float] = []

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind == "epoch":
            losses.append(data["train_loss"])

    assert train(job, folder, say).outcome == "trained"
    return losses
