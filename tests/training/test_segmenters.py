"""Each segmenter on small pictures: the loss falls, it evaluates, resumes, predicts, is saved and made again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import job_folders
import numpy
import photographs
import pytest
import torch
from after_a_kill import Told, train_and_go_on
from outlined import outlined
from PIL import Image

from deepft_lab import masks, params, spec
from deepft_lab.catalog import Catalog
from deepft_lab.errors import InvalidParams
from deepft_lab.manifest import Entry, Manifest
from deepft_lab.records import Prediction
from deepft_lab.training import inheriting, tasks
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor

SMALL: dict[str, Any] = {
    "pretrained_weights": "None", "image_size": [64], "batch_size": 4, "num_epochs": 3, "warmup_iters": 0,
}  # fmt: skip
LITTLE = """
backbone: {name: timm/resnet10t, strides: [4, 8, 16]}
neck: {name: fpn, channels: 16}
head: {name: HEAD, channels: 16}
loss: {dice: 1.0}
schedule: {name: constant}
"""
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "light": ("segmenter-light", {"per_item_lrate": 1e-3}),
    "segformer": ("segmenter-segformer", {"variant": "b0", "per_item_lrate": 2.5e-4}),
    "deeplabv3": ("segmenter-deeplabv3", {"per_item_lrate": 5e-3, "image_size": [48, 32], "num_epochs": 2}),
    **{
        name: ("segmenter-advanced", {"per_item_lrate": 1e-3, "config": LITTLE.replace("HEAD", name)})
        for name in ("sum", "all_mlp", "pooling")
    },
}


def run(folder: Path, template: str, training: Any, validation: Any, **values: Any) -> tuple[spec.Result, Told]:
    told = Told()
    return train(job_of(folder, template, training, validation, **values), folder, told), told


def job_of(folder: Path, template: str, training: Any, validation: Any, **values: Any) -> spec.JobSpec:
    changed = {**SMALL, **values}
    return job_folders.make(folder, training, validation, template=template, exclusive=False, threads=1, **changed)


def task_of(template: str, concepts: list[str], **values: Any) -> Any:
    found = Catalog().get(template)
    complete, faults = params.check(found.fields, {**SMALL, **values})
    assert not faults
    return tasks.make(found.type, found.recipe, complete, concepts, exclusive=False)


@pytest.mark.parametrize("name", RUNS)
def test_a_template_learns_evaluates_resumes_predicts_and_is_made_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, values = RUNS[name]
    sample = photographs.outlined()
    folder = tmp_path / "job"
    job = job_of(folder, template, *sample, **values)
    result, told = train_and_go_on(job, folder, monkeypatch, step=5)
    epochs = told.of("epoch")
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert result.outcome == "trained"
    assert {"mIoU", "dice", "accuracy", "loss"} <= set(result.metrics)
    assert set(result.metrics_by_concept) == sample.concepts
    assert told.of("started")[0]["best_metric"] == "mIoU"
    pictures = [content for content, _, _ in sample.validation]
    found = Predictor(folder / "model").predict(pictures)
    assert found == Predictor(folder / "model").predict(pictures)
    assert_sound(found)


def test_the_light_one_finds_what_it_was_shown(tmp_path: Path) -> None:
    result, told = run(
        tmp_path, "segmenter-light", outlined(24), outlined(8, first=100), per_item_lrate=1e-3, num_epochs=12
    )
    assert (result.metrics["mIoU"] or 0) > 0.6
    content, _, regions = outlined(1, first=100)[0]
    prediction = Predictor(tmp_path / "model").predict([content])[0]
    disc = next(region for region in prediction.regions if region.concept == "disc")
    assert disc.mask is not None and regions[0].mask is not None
    wanted = masks.decode(regions[0].mask, (disc.mask.height, disc.mask.width))
    got = masks.decode(disc.mask)
    assert (wanted & got).sum() / (wanted | got).sum() > 0.5
    shown = told.of("preview")
    assert shown and any(image["prediction"]["regions"] for image in shown[-1]["images"])


def test_a_continued_segmenter_learns_at_one_rate_but_for_new_concepts(tmp_path: Path) -> None:
    run(tmp_path, "segmenter-light", outlined(4), [], num_epochs=1)
    for concepts, quick in ((["disc", "square"], set()), (["disc", "ring", "square"], {"classifier"})):
        task = task_of("segmenter-light", concepts)
        model = task.build()
        inheriting.inherit(task, model, tmp_path / "model")
        factors = {name: task.lrate_factor(name, pretrained=True) for name, _ in model.named_parameters()}
        assert {name.partition(".")[0] for name, factor in factors.items() if factor > 1} == quick


def test_class_weights_change_the_run_and_are_the_same_for_any_order(tmp_path: Path) -> None:
    pictures = outlined(8)
    losses = [
        run(tmp_path / kind, "segmenter-light", pictures, [], class_weights=kind, num_epochs=1)[1].of("epoch")[0]
        for kind in ("none", "balanced")
    ]
    assert losses[0]["train_loss"] != losses[1]["train_loss"]
    task = task_of("segmenter-light", ["disc", "square"])
    entries = [Entry(str(n), str(n), 56, 44, {}, regions) for n, (_, _, regions) in enumerate(pictures)]
    targets = task.targets(Manifest([], entries))
    assert task.balance(targets) == ""
    weights = task._weights
    assert weights.shape == (3,) and weights[0] < 1 < weights[1]
    task.balance(targets[::-1])
    assert torch.allclose(weights, task._weights)


def test_what_is_found_in_a_picture_does_not_hang_on_the_others() -> None:
    task = task_of("segmenter-light", ["a", "b"])
    torch.manual_seed(1)
    model = task.build().eval()
    pictures = [torch.randint(0, 255, size, dtype=torch.uint8) for size in ((50, 90, 3), (64, 64, 3), (300, 40, 3))]
    with torch.inference_mode():
        together = task.outputs(model, task.prepare(task.test_batch(pictures)))
        alone = [task.outputs(model, task.prepare(task.test_batch([picture])))[0] for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        assert one.map.shape == other.map.shape and (one.map == other.map).mean() > 0.999


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (2500, 2000)])
def test_unusual_pictures_are_trained_on_and_predicted(size: tuple[int, int], tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", size, 99).save(buffer, "PNG")
    picture = (buffer.getvalue(), {}, [job_folders.mask_region("disc", numpy.ones((2, 3), bool))])
    result, _ = run(tmp_path, "segmenter-light", [picture, *outlined(3)], [picture], num_epochs=1)
    assert result.metrics["mIoU"] is not None
    found = Predictor(tmp_path / "model").predict([picture[0]])
    assert found[0].error == ""
    assert_sound(found)


def test_a_thousand_concepts_and_no_picture_that_shows_any() -> None:
    concepts = [f"c{number:04}" for number in range(1000)]
    task = task_of("segmenter-light", concepts)
    targets = task.targets(Manifest(concepts, [Entry("i", "i", 8, 8)]))
    assert len(task.complaints(targets)) == 1000
    picture = torch.zeros(8, 8, 3, dtype=torch.uint8)
    model = task.build().eval()
    with torch.inference_mode():
        outputs = task.outputs(model, task.prepare(task.test_batch([picture], targets)))
    scorer = task.scorer(targets)
    scorer.add([0], outputs)
    whole, by_concept = scorer.result()
    assert len(by_concept) == 1000 and whole["loss"] is not None


@pytest.mark.parametrize("size", [[16], [64, 8], [64, 64, 64], []])
def test_a_size_that_no_network_takes_is_told_before_the_run(size: list[int]) -> None:
    template = Catalog().get("segmenter-light")
    values = {**params.defaults(template.fields), "image_size": size}
    task = tasks.make(template.type, template.recipe, values, ["a"], exclusive=False)
    with pytest.raises(InvalidParams, match="image_size"):
        task.check()


def test_boxes_instead_of_outlines_are_complained_of() -> None:
    task = task_of("segmenter-light", ["a"])
    box = job_folders.Region(kind="box", concept="a", box=(0.0, 0.0, 0.5, 0.5))
    said = task.complaints(task.targets(Manifest(["a"], [Entry("i", "i", 8, 8, {}, [box])])))
    assert len(said) == 2 and "no outline" in said[1]


def assert_sound(predictions: list[Prediction]) -> None:
    """Masks do not overlap, boxes lie around them, values are probabilities, the most certain first."""
    for prediction in predictions:
        values = [region.value for region in prediction.regions]
        assert values == sorted(values, reverse=True) and all(0 < value <= 1 for value in values)
        found = [region.mask for region in prediction.regions]
        if found:
            assert sum(masks.decode(mask).astype(int) for mask in found if mask is not None).max() == 1
        for region in prediction.regions:
            assert region.mask is not None and region.box == masks.extent(region.mask)
