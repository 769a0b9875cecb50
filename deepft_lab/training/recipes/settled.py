"""A recipe once the hyperparameters are known: some fields choose among what the file says. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from deepft_lab.training.recipes import advanced
from deepft_lab.training.recipes.parts import Base

Plan = TypeVar("Plan", bound=Base)


def settled(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """The recipe with the chosen `variant` or `backbone` in its place, and what `momentum` and `logreg` say."""
    changes: dict[str, Any] = {}
    variant = plan.variants.get(str(values.get("variant", values.get("backbone"))))
    if variant is not None:
        network = "architecture" if hasattr(plan, "architecture") else "network"
        changes = {network: variant.architecture, "weights": variant.weights}
        changes |= {name: value for name in ("mean", "deviation") if (value := getattr(variant, name)) is not None}
    if isinstance(values.get("momentum"), (int, float)):
        changes["optimizer"] = msgspec.structs.replace(plan.optimizer, momentum=float(values["momentum"]))
    if values.get("logreg") in (0, 1) and hasattr(plan, "loss"):
        kind = "bce" if values["logreg"] else "cross_entropy"
        changes["loss"] = msgspec.structs.replace(plan.loss, exclusive=kind)
    plan = msgspec.structs.replace(plan, **changes) if changes else plan
    if isinstance(values.get(advanced.FIELD), str) and type(plan) in advanced.CONFIGS:
        plan = advanced.applied(plan, values[advanced.FIELD])
    return plan
