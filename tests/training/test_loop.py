"""The loop on small pictures: what it says, what it leaves, and what it survives. Each run takes a second or two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import job_folders
import pytest
import torch
from coloured import COLOURS, coloured, picture
from safetensors.torch import load_file

from deepft_lab import manifest, spec, worker
from deepft_lab.errors import DeepFTError
from deepft_lab.events import EventReader
from deepft_lab.records import Event
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor

SMALL = {
    "pretrained_weights": "None", "image_size": 64, "batch_size": 12, "num_epochs": 2, "per_item_lrate": 1e-4,
    "warmup_iters": 0,
}  # fmt: skip
EPOCHS = 8  # of the run that most tests look at
VALIDATION = coloured(9, first=1000)


class Told(list[tuple[str, int, dict[str, Any]]]):
    """What the loop says."""

    def __call__(self, kind: str, step: int = 0, **data: Any) -> None:
        self.append((kind, step, data))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for said, _, data in self if said == kind]


def run(folder: Path, training: Any = None, validation: Any = VALIDATION, **options: Any) -> tuple[spec.Result, Told]:
    job = job_folders.make(folder, coloured(25) if training is None else training, validation, **{**SMALL, **options})
    told = Told()
    return train(job, folder, told), told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that the worker's main has run: 25 pictures in batches of 12, so the last one is a batch of one."""
    made = tmp_path_factory.mktemp("job")
    job_folders.make(made, coloured(25), VALIDATION, job="small", **{**SMALL, "num_epochs": EPOCHS})
    assert worker.main(made) == 0
    return made


@pytest.fixture(scope="module")
def events(folder: Path) -> list[Event]:
    return EventReader(folder / "events.jsonl").read()


def test_events_come_in_order_without_a_gap(events: list[Event]) -> None:
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    kinds = [event.kind for event in events if event.kind != "preparing"]
    assert kinds[0] == "started" and kinds[-1] == "finished"
    assert kinds.count("epoch") == EPOCHS
    assert {"step", "checkpoint"} < set(kinds)
    steps = [event.step for event in events]
    assert steps == sorted(steps) and steps[-1] == 3 * EPOCHS


def test_the_start_says_what_will_be_done(events: list[Event]) -> None:
    data = events[0].data
    assert data | {"threads": 0} == {
        "ranks": 1, "device": "CPU", "precision": "float32", "threads": 0, "train": 25, "validation": 9,
        "epochs": EPOCHS, "steps_per_epoch": 3,
        "steps": 3 * EPOCHS, "lrate": pytest.approx(12e-4), "best_metric": "accuracy",
        "stored_side": 84, "decoded": 34, "micro_batch": 12, "weights": {},
        "gathering": data["gathering"], "settling": data["settling"],
    }  # fmt: skip
    assert data["gathering"] > 0 and data["settling"] >= 0


def test_steps_carry_rates_and_resources(events: list[Event]) -> None:
    step = next(event for event in reversed(events) if event.kind == "step")
    assert step.step == 3 * EPOCHS
    assert set(step.data) == {
        "epoch", "loss", "lrate", "images_per_second", "seconds_left", "memory", "cpu",
    }  # fmt: skip
    assert step.data["images_per_second"] > 0 and step.data["memory"] > 1e6


def test_two_colours_are_learned_from_a_random_start(folder: Path) -> None:
    result = spec.read(folder / "result.json", spec.Result)
    assert result.outcome == "trained"
    assert set(result.metrics) == {"accuracy", "f1_macro", "roc_auc_macro", "loss"}
    assert result.metrics["accuracy"] >= 0.9
    assert set(result.metrics_by_concept) == {"red", "blue"}
    assert set(result.metrics_by_concept["red"]) == {"precision", "recall", "f1", "roc_auc", "positives"}


def test_the_best_epoch_is_the_one_with_the_highest_metric(folder: Path, events: list[Event]) -> None:
    result = spec.read(folder / "result.json", spec.Result)
    epochs = [event.data for event in events if event.kind == "epoch"]
    figures = [(data["metrics"]["accuracy"], -data["metrics"]["loss"]) for data in epochs]
    assert result.best_epoch == 1 + figures.index(max(figures))
    assert [data["epoch"] for data in epochs if data["best"]][-1] == result.best_epoch
    assert result.metrics == epochs[result.best_epoch - 1]["metrics"]


def test_only_the_model_is_left(folder: Path) -> None:
    left = {path.name for path in folder.iterdir()}
    assert left == {"blobs", "events.jsonl", "model", "result.json", "spec.json", "train.jsonl", "validation.jsonl"}
    assert {path.name for path in (folder / "model").iterdir()} == {"model.json", "model.safetensors"}


def test_predictions_of_the_model_are_those_of_its_validation(folder: Path) -> None:
    result = spec.read(folder / "result.json", spec.Result)
    predictor = Predictor(folder / "model")
    found = predictor.predict([content for content, _ in VALIDATION])
    right = [
        prediction.concepts[0].concept in labels for prediction, (_, labels) in zip(found, VALIDATION, strict=True)
    ]
    assert sum(right) / len(right) == pytest.approx(result.metrics["accuracy"])
    assert all(sum(value.value for value in prediction.concepts) == pytest.approx(1) for prediction in found)
    assert all(p.concepts[0].value >= p.concepts[1].value for p in found)


def test_a_picture_that_cannot_be_read_gets_its_error_and_stops_no_other(folder: Path) -> None:
    predictor = Predictor(folder / "model")
    found = predictor.predict([b"", VALIDATION[0][0], b"text"])
    assert "empty" in found[0].error and "text" in found[2].error
    assert found[1].error == "" and len(found[1].concepts) == 2


def test_the_same_seed_gives_the_same_model_and_another_gives_another(tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / name, seed=seed, num_epochs=1)
        weights.append(load_file(tmp_path / name / "model" / "model.safetensors")["classifier.1.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_stop_before_the_first_epoch_ends_still_gives_a_model(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(40), VALIDATION, **{**SMALL, "num_epochs": 50})
    (tmp_path / "stop").touch()
    told = Told()
    result = train(job, tmp_path, told)
    assert result.outcome == "trained" and result.best_epoch == 1
    assert told.of("stopping") and len(told.of("epoch")) == 1
    assert max(step for _, step, _ in told) == 1
    assert (tmp_path / "model" / "model.json").exists()


def test_a_stop_later_keeps_the_best_of_the_finished_epochs(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(40), VALIDATION, **{**SMALL, "num_epochs": 50})
    told = Told()

    def say(kind: str, step: int = 0, **data: Any) -> None:
        told(kind, step, **data)
        if kind == "epoch":
            (tmp_path / "stop").touch()

    result = train(job, tmp_path, say)
    assert result.best_epoch == 1 and len(told.of("epoch")) == 1
    assert max(step for _, step, _ in told) == 5  # the next step after the fourth, which ended the epoch


def test_a_loss_that_is_no_number_ends_the_run_with_words(tmp_path: Path) -> None:
    with pytest.raises(DeepFTError, match=r"loss is (nan|inf) at step .* per_item_lrate"):
        run(tmp_path, per_item_lrate=1e30, num_epochs=3)
    assert not (tmp_path / "model").exists()


def test_a_failed_run_leaves_its_reason_and_the_end_of_its_trace(tmp_path: Path) -> None:
    job_folders.make(tmp_path, coloured(8), VALIDATION, **{**SMALL, "per_item_lrate": 1e30, "num_epochs": 3})
    assert worker.main(tmp_path) == 1
    result = spec.read(tmp_path / "result.json", spec.Result)
    failed = EventReader(tmp_path / "events.jsonl").read()[-1]
    assert result.outcome == "failed"
    assert failed.kind == "failed" and failed.data["reason"] == result.reason
    assert "DeepFTError" in failed.data["traceback"]


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(30), VALIDATION, **{**SMALL, "num_epochs": 1})
    bad = manifest.load(tmp_path / "train.jsonl").entries[0]
    (Path(job.blobs) / bad.sha256[:2] / bad.sha256).write_bytes(b"torn")
    told = Told()
    result = train(job, tmp_path, told)
    assert told.of("started")[0]["train"] == 29
    assert any(bad.input in warning for warning in result.warnings)


def test_too_many_pictures_that_cannot_be_read_end_the_run(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(8), VALIDATION, **SMALL)
    for entry in manifest.load(tmp_path / "train.jsonl").entries:
        (Path(job.blobs) / entry.sha256[:2] / entry.sha256).unlink()
    with pytest.raises(DeepFTError, match="8 of 17 inputs cannot be read"):
        train(job, tmp_path, Told())


def test_batches_of_one_train_too(tmp_path: Path) -> None:
    result, _ = run(tmp_path, coloured(3), batch_size=1, num_epochs=1)
    assert result.outcome == "trained"


def test_concepts_that_do_not_exclude_each_other_have_no_accuracy(tmp_path: Path) -> None:
    def labelled(count: int, first: int) -> list[tuple[bytes, dict[str, int]]]:
        kinds = [("red", {"warm": 1, "cold": 0}), ("blue", {"warm": 0, "cold": 1}), ("green", {"cold": 0})]
        chosen = [kinds[place % 3] for place in range(count)]
        return [(picture(COLOURS[colour], first + place), labels) for place, (colour, labels) in enumerate(chosen)]

    result, told = run(tmp_path, labelled(12, 0), labelled(6, 500), exclusive=False)
    assert told.of("started")[0]["best_metric"] == "roc_auc_macro"
    assert set(result.metrics) == {"f1_macro", "roc_auc_macro", "loss"}
    assert result.metrics_by_concept["warm"]["positives"] == 2
    assert json.loads((tmp_path / "model" / "model.json").read_text())["exclusive"] is False


def test_without_validation_the_last_epoch_is_the_model(tmp_path: Path) -> None:
    result, told = run(tmp_path, validation=[])
    assert (result.best_epoch, result.metrics) == (2, {})
    assert told.of("started")[0]["best_metric"] == ""
    assert any("validate" in warning for warning in result.warnings)


def test_a_single_concept_with_one_class_in_validation_is_chosen_by_loss(tmp_path: Path) -> None:
    training = [(content, {"red": int("red" in labels)}) for content, labels in coloured(10)]
    result, told = run(tmp_path, training, [(picture(COLOURS["red"], 900), {"red": 1})], exclusive=False)
    assert told.of("started")[0]["best_metric"] == "loss"
    assert result.metrics["roc_auc_macro"] is None and result.metrics["f1_macro"] is None


def test_the_recipe_a1_trains(tmp_path: Path) -> None:
    options = {"template": "classifier-resnet50-rsb-a1", "num_epochs": 1, "per_item_lrate": 1e-5}
    result, told = run(tmp_path, coloured(12), coloured(4, first=700), **options)
    assert result.outcome == "trained"
    assert told.of("started")[0]["steps"] == 1
    assert json.loads((tmp_path / "model" / "model.json").read_text())["recipe"]["test_crop"] == 0.95


def test_a_size_below_what_the_network_takes_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DeepFTError, match="at least 32 pixels"):
        run(tmp_path, template="classifier-resnet50-rsb-a1", image_size=8)


def test_a_launcher_that_started_too_few_processes_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(DeepFTError, match="started 1 processes where the job asked for 2"):
        run(tmp_path, ranks=2)


def test_given_weights_are_where_training_starts(tmp_path: Path, shared: Path) -> None:
    weights = [shared / "jupyter" / "deepft-lab" / "weights"]
    run(tmp_path, pretrained_weights="ImageNet-1k", weights_paths=weights, num_epochs=1, per_item_lrate=0.0)
    given = load_file(weights[0] / "mobilenet_v2.safetensors")["features.0.0.weight"]
    kept = load_file(tmp_path / "model" / "model.safetensors")["features.0.0.weight"]
    assert torch.equal(given, kept)
