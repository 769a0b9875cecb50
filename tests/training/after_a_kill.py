"""A run, and the same run as it goes on from what a kill would have left of it: both must end alike, to the bit.

What a kill leaves is taken from the undisturbed run itself: its folder is copied at the moment at which the state of a
step has been written. So the comparison costs no more than the steps that are left.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from deepft_lab import spec
from deepft_lab.training import loop, state


class Told(list[tuple[str, dict[str, Any]]]):
    """What the loop says."""

    def __call__(self, kind: str, step: int = 0, **data: Any) -> None:
        self.append((kind, data))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for said, data in self if said == kind]


def train_and_go_on(
    job: spec.JobSpec, folder: Path, monkeypatch: pytest.MonkeyPatch, *, step: int
) -> tuple[spec.Result, Told]:
    """Trains, and again from what was left after `step`, in the middle of an epoch. The undisturbed run's result."""
    left = folder.with_name(f"{folder.name}-killed")
    _leave(left, monkeypatch, step)
    told, told_again = Told(), Told()
    result = loop.train(job, folder, told)
    started = told.of("started")[0]
    assert started["stored_side"] == job.stored_side
    assert not (left / "model").exists() and step % started["steps_per_epoch"]
    torch.manual_seed(271828)  # whatever another process would have drawn until now
    again = loop.train(job, left, told_again)
    assert told_again[0] == ("resumed", {"from_step": step})
    model = Path("model", "model.safetensors")
    assert (left / model).read_bytes() == (folder / model).read_bytes()
    assert (again.metrics, again.best_epoch) == (result.metrics, result.best_epoch)
    rest = _epochs(told_again)
    assert rest and _epochs(told)[-len(rest) :] == rest
    return result, told


def _leave(left: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """From now on a run writes its state after this step alone; then its folder is copied."""
    asked, write = loop.asked, state.States.write

    def asked_then(folder: Path, accelerator: Any, now: int, *, late: bool, due: bool) -> Any:
        return asked(folder, accelerator, now, late=late, due=now == step)

    def write_and_copy(self: state.States, *given: Any) -> str:
        fault = write(self, *given)
        shutil.copytree(self.folder, left, ignore=shutil.ignore_patterns("blobs"))
        return fault

    monkeypatch.setattr(loop, "asked", asked_then)
    monkeypatch.setattr(state.States, "write", write_and_copy)


def _epochs(told: Told) -> list[dict[str, Any]]:
    return [{name: value for name, value in data.items() if name != "seconds"} for data in told.of("epoch")]
