"""The whole way in Python, through a real server and a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import JupyterServer, jupyter, shared_folder
from PIL import Image

from deepft_lab.errors import Conflict, InvalidParams, NotFound, VersionDeleted, WeightsNotFound


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with jupyter(tmp_path_factory.mktemp("flow"), "headless") as running:
        yield running


@pytest.fixture(scope="module")
def app(lab: Any, photos: Any) -> Any:
    created = lab.create_app("insects", description="a whole way")
    for dataset in ("train", "val"):
        folders = [photos.folder / dataset / concept for concept in photos.concepts]
        report = created.upload(folders, dataset=dataset, concepts="folders", metadata={"part": dataset})
        assert (report.added and not report.errors) or shared_folder()
    return created


@pytest.fixture(scope="module")
def version(app: Any, photos: Any) -> Any:
    model = app.create_model("first", template="classifier-mobilenet-v2", **photos.values)
    trained = model.train(dataset="train", validation="val")
    return trained.wait(timeout=280)


def test_a_model_is_trained_on_real_images_and_reports_its_metrics(version: Any, photos: Any) -> None:
    assert version.status == "trained"
    metrics = version.metrics
    assert metrics["accuracy"] >= photos.accuracy
    assert 0 <= metrics["f1_macro"] <= 1 and 0.5 < metrics["roc_auc_macro"] <= 1
    assert set(version.metrics_by_concept) == set(photos.concepts)


def test_events_have_no_gap_and_end_with_finished(version: Any) -> None:
    events = version.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events][-1] == "finished"
    assert version.events(after=events[-2].seq)[0].seq == events[-1].seq
    assert [event.data["epoch"] for event in events if event.kind == "epoch"] == list(
        range(1, version.values["num_epochs"] + 1)
    )


def test_prediction_takes_paths_pictures_and_inputs(version: Any, app: Any, photos: Any) -> None:
    path = sorted((photos.folder / "val" / photos.concepts[0]).iterdir())[0]
    stored = app.inputs(limit=1, dataset="val")[0]
    by_path, by_picture, by_input = version.predict([str(path), Image.open(path).convert("RGB"), stored])
    for answer in (by_path, by_picture, by_input):
        assert {concept for concept, _ in answer} == set(photos.concepts)
        values = [value for _, value in answer]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1, abs=1e-3)  # exclusive concepts: softmax
    assert version.predict([]) == []


def test_inputs_are_counted_by_dataset_concept_and_metadata(app: Any, photos: Any) -> None:
    assert app.count() == app.count(dataset="train") + app.count(dataset="val")
    assert app.count(metadata={"part": "val"}) == app.count(dataset="val")
    assert sum(app.count(concept=concept) for concept in photos.concepts) == app.count()
    first = app.inputs(limit=7)
    second = app.inputs(limit=7, after=first.next)
    assert len({one.id for one in [*first, *second]}) == 14


def test_uploading_again_finds_duplicates_and_applies_the_settings(app: Any, photos: Any) -> None:
    folder = photos.folder / "val" / photos.concepts[0]
    before = app.count()
    report = app.upload(folder, dataset="again", metadata={"twice": True})
    assert not report.added and report.duplicates
    assert app.count() == before
    assert app.count(dataset="again") == app.count(metadata={"twice": True}) == len(set(report.duplicates))


def test_an_input_in_training_and_validation_is_warned_of(app: Any, photos: Any) -> None:
    one = sorted((photos.folder / "val" / photos.concepts[0]).iterdir())[0]
    report = app.upload(one, dataset="train")
    assert any("val" in warning and "train" in warning for warning in report.warnings)
    shared = [one for one in app.inputs(limit=1000, dataset="val") if "train" in one.datasets]
    app.edit(shared, remove_datasets=["train"])
    assert not [one for one in app.inputs(limit=1000, dataset="val") if "train" in one.datasets]


def test_wrong_values_are_refused_all_at_once(app: Any) -> None:
    with pytest.raises(InvalidParams) as caught:
        app.create_model("wrong", template="classifier-mobilenet-v2", batch_size=0, num_epochs="many", colour="red")
    assert {fault.field for fault in caught.value.faults} == {"batch_size", "num_epochs", "colour"}
    with pytest.raises(NotFound):
        app.model("wrong")


def test_missing_weights_are_said_before_anything_is_queued(app: Any, lab: Any) -> None:
    model = app.create_model("no-weights", template="MMClassification_ResNet_50_RSB_A1", num_epochs=1)
    assert model.template == "classifier-resnet50-rsb-a1"
    with pytest.raises(WeightsNotFound) as caught:
        model.train(dataset="train", validation="val")
    message = str(caught.value)
    assert "resnet50" in message and "pretrained_weights" in message and "weights" in message
    assert not lab.running() and not model.versions()


def test_a_taken_id_is_a_conflict_that_names_it(lab: Any, app: Any) -> None:
    with pytest.raises(Conflict, match="insects"):
        lab.create_app("insects")


def test_deleting_a_running_version_cancels_it_and_keeps_its_usage(app: Any, lab: Any, version: Any) -> None:
    model = app.create_model("cancelled", template="classifier-mobilenet-v2", num_epochs=200, pretrained_weights="None")
    running = model.train(dataset="train", validation="val")
    _wait_for(running, "epoch", "step")
    running.delete()
    with pytest.raises(VersionDeleted):
        running.wait(timeout=10)
    rows = [row for row in lab.usage() if row.model == "cancelled"]
    assert len(rows) == 1 and rows[0].seconds > 0 and rows[0].ended and rows[0].user == lab.user
    assert not model.versions()


def test_stopping_keeps_the_best_checkpoint(app: Any, photos: Any, version: Any) -> None:
    values = {**photos.values, "num_epochs": 200}
    model = app.create_model("stopped", template="classifier-mobilenet-v2", **values)
    running = model.train(dataset="train", validation="val")
    _wait_for(running, "epoch")
    running.stop()
    running.wait(timeout=120)
    assert running.status == "trained" and running.metrics["accuracy"] is not None
    assert running.predict([app.inputs(limit=1)[0]])[0]


def test_training_without_a_dataset_splits_by_seed_and_stratified(app: Any, version: Any) -> None:
    model = app.create_model("split", template="classifier-mobilenet-v2", num_epochs=200, pretrained_weights="None")
    first = model.train()
    again = model.train()
    try:
        assert first.spec()["train_version"] == again.spec()["train_version"]
        assert first.spec()["validation_version"] == again.spec()["validation_version"]
        assert first.spec()["train_version"] != first.spec()["validation_version"]
    finally:
        again.delete()
        first.delete()


def test_no_process_of_a_job_is_left(server: JupyterServer, version: Any) -> None:
    from harness import processes_with

    assert not [pid for pid in processes_with("DEEPFT_JOB=") if str(server.home) in _environment(pid)]


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def _wait_for(version: Any, *kinds: str) -> None:
    """Until the version has said one of these, or has ended."""
    import time

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(event.kind in kinds for event in version.events()):
            return
        assert version.status not in ("failed", "deleted", "trained"), version.reason
        time.sleep(0.2)
    raise AssertionError(f"{version} said none of {kinds}")
