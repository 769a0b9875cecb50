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
    found = builders.find("augmentation", name, model_type)
    if isinstance(found, builders.Builder):
        return checking.of_struct(f"{path}.arguments", found.arguments, step.get("arguments", {}))
    known = ", ".join(builders.names("augmentation", model_type)) or "none: nobody has installed one"
    reason = builders.refusal("augmentation", name, model_type)
    return [Fault(f"{path}.name", name, reason or f"There is no augmentation of this name. Known are {known}.")]
