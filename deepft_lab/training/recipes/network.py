"""What a recipe's network is made of, by name. No torch: before a job is queued, only names can be compared."""

from __future__ import annotations

from typing import Any

from deepft_lab.training.recipes.parts import Base, Installed

_PARTS = ("architecture", "network", "backbone", "neck", "head")


def names(plan: Base) -> dict[str, str]:
    """The registered names of a settled recipe's parts; networks with other names have other weights."""
    found = {part: getattr(plan, part, None) for part in _PARTS}
    return {part: _name(value) for part, value in found.items() if value is not None}


def _name(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Installed):
        return part.builder
    return getattr(part, "name", "") or str(type(part).__struct_config__.tag)
