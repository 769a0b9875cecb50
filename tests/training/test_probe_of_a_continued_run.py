"""The probe measures the network that will be trained: with its weights, and with what stands still in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
import torch
from boxed import boxed

from deepft_lab import spec
from deepft_lab.training import loop, optimizers, probe

SMALL: dict[str, Any] = {
    "template": "detector-faster-rcnn-light", "threads": 1, **tiny.VALUES, "image_size": [64], "num_epochs": 1,
}  # fmt: skip


def test_what_a_continued_network_holds_still_is_still_in_the_probe_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = torch.get_num_threads()
    learning: list[set[str]] = []
    build = optimizers.build

    def noted(settings: Any, model: torch.nn.Module, **given: Any) -> torch.optim.Optimizer:
        made = build(settings, model, **given)
        learning.append({name for name, parameter in model.named_parameters() if parameter.requires_grad})
        return made

    monkeypatch.setattr(optimizers, "build", noted)
    base, continued = tmp_path / "base", tmp_path / "continued"
    loop.train(job_folders.make(base, boxed(4), [], **SMALL), base, lambda *_, **__: None)
    job = job_folders.make(continued, boxed(4), [], **SMALL)
    job = msgspec.structs.replace(job, resume_model=str(base / "model"))
    spec.write(continued / "spec.json", job)
    probe.main(continued, [1, 2])
    loop.train(job, continued, lambda *_, **__: None)
    torch.set_num_threads(threads)
    anew, probed, trained = learning
    assert probed == trained < anew
