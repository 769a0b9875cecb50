"""A run with a fitted head that is killed and started again: the same to the bit, and its head is fitted once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
import torch
from coloured import coloured
from safetensors.torch import save_file
from test_resume import Engine, engine, events_of, weights_of
from torchvision import models

from deepft_lab import spec, worker
from deepft_lab.engines import processes
from deepft_lab.training import gradients, head_start, state

__all__ = ["engine"]

TRAINING, VALIDATION = coloured(21), coloured(6, first=1000)
VALUES = {**tiny.VALUES, "pretrained_weights": "ImageNet-1k"}


class Killed(BaseException):
    """What stands for a kill."""


def test_a_run_that_is_gone_on_with_ends_the_same_and_fits_no_head_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tiny.use(monkeypatch)
    torch.manual_seed(1)
    save_file(tiny.Tiny(1000).state_dict(), tmp_path / "mobilenet_v2.safetensors")
    fits: list[int] = []
    linear = head_start.linear
    monkeypatch.setattr(head_start, "linear", lambda *given: fits.append(1) or linear(*given))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    job_folders.make(whole, TRAINING, VALIDATION, weights_paths=[tmp_path], **VALUES)
    assert worker.main(whole) == 0 and len(fits) == 1

    monkeypatch.setattr(state.States, "due", property(lambda self: True))
    of = gradients.Gradients.of

    def dying(self: gradients.Gradients, batch: Any, step: int) -> Any:
        if step == 4:
            raise Killed
        return of(self, batch, step)

    monkeypatch.setattr(gradients.Gradients, "of", dying)
    job = job_folders.make(killed, TRAINING, VALIDATION, weights_paths=[tmp_path], **VALUES)
    with pytest.raises(Killed):
        worker.main(killed)
    monkeypatch.setattr(gradients.Gradients, "of", of)
    spec.write(killed / "spec.json", msgspec.structs.replace(job, attempt=2))
    assert worker.main(killed) == 0
    assert next(event for event in events_of(killed) if event.kind == "resumed").data == {"from_step": 4}
    assert weights_of(killed) == weights_of(whole)
    assert len(fits) == 2, "once a run"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_real_sigkill_changes_nothing_of_a_run_with_a_fitted_head(ranks: int, tmp_path: Path, engine: Engine) -> None:
    torch.manual_seed(1)
    save_file(models.mobilenet_v2(weights=None).state_dict(), tmp_path / "mobilenet_v2.safetensors")
    options = {**VALUES, "weights_paths": [tmp_path], "num_epochs": 6, "batch_size": 4, "ranks": ranks, "threads": 1}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    job_folders.make(whole, TRAINING, VALIDATION, job=f"whole-{os.getpid()}", **options)
    engine.run(whole)
    job = job_folders.make(killed, TRAINING, VALIDATION, job=f"killed-{os.getpid()}", **options)
    engine.begin(killed)
    engine.until(killed, lambda event: event.kind == "epoch")
    for pid in processes.carriers(job.job):
        os.kill(pid, signal.SIGUSR1)  # writes a checkpoint
    engine.until(killed, lambda event: event.data.get("path") == state.LAST)
    for pid in processes.carriers(job.job):
        os.kill(pid, signal.SIGKILL)
    engine.wait(killed)
    spec.write(killed / "spec.json", msgspec.structs.replace(job, attempt=2))
    engine.run(killed)
    assert next(event for event in events_of(killed) if event.kind == "resumed").data["from_step"] > 0
    assert weights_of(killed) == weights_of(whole)
