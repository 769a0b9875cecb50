"""What the field `augmentation` makes of a recipe's `augment`. No torch.

Each kind of augment part says it once: `@at_level.register`. The flip is no part of it; it has its own fields.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, TypeVar

import msgspec

from deepft_lab.training.recipes.parts import Augment, Base, RandAugment

Plan = TypeVar("Plan", bound=Base)


def with_level(plan: Plan, level: str) -> Plan:
    """The recipe with its augmentation at a level: template (as it is), none, light or strong."""
    augment = getattr(plan, "augment", None)
    if augment is None or level == "template":
        return plan
    return msgspec.structs.replace(plan, augment=at_level(augment, level))  # type: ignore[call-arg]


@singledispatch
def at_level(augment: Any, level: str) -> Any:
    """A part at the level none, light or strong. A kind that registers nothing stays as it is."""
    return augment


@at_level.register
def _pictures(augment: Augment, level: str) -> Augment:
    quiet = msgspec.structs.replace(augment, randaugment=None, mixup=0.0, cutmix=0.0, repeats=1)
    if level == "none":
        return msgspec.structs.replace(quiet, steps=(), crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))
    if level == "light":
        return msgspec.structs.replace(quiet, crop_scale=(0.5, 1.0))
    # What common recipes for training long agree on: small crops, RandAugment 9/0.5, mixup 0.2 and cutmix 1.
    return msgspec.structs.replace(
        augment,
        crop_scale=(0.08, 1.0),
        randaugment=augment.randaugment or RandAugment(magnitude=9, deviation=0.5, operations=2),
        mixup=augment.mixup or 0.2,
        cutmix=augment.cutmix or 1.0,
    )
