"""Learning rates and orders of a run: functions of the step and of the epoch."""

from __future__ import annotations

import collections

import pytest

from deepft_lab.training import schedules
from deepft_lab.training.data import TrainingOrder
from deepft_lab.training.recipes.parts import Schedule


def rates(schedule: Schedule, steps: int, **values: object) -> list[float]:
    plan = schedules.plan(values, lrate=1.0, images_a_step=1, steps=steps, schedule=schedule)
    return [schedules.SCHEDULES[schedule.name](plan, step) for step in range(steps)]


def test_the_rate_falls_after_the_epochs_that_are_named() -> None:
    found = rates(Schedule(name="steps", factor=0.1), 50, num_epochs=10, learning_rate_steps=[2, 5])
    assert found[9] == 1.0 and found[10] == pytest.approx(0.1)
    assert found[24] == pytest.approx(0.1) and found[25] == found[49] == pytest.approx(0.01)


def test_the_rate_falls_at_shares_of_the_run_where_no_field_names_epochs() -> None:
    found = rates(Schedule(name="steps", factor=0.5, drops=[0.5, 0.75]), 8)
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_the_rate_stays_for_the_first_epochs_and_then_falls_regularly() -> None:
    found = rates(Schedule(name="init_step", factor=0.1), 130, num_epochs=65, init_epochs=25, step_epochs=7)
    falls = [step for step in range(1, 130) if found[step] < found[step - 1]]
    assert falls == [2 * epoch for epoch in (25, 32, 39, 46, 53, 60)]


def test_a_run_that_is_shorter_than_the_first_rate_keeps_it() -> None:
    assert set(rates(Schedule(name="init_step"), 20, num_epochs=5, init_epochs=25, step_epochs=7)) == {1.0}


def test_a_line_falls_and_a_constant_stays_after_the_warm_up() -> None:
    line = rates(Schedule(name="linear"), 12, warmup_iters=2, warmup_ratio=0.5)
    assert line[:3] == [0.5, 0.75, 1.0] and line[7] == pytest.approx(0.5)
    assert rates(Schedule(name="constant"), 8, warmup_iters=2, warmup_ratio=0.5)[2:] == [1.0] * 6


def test_an_epoch_of_more_items_goes_through_all_inputs_again() -> None:
    order = TrainingOrder(5, batch_size=4, seed=1, items=12)
    batches = list(order)
    assert len(batches) == len(order) == 3
    seen = collections.Counter(example for batch in batches for example, _, _ in batch)
    assert set(seen) == set(range(5)) and set(seen.values()) <= {2, 3}
    positions = [position for batch in batches for _, _, position in batch]
    assert len(set(positions)) == len(positions)


def test_an_epoch_of_fewer_items_takes_others_each_time() -> None:
    order = TrainingOrder(100, batch_size=5, seed=1, items=10)
    epochs = []
    for order.epoch in (1, 2):
        epochs.append({example for batch in order for example, _, _ in batch})
    assert len(epochs[0]) == len(epochs[1]) == 10 and epochs[0] != epochs[1]
