"""Augmentations that an administrator has installed, as a recipe lists them under `augment.steps`. No torch."""

from __future__ import annotations

from typing import Any

from deepft_lab.records import Fault
from deepft_lab.training.recipes import builders, checking


def faults(path: str, steps: Any, model_type: str) -> list[Fault]:
    """Faults of names and arguments. What is no list of mappings is told by the types of the record."""
    listed = [step for step in steps if isinstance(step, dict)] if isinstance(steps, (list, tuple)) else []
    return [fault for place, step in enumerate(listed) for fault in _of_step(f"{path}[{place}]", step, model_type)]


def _of_step(path: str, step: dict[str, Any], model_type: str) -> list[Fault]:
    name = step.get("name")
    if not isinstance(name, str):
        return []
    return of_installed(path, "name", "augmentation", name, step.get("arguments", {}), model_type)


def of_installed(path: str, key: str, kind: str, name: str, arguments: Any, model_type: str) -> list[Fault]:
    """Faults of a part at `path` that names, under `key`, what an administrator has installed."""
    found = builders.find(kind, name, model_type)
    if isinstance(found, builders.Builder):
        return checking.of_struct(f"{path}.arguments", found.arguments, arguments)
    known = ", ".join(builders.names(kind, model_type)) or "none: nobody has installed one"
    reason = builders.refusal(kind, name, model_type)
    return [Fault(f"{path}.{key}", name, reason or f"There is no {kind} of this name. Known are {known}.")]
