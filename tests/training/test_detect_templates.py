"""Each detector in its smallest variant, through a whole run: it learns, is scored, resumes, saves, predicts the same.

On photographs where they are at hand; and once more from the middle, as after a kill.
"""

from __future__ import annotations

from pathlib import Path

import job_folders
import msgspec
import photographs
import pytest
import torch
from after_a_kill import train_and_go_on
from boxed import boxed
from safetensors.torch import load_file
from small_detectors import EVERY, RUNS, SMALL_HEAD, VALUES, job_of, recipe_of, smaller

from deepft_lab import manifest
from deepft_lab.catalog import Catalog
from deepft_lab.training import tasks
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor


def test_every_detector_is_run_here() -> None:
    known = {template.id for template in Catalog().list().templates if template.type == "visual-detector"}
    assert known == set(EVERY)


@pytest.mark.parametrize("template", EVERY)
def test_a_detector_learns_is_scored_resumes_saves_and_predicts(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    sample = photographs.boxed()
    folder = tmp_path / "job"
    job = job_of(folder, template, *sample)
    result, told = train_and_go_on(job, folder, monkeypatch, step=7)

    losses = [data["train_loss"] for data in told.of("epoch")]
    assert min(losses[1:]) < losses[0]
    assert {"mAP", "AP50", "AP75", "AR", "mAP_small", "mAP_medium", "mAP_large"} <= set(result.metrics)
    assert result.metrics["mAP"] is not None
    assert set(result.metrics_by_concept) == sample.concepts
    assert all({"AP", "AP50", "AR"} <= set(figures) for figures in result.metrics_by_concept.values())

    pictures = [content for content, _, _ in sample.validation]
    first = Predictor(folder / "model").predict(pictures)
    assert Predictor(folder / "model").predict(pictures) == first
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
