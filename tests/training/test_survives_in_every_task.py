"""What a run survives, task by task: odd pictures, many concepts, concepts that are not shown, batches of any size."""

from __future__ import annotations

import contextlib
import functools
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import job_folders
import numpy
import psutil
import pytest
import small_detectors
import tiny
import torch
from after_a_kill import Told
from boxed import boxed
from coloured import coloured, picture
from outlined import outlined
from PIL import Image
from safetensors.torch import load_file

from deepft_lab.records import Prediction, Region
from deepft_lab.training import architectures
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor

DETECTORS = tuple(small_detectors.RUNS)
POOLING = """
backbone: {name: timm/resnet10t, strides: [4, 8, 16]}
head: {name: pooling, channels: 16}
"""
SEGMENTERS: dict[str, dict[str, Any]] = {"segmenter-light": {}, "segmenter-advanced": {"config": POOLING}}
EMBEDDERS = ("embedder-mobilenet-v2", "embedder-angular-margin")  # the second has batch norm over vectors
EVERY = (*DETECTORS, *SEGMENTERS, *EMBEDDERS)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    made = architectures.Architecture(tiny.Tiny, "classifier.1.", 32)
    monkeypatch.setitem(architectures.ARCHITECTURES, "mobilenet_v2", made)
    monkeypatch.setitem(architectures.ARCHITECTURES, "resnet101", made)


def run(template: str, folder: Path, training: Any, validation: Any, **values: Any) -> Told:
    """An epoch, whose weights are numbers."""
    if template in DETECTORS:
        job = small_detectors.job_of(folder, template, training, validation, num_epochs=1, **values)
    else:
        size: Any = [32] if template in SEGMENTERS else 32
        given = {**tiny.VALUES, "batch_size": 4, "num_epochs": 1, "image_size": size, **SEGMENTERS.get(template, {})}
        if template == "embedder-angular-margin":  # it has no warm-up
            del given["warmup_iters"]
        job = job_folders.make(folder, training, validation, template=template, threads=1, **{**given, **values})
    told = Told()
    assert train(job, folder, told).outcome == "trained"
    assert all(tensor.isfinite().all() for tensor in load_file(folder / "model" / "model.safetensors").values())
    return told


def ordinary(template: str, count: int, first: int = 1) -> list[tuple[Any, ...]]:
    """Drawn pictures that this task learns from."""
    if template in EMBEDDERS:
        return list(coloured(count, first=first))
    return list(boxed(count, first=first) if template in DETECTORS else outlined(count, first=first))


def assert_sound(predictions: list[Prediction]) -> None:
    """Nothing went wrong, and regions lie in their pictures."""
    assert all(prediction.error == "" for prediction in predictions)
    for prediction in predictions:
        assert all(numpy.isfinite(prediction.embedding))
        for region in prediction.regions:
            left, top, right, bottom = region.box
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1 and 0 <= region.value <= 1


# -- odd pictures -----------------------------------------------------------------------------------


@functools.cache
def odd() -> dict[str, bytes]:
    """Grey, of one pixel, of one row, and of 20 megapixels."""
    random = numpy.random.default_rng(0)
    huge = Image.fromarray(random.integers(0, 255, (40, 52, 3), dtype=numpy.uint8)).resize((5200, 4000))
    made = {
        "grey": Image.fromarray(random.integers(0, 255, (30, 40), dtype=numpy.uint8)),
        "pixel": Image.new("RGB", (1, 1), (200, 90, 90)),
        "row": Image.new("RGB", (900, 1), (90, 90, 90)),
        "huge": huge,
    }
    found = {}
    for name, image in made.items():
        buffer = io.BytesIO()
        image.save(buffer, "JPEG" if name == "huge" else "PNG")
        found[name] = buffer.getvalue()
    return found


@pytest.mark.parametrize("template", EVERY)
def test_grey_tiny_and_huge_pictures_are_trained_on_and_predicted(template: str, tmp_path: Path) -> None:
    truth: tuple[Any, ...] = ({}, [Region(concept="red", box=(0.1, 0.1, 0.9, 0.9))])
    if template in SEGMENTERS:
        truth = ({}, [job_folders.mask_region("disc", numpy.ones((2, 3), bool))])  # of another size than any picture
    elif template in EMBEDDERS:
        truth = ({"red": 1},)
    pictures = [(content, *truth) for content in odd().values()]
    told = run(template, tmp_path, pictures + ordinary(template, 4), pictures)
    assert told.of("started")[0]["train"] == 8 and not told.of("warning")
    assert_sound(Predictor(tmp_path / "model").predict(list(odd().values())))


# -- batches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ({"batch_size": 1}, 5),
        ({"batch_size": 4}, 2),  # the last one, of training and of validation, has a single picture
        ({"batch_size": 4, "gradient_accumulation": 4}, 2),  # parts of one
        ({"batch_size": 16}, 1),  # larger than the data
    ],
)
@pytest.mark.parametrize("template", EVERY)
def test_a_batch_of_any_size(template: str, values: dict[str, Any], steps: int, tmp_path: Path) -> None:
    told = run(template, tmp_path, ordinary(template, 5), ordinary(template, 5, first=50), **values)
    started = told.of("started")[0]
    assert started["steps"] == steps
    assert told.of("finished")[0]["metrics"][started["best_metric"]] is not None


# -- concepts ---------------------------------------------------------------------------------------


def showing(concept: str, pictures: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Those of the pictures that show the concept, and nothing else."""
    found = []
    for content, labels, *regions in pictures:
        drawn = [region for region in (regions[0] if regions else []) if region.concept == concept]
        named = {name: value for name, value in labels.items() if name == concept}
        if drawn or named:
            found.append((content, named, drawn))
    return found


@pytest.mark.parametrize(
    ("template", "shown", "missing", "figure"),
    [
        ("detector-faster-rcnn-light", "red", "green", "AP"),
        ("segmenter-light", "disc", "square", "recall"),
        ("embedder-mobilenet-v2", "red", "blue", "recall_at_1"),
    ],
)
def test_a_concept_without_a_validation_input(
    template: str, shown: str, missing: str, figure: str, tmp_path: Path
) -> None:
    held_out = showing(shown, ordinary(template, 12, first=50))
    told = run(template, tmp_path, ordinary(template, 8), held_out)
    finished = told.of("finished")[0]
    by_concept = finished["metrics_by_concept"]
    assert by_concept[missing][figure] is None and by_concept[shown][figure] is not None
    assert finished["metrics"][told.of("started")[0]["best_metric"]] is not None
    if template in DETECTORS:
        assert finished["metrics"]["mAP"] == pytest.approx(by_concept[shown]["AP"])


def many_concepts(template: str, pictures: int, first: int) -> list[tuple[Any, ...]]:
    """Of a thousand concepts: one a picture, or 125 boxes a picture."""
    if template in EMBEDDERS:
        numbers = range(first, first + pictures)
        return [(picture((n % 256, n // 5 % 256, 90), n, (8, 8)), {f"concept {n % 1000}": 1}) for n in numbers]
    made = []
    for number in range(pictures):
        regions = []
        for place in range(125):
            left, top = place % 25 / 25, place // 25 / 5
            name = f"concept {(number * 125 + place) % 1000}"
            regions.append(Region(concept=name, box=(left, top, left + 1 / 25, top + 1 / 5)))
        made.append((picture((90, 90, 90), first + number, (100, 100)), {}, regions))
    return made


@contextlib.contextmanager
def bounded(*, gigabytes: float, seconds: float) -> Iterator[None]:
    """Fails where what is done takes more memory than the process had before, or more processor time."""
    process, done, most = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], process.memory_info().rss)

    before, begun = process.memory_info().rss, time.process_time()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert (most[0] - before) / 2**30 < gigabytes
    assert time.process_time() - begun < seconds


@pytest.mark.parametrize("template", (*DETECTORS, *EMBEDDERS))
def test_a_thousand_concepts(template: str, tmp_path: Path) -> None:
    pictures, held_out = (8, 4) if template in DETECTORS else (1000, 20)
    training, validation = many_concepts(template, pictures, 0), many_concepts(template, held_out, 5000)
    with bounded(gigabytes=1, seconds=60):
        told = run(template, tmp_path, training, validation, batch_size=8 if template in DETECTORS else 128)
        found = Predictor(tmp_path / "model").predict([content for content, *_ in validation])
    assert len(told.of("epoch")[0]["metrics_by_concept"]) == 1000
    assert_sound(found)
