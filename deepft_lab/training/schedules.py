"""Learning rates over a run, by their registered names: functions of the step, so there is no state to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """Learning rates are those of a whole step (batch and ranks multiplied in)."""

    lrate: float
    least: float
    steps: int
    warmup: int
    warmup_ratio: float


def plan(values: Mapping[str, Any], *, lrate: float, images_a_step: int, steps: int) -> Plan:
    """The plan of a run. Warm-up takes a quarter of the steps at most, so that a short run trains at all."""
    return Plan(
        lrate=lrate,
        least=min(float(values.get("per_item_min_lrate") or 0.0) * images_a_step, lrate),
        steps=steps,
        warmup=min(int(values.get("warmup_iters") or 0), steps // 4),
        warmup_ratio=float(values.get("warmup_ratio") or 0.0),
    )


def cosine(plan: Plan, step: int) -> float:
    """A line up to the full rate, then half a cosine down to the least. `step` counts from 0."""
    if step < plan.warmup:
        share = plan.warmup_ratio + (1 - plan.warmup_ratio) * step / plan.warmup
        return plan.lrate * share
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.least + (plan.lrate - plan.least) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


SCHEDULES: dict[str, Callable[[Plan, int], float]] = {"cosine": cosine}
