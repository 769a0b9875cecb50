"""A finished model and the embeddings of a transfer are computed a few pictures at a time, fewer in full memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
import torch
from coloured import COLOURS, coloured, picture
from torch import Tensor, nn

from deepft_lab.training import predicting, tasks
from deepft_lab.training.data import Examples
from deepft_lab.training.loop import train
from deepft_lab.training.tasks.transfer import Transfer


class Small(nn.Module):
    """Has memory for so many pictures, and notes how many came."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner, self.most, self.seen = inner, most, list[int]()

    def forward(self, images: Tensor) -> Any:
        self.seen.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return self.inner(images)


def test_many_pictures_are_predicted_a_few_at_a_time_and_as_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.use(monkeypatch)
    job = job_folders.make(tmp_path, coloured(8), [], threads=1, **tiny.VALUES)
    train(job, tmp_path, lambda *_, **__: None)
    predictor = predicting.Predictor(tmp_path / "model")
    pictures = [picture(COLOURS["red" if place % 2 else "blue"], place) for place in range(2 * predicting.TOGETHER + 3)]
    pictures[4] = b"no picture"
    alone = [predictor.predict([content])[0] for content in pictures]
    model = Small(predictor.model, most=6)
    predictor.model = model
    together = predictor.predict(pictures)
    assert model.seen[:3] == [16, 8, 4] and set(model.seen[2:]) == {4, 2}
    for one, other in zip(alone, together, strict=True):
        assert one.error == other.error
        assert [value.concept for value in one.concepts] == [value.concept for value in other.concepts]
        values = [value.value for value in other.concepts]
        assert [value.value for value in one.concepts] == pytest.approx(values, abs=1e-6)
    assert together[4].error and not together[5].error


@pytest.mark.parametrize("template", ["classifier-mobilenet-v2", "embedder-mobilenet-v2"])
def test_a_run_in_parts_evaluates_no_more_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    """Where the system killed it in an evaluation, the next attempt comes through."""
    tiny.use(monkeypatch)
    values = {**tiny.VALUES, "num_epochs": 1, "template": template}
    job = job_folders.make(tmp_path, coloured(16), coloured(9, first=100), threads=1, **values)
    seen: list[int] = []
    real = tiny.Tiny.forward

    def noted(self: tiny.Tiny, images: Tensor) -> Tensor:
        if not self.training and not torch.is_grad_enabled():
            seen.append(len(images))
        return real(self, images)

    started: list[int] = []

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind == "started":
            seen.clear()  # a head that is fitted has seen the pictures a few at a time
            started.append(data["micro_batch"])

    monkeypatch.setattr(tiny.Tiny, "forward", noted)
    train(msgspec.structs.replace(job, micro_batch=3), tmp_path, say)
    assert started == [3] and max(seen) == 3 and sum(seen) >= 9


def test_embeddings_of_a_transfer_are_the_same_where_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.use(monkeypatch)
    job = job_folders.make(
        tmp_path, coloured(20), [], template="transfer-linear", threads=1, pretrained_weights="None", image_size=32
    )
    task = tasks.make(job.type, job.template.recipe, job.values, job.concepts, exclusive=True)
    assert isinstance(task, Transfer)
    model = task.build()
    images = torch.randint(0, 256, (20, 48, 48, 3), dtype=torch.uint8)
    examples = Examples(images, range(20), [], torch.ones(20, 2), task, seed=1)  # type: ignore[arg-type]
    wanted = task._vectors(model, examples)
    trunk = Small(model.trunk, most=3)
    model.trunk = trunk
    found = task._vectors(model, examples)
    assert trunk.seen == [16, 8, 4, *[2] * 10]
    assert wanted is not None and found is not None and found.shape == (20, wanted.shape[1])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
