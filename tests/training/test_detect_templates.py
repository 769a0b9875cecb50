"""Each detector in its smallest variant, through a whole run: it learns, is scored, saves, and predicts the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import torch
from boxed import boxed
from safetensors.torch import load_file
from small_detectors import RUNS, SMALL_HEAD, recipe_of

from deepft_lab import manifest, spec
from deepft_lab.catalog import Catalog
from deepft_lab.training import tasks
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor

VALUES = {
    "pretrained_weights": "None", "image_size": [64], "batch_size": 4, "num_epochs": 5, "warmup_iters": 0,
    "min_samples_per_epoch": 1, "augmentation": "none", "flip_probability": 0,
}  # fmt: skip


def smaller(job: spec.JobSpec, folder: Path, changes: dict[str, Any]) -> spec.JobSpec:
    """The job with parts of its recipe exchanged."""
    recipe = {name: dict(part) if isinstance(part, dict) else part for name, part in job.template.recipe.items()}
    for name, part in changes.items():
        recipe[name] = {**recipe[name], **part} if isinstance(part, dict) else part
    template = msgspec.structs.replace(job.template, recipe=recipe)
    made = msgspec.structs.replace(job, template=template)
    spec.write(folder / "spec.json", made)
    return made


def test_every_detector_is_run_here() -> None:
    known = {template.id for template in Catalog().list().templates if template.type == "visual-detector"}
    assert known - {"detector-advanced"} == set(RUNS)


@pytest.mark.parametrize("template", RUNS)
def test_a_detector_learns_is_scored_saves_and_predicts(template: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    values, changes = RUNS[template]
    fields = {field.name for field in Catalog().get(template).fields}
    given = {name: value for name, value in {**VALUES, **values}.items() if name in fields}
    size = given.pop("image_size")
    held_out = boxed(5, first=100)
    job = job_folders.make(
        tmp_path, boxed(8), held_out, template=template, exclusive=False, threads=1,
        image_size=[320] if template == "detector-retinanet" else size, **given,
    )  # fmt: skip
    job = smaller(msgspec.structs.replace(job, values={**job.values, "image_size": size}), tmp_path, changes)
    told: list[tuple[str, dict[str, Any]]] = []
    result = train(job, tmp_path, lambda kind, step=0, **data: told.append((kind, data)))

    losses = [data["train_loss"] for kind, data in told if kind == "epoch"]
    assert min(losses[1:]) < losses[0]
    assert {"mAP", "AP50", "AP75", "AR", "mAP_small", "mAP_medium", "mAP_large"} <= set(result.metrics)
    assert result.metrics["mAP"] is not None
    assert set(result.metrics_by_concept) == {"green", "red"}
    assert {"AP", "AP50", "AR"} <= set(result.metrics_by_concept["red"])

    pictures = [content for content, _, _ in held_out]
    first = Predictor(tmp_path / "model").predict(pictures)
    assert Predictor(tmp_path / "model").predict(pictures) == first
    for prediction in first:
        assert not prediction.error and len(prediction.regions) <= 100
        assert [region.value for region in prediction.regions] == sorted(
            (region.value for region in prediction.regions), reverse=True
        )
        for region in prediction.regions:
            left, top, right, bottom = region.box
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


@pytest.mark.parametrize("template", RUNS)
def test_a_batch_without_any_box_gives_every_parameter_a_gradient(template: str) -> None:
    torch.manual_seed(0)
    found = Catalog().get(template)
    values = {field.name: field.default for field in found.fields}
    values["image_size"] = [96, 96] if template == "detector-ssd" else [64]
    task = tasks.make("visual-detector", recipe_of(template), values, ["a", "b"], exclusive=False)
    model = task.build().train()
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "ignored": torch.zeros(0, 4),
               "ignored_labels": torch.zeros(0, dtype=torch.long), "size": torch.tensor([96, 96])}  # fmt: skip
    picture = torch.randint(0, 255, (96, 96, 3), dtype=torch.uint8)
    loss = task.loss(model, task.prepare(task.test_batch([picture, picture], [nothing, nothing])))
    assert loss.isfinite()
    loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_continued_detector_holds_still_what_the_recipe_says_and_keeps_its_anchors(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    found, given = {}, {name: value for name, value in VALUES.items() if name != "min_samples_per_epoch"}
    for name, more in (("old", {"ema": 0.999}), ("new", {"resume_from": "old/v1"})):
        folder = tmp_path / name
        job = job_folders.make(
            folder, boxed(4), [], template="detector-faster-rcnn-light", exclusive=False, threads=1,
            **{**given, "num_epochs": 1, "per_item_lrate": 1e-3, **more},
        )  # fmt: skip
        job = smaller(job, folder, {"head": SMALL_HEAD})
        resumed = str(tmp_path / "old" / "model") if name == "new" else None
        train(msgspec.structs.replace(job, resume_model=resumed), folder, lambda *given, **named: None)
        found[name] = load_file(folder / "model" / "model.safetensors")
    plan = tasks.make(job.type, job.template.recipe, job.values, job.concepts, exclusive=False)
    network = plan.build()
    plan.inherited(network, set())
    still = [key for key, _ in network.named_parameters() if plan.lrate_factor(key, pretrained=True) == 0]
    assert still and all(torch.equal(found["old"][key], found["new"][key]) for key in still)
    learning = [key for key, _ in network.named_parameters() if key.startswith("head.")]
    assert not any(torch.equal(found["old"][key], found["new"][key]) for key in learning)
    # The averaged network had the fitted anchors from its first step on.
    assert torch.equal(found["old"]["head.shapes"], found["new"]["head.shapes"])
    targets = plan.targets(manifest.load(tmp_path / "old" / "train.jsonl"))
    plan.values.pop("resume_from")
    plan.fit_anchors(network, targets)
    assert torch.equal(found["old"]["head.shapes"], network.head.shapes)
