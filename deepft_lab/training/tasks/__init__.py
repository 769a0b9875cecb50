"""The tasks by the type of model that they train."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from deepft_lab.spec import JobSpec
from deepft_lab.training import recipes
from deepft_lab.training.task import Task

_TASKS = {
    "visual-classifier": ("classify", "Classify"),
    "visual-segmenter": ("segment", "Segment"),
    "visual-detector": ("detect", "Detect"),
    "visual-embedder": ("embed", "Embed"),
    "embedding-classifier": ("transfer", "Transfer"),
}


def make(
    model_type: str, recipe: dict[str, Any], values: dict[str, Any], concepts: Sequence[str], *, exclusive: bool
) -> Task:
    """The task of a type, with its settings."""
    module, name = _TASKS[model_type]
    kind = getattr(import_module(f"{__name__}.{module}"), name)
    return kind(recipes.plan(recipe, model_type, values), values, concepts, exclusive=exclusive)


def of_job(spec: JobSpec) -> Task:
    """The task of a job."""
    return make(spec.type, spec.template.recipe, spec.values, spec.concepts, exclusive=spec.exclusive)


def load() -> None:
    """Imports every task: for a process that is started before its job is known."""
    for module, _ in _TASKS.values():
        import_module(f"{__name__}.{module}")
