"""What a run survives: few pictures, many concepts, odd pictures, and what is missing. Tiny networks, real pictures."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import numpy
import pytest
import tiny
import torch
from coloured import COLOURS, coloured, picture
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from deepft_lab import spec
from deepft_lab.training import loop
from deepft_lab.training.predicting import Predictor
from deepft_lab.training.weights import WrongWeights

Said = dict[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.use(monkeypatch)  # with batch norm


def run(folder: Path, training: Any, validation: Any = (), **options: Any) -> Said:
    return go(job_folders.make(folder, training, validation, **{**tiny.VALUES, **options}), folder)


def go(job: spec.JobSpec, folder: Path) -> Said:
    said: Said = {}
    result = loop.train(job, folder, lambda kind, step=0, **data: said.setdefault(kind, []).append(data))
    assert result.outcome == "trained"
    assert all(tensor.isfinite().all() for tensor in load_file(folder / "model" / "model.safetensors").values())
    return said


def png(pixels: numpy.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_one_image_a_concept(tmp_path: Path) -> None:
    said = run(tmp_path, coloured(3, tuple(COLOURS)), coloured(3, tuple(COLOURS), first=50))
    assert said["finished"][0]["metrics"]["accuracy"] is not None


def test_a_single_image(tmp_path: Path) -> None:
    assert run(tmp_path, coloured(1))["started"][0]["steps"] == 3


def test_a_thousand_concepts(tmp_path: Path) -> None:
    def labelled(first: int, count: int) -> list[tuple[bytes, dict[str, int]]]:
        return [(picture((n % 256, n // 5, 90), n, (8, 8)), {f"concept {n % 1000}": 1}) for n in range(first, count)]

    said = run(tmp_path, labelled(0, 1000), labelled(1000, 1020), num_epochs=1, batch_size=128)
    assert len(said["epoch"][0]["metrics_by_concept"]) == 1000
    found = Predictor(tmp_path / "model").predict([picture((1, 2, 3), 1)])
    assert len(found[0].concepts) == 1000


def test_a_batch_larger_than_the_data(tmp_path: Path) -> None:
    said = run(tmp_path, coloured(5), coloured(2, first=50), batch_size=256)
    assert said["started"][0]["steps_per_epoch"] == 1


@pytest.mark.parametrize(("inputs", "parts"), [(9, 1), (17, 1), (9, 3), (8, 8)])
def test_a_last_batch_or_part_of_one_with_batch_norm(tmp_path: Path, inputs: int, parts: int) -> None:
    run(tmp_path, coloured(inputs), coloured(3, first=50), gradient_accumulation=parts)


class OnePixel(nn.Module):
    """Batch norm over one number an image: torch refuses to train it on a single image."""

    def __init__(self, outputs: int, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(3))
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(3, outputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.norm(images))


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"gradient_accumulation": 8}, {"gradient_accumulation": 5}])
def test_batch_norm_that_cannot_take_a_single_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    tiny.use(monkeypatch, OnePixel)
    run(tmp_path, coloured(9), coloured(3, first=50), **options)


def test_a_concept_without_a_validation_input(tmp_path: Path) -> None:
    said = run(tmp_path, coloured(9, tuple(COLOURS)), coloured(4, ("red", "blue"), first=50))
    figures = said["finished"][0]["metrics_by_concept"]
    assert figures["green"]["positives"] == 0 and figures["green"]["recall"] is None
    assert said["finished"][0]["metrics"]["accuracy"] is not None


def test_grey_tiny_and_huge_pictures(tmp_path: Path) -> None:
    random = numpy.random.default_rng(0)
    huge = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (40, 50, 3), dtype=numpy.uint8)).resize((5200, 4000)).save(huge, "JPEG")
    odd = [
        (png(random.integers(0, 255, (30, 40), dtype=numpy.uint8)), {"red": 1}),
        (png(numpy.full((1, 1, 3), 200, numpy.uint8)), {"blue": 1}),
        (png(numpy.full((1, 900, 3), 90, numpy.uint8)), {"red": 1}),
        (huge.getvalue(), {"blue": 1}),
    ]
    said = run(tmp_path, odd + coloured(4), odd)
    assert said["started"][0]["train"] == 8 and "warning" not in said
    found = Predictor(tmp_path / "model").predict([content for content, _ in odd])
    assert all(prediction.error == "" for prediction in found)


def test_weights_of_another_architecture_are_named(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(9), [], **tiny.VALUES)
    save_file(tiny.Plain(2).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(WrongWeights, match="does not hold weights of the architecture mobilenet_v2"):
        go(msgspec.structs.replace(job, weights=str(tmp_path / "other.safetensors")), tmp_path)


def test_two_runs_on_one_cache_give_what_one_gives(tmp_path: Path) -> None:
    from deepft_lab.training import pictures, tasks

    training = coloured(24)
    run(tmp_path / "alone", training)
    jobs = []
    for name in ("a", "b"):
        job = job_folders.make(tmp_path / name, training, [], **tiny.VALUES)
        jobs.append((msgspec.structs.replace(job, cache=str(tmp_path / "cache")), tmp_path / name))
    from deepft_lab import manifest

    found: dict[str, Any] = {}

    def gather(job: spec.JobSpec, folder: Path) -> None:
        entries = manifest.load(folder / "train.jsonl").entries
        side = tasks.of_job(job).stored_side
        found[folder.name] = [picture.clone() for picture in pictures.gather(job, folder, entries, side)]

    threads = [threading.Thread(target=gather, args=given) for given in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, other) for one, other in zip(found["a"], found["b"], strict=True))
    decoded = [go(job, folder)["started"][0]["decoded"] for job, folder in jobs]
    assert decoded == [0, 0]  # both were there already
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (tmp_path / "alone", jobs[1][1])]
    assert weights[0] == weights[1]
