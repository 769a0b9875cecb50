"""Learning rates over a run, by their registered names: functions of the step, so there is no state to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.parts import Schedule

_PLAIN = Schedule()


class Plan(NamedTuple):
    """Learning rates are those of a whole step (batch and ranks multiplied in). `drops`: steps at which it falls."""

    lrate: float
    least: float
    steps: int
    warmup: int
    warmup_ratio: float
    drops: tuple[int, ...] = ()
    factor: float = 1.0
    power: float = 1.0


def plan(
    values: Mapping[str, Any], *, lrate: float, images_a_step: int, steps: int, schedule: Schedule = _PLAIN
) -> Plan:
    """The plan of a run. Warm-up takes a quarter of the steps at most, so that a short run trains at all."""
    return Plan(
        lrate=lrate,
        least=min(float(values.get("per_item_min_lrate") or 0.0) * images_a_step, lrate),
        steps=steps,
        warmup=min(int(values.get("warmup_iters") or 0), steps // 4),
        warmup_ratio=float(values.get("warmup_ratio") or 0.0),
        drops=tuple(sorted(_drops(values, steps, schedule))),
        factor=schedule.factor,
        power=schedule.power,
    )


def _drops(values: Mapping[str, Any], steps: int, schedule: Schedule) -> list[int]:
    """Steps (from 0) that begin with a lower rate than the one before."""
    epochs = max(1, int(values.get("num_epochs") or 1))
    if schedule.name == "steps":
        at = values.get("learning_rate_steps")
        shares = schedule.drops if at is None else [epoch / epochs for epoch in at]
    elif schedule.name == "init_step":
        first, then = int(values.get("init_epochs") or epochs), max(1, int(values.get("step_epochs") or epochs))
        shares = [epoch / epochs for epoch in range(first, epochs, then)]
    else:
        shares = []
    return [round(share * steps) for share in shares]


def cosine(plan: Plan, step: int) -> float:
    """A line up to the full rate, then half a cosine down to the least. `step` counts from 0."""
    return _warm(plan, step, plan.least + (plan.lrate - plan.least) * 0.5 * (1 + math.cos(math.pi * _done(plan, step))))


def linear(plan: Plan, step: int) -> float:
    """A line up to the full rate, then a line down to the least."""
    return _warm(plan, step, plan.least + (plan.lrate - plan.least) * (1 - _done(plan, step)))


def poly(plan: Plan, step: int) -> float:
    """A line up to the full rate, then (1 - share of the steps done) to a power (arXiv 1606.00915, section 4.1)."""
    return _warm(plan, step, plan.least + (plan.lrate - plan.least) * (1 - _done(plan, step)) ** plan.power)


def constant(plan: Plan, step: int) -> float:
    """A line up to the full rate, which then stays."""
    return _warm(plan, step, plan.lrate)


def steps(plan: Plan, step: int) -> float:
    """A line up to the full rate, which falls by the factor at each drop, never below the least."""
    fallen = plan.factor ** sum(step >= drop for drop in plan.drops)
    return _warm(plan, step, max(plan.lrate * fallen, plan.least))


def _done(plan: Plan, step: int) -> float:
    """Share of the steps after the warm-up, 0..1."""
    return min((step - plan.warmup) / max(1, plan.steps - plan.warmup), 1.0)


def _warm(plan: Plan, step: int, later: float) -> float:
    if step >= plan.warmup:
        return later
    return plan.lrate * (plan.warmup_ratio + (1 - plan.warmup_ratio) * step / plan.warmup)


def find(schedule: Schedule) -> Callable[[Plan, int], float]:
    """The function of a recipe's schedule: (plan, step) to the learning rate. Also one that is installed."""
    if schedule.name in SCHEDULES:
        return SCHEDULES[schedule.name]
    share = builders.bound("schedule", schedule.name, schedule.arguments)
    return lambda plan, step: _warm(plan, step, plan.lrate * share(_done(plan, step)))


SCHEDULES: dict[str, Callable[[Plan, int], float]] = {
    "cosine": cosine,
    "steps": steps,
    "init_step": steps,
    "linear": linear,
    "constant": constant,
    "poly": poly,
}
