"""The Python API, mostly against a real server."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from serving import picture

from deepft_lab import errors, records
from deepft_lab.client import UploadReport, Version
from deepft_lab.client import version as version_module
from deepft_lab.client.connection import _arguments
from deepft_lab.client.table import Table
from deepft_lab.client.upload import Files, collect


@pytest.fixture
def app(lab: Any, request: pytest.FixtureRequest) -> Any:
    created = lab.create_app(f"app-{abs(hash(request.node.name)) % 10**12}")
    yield created
    created.delete()


def test_importing_the_api_brings_neither_torch_nor_the_server_nor_the_database() -> None:
    code = "import sys, deepft_lab, deepft_lab.client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "sqlalchemy", "tornado", "jupyter_server", "PIL", "ipywidgets"} & set(answer.stdout.split())


# -- uploads --------------------------------------------------------------------------------------


def test_a_folder_is_uploaded_with_its_folders_as_concepts(app: Any, folder_of_pictures: Path) -> None:
    report = app.upload(folder_of_pictures, dataset="train", concepts="folders", metadata={"site": "A"})
    assert sorted(report.added) == ["photos/ants/1.png", "photos/ants/2.png", "photos/bees/3.png"]
    assert report.added == 3 and len(report.inputs) == 3
    ((name, reason),) = report.errors
    assert name == "photos/ants/notes.txt" and ".txt" in reason
    assert {concept.name: concept.positives for concept in app.concepts()} == {"ants": 2, "bees": 1}
    assert app.count(concept="ants", dataset="train", metadata={"site": "A"}) == 2
    again = app.upload([folder_of_pictures / "bees"], dataset="more", concepts=["insect"])
    assert (again.added, again.duplicates) == (0, 1)
    assert {dataset.id: dataset.inputs for dataset in app.datasets()} == {"train": 3, "more": 1}
    assert app.count(concept="insect") == 1, "a duplicate gets the settings of its second upload"


def test_a_dry_run_says_what_would_be_and_changes_nothing(app: Any, folder_of_pictures: Path) -> None:
    report = app.upload(folder_of_pictures, dataset="train", concepts="folders", dry_run=True)
    assert report.added == 3 and len(report.errors) == 1
    assert "dry run" in repr(report)
    assert app.count() == 0 and not app.concepts() and not app.datasets()


def test_folders_that_may_be_concepts_are_hinted_at(app: Any, folder_of_pictures: Path) -> None:
    report = app.upload(folder_of_pictures)
    assert not app.concepts() and not report.warnings
    names = ["ants", "bees"]
    assert f"{len(names)} folders ({', '.join(names)})" in report.hint and "concepts='folders'" in report.hint
    assert report.hint in repr(report) and "concepts=" in report._repr_html_()
    again = app.upload(folder_of_pictures, concepts="folders")
    assert not again.hint and again.duplicates and sorted(concept.name for concept in app.concepts()) == names
    assert not app.upload(folder_of_pictures / names[0]).hint


def test_broken_and_hostile_files_are_reported_and_stop_nothing(app: Any, tmp_path: Path) -> None:
    good = picture(5)
    files = {
        "good.png": good,
        "truncated.png": good[:40],
        "empty.jpg": b"",
        "text.jpg": b"this is no picture",
        '<b>quotes\' & "more".png': picture(6),
        "emoji 🐜.png": picture(7),
        "x" * 240 + ".png": picture(8),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    report = app.upload(tmp_path)
    assert report.added == 4
    assert sorted(Path(name).name for name, _ in report.errors) == ["empty.jpg", "text.jpg", "truncated.png"]
    assert all(reason for _, reason in report.errors)
    names = {input.name for input in app.inputs()}
    assert "emoji 🐜.png" in names
    assert "<b>quotes" not in app.inputs()._repr_html_()


def test_what_lies_in_a_folder_besides_files_stops_nothing(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "odd"
    (folder / "locked").mkdir(parents=True)
    (folder / "good.png").write_bytes(picture(9))
    os.mkfifo(folder / "pipe.png")
    (folder / "loop").symlink_to(folder)
    (folder / "itself.png").symlink_to("itself.png")
    Path(os.fsdecode(os.fsencode(folder) + b"/not-utf-8-\xff.png")).write_bytes(picture(10))
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # the administrator of a container may read every folder
    report = app.upload(folder)
    assert sorted(report.added) == ["odd/good.png", "odd/not-utf-8-?.png"]
    reasons = dict(report.errors)
    assert sorted(reasons) == ["odd/itself.png", "odd/locked", "odd/pipe.png"]
    assert "Permission denied" in reasons["odd/locked"] and "no file" in reasons["odd/pipe.png"]


def test_bytes_and_pil_images_are_uploaded_too(app: Any) -> None:
    report = app.upload([picture(1), Image.new("RGB", (20, 10), "red"), Image.new("L", (5, 5))], dataset="mixed")
    assert report.added == 3 and app.count(dataset="mixed") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"format": "yolo"}, "yolo.*come later"),
        ({"metadata": ["a"]}, "metadata is an object"),
        ({"metadata": {"taken": object()}}, "metadata is what JSON can hold"),
        ({"concepts": 3}, "concepts are names.*not 3"),
        ({"concepts": "folder"}, 'concepts = "folders" makes'),
        ({"paths": "https://example.org/a.jpg"}, "https://example.org/a.jpg' is an address"),
        ({"paths": "/no/such/folder"}, "no file or folder"),
        ({"paths": 5}, "not int"),
        ({"dataset": "no/id"}, "no/id"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_in_words(app: Any, arguments: dict[str, Any], words: str) -> None:
    given = {"paths": picture(1)} | arguments
    with pytest.raises(errors.InvalidRequest, match=words):
        app.upload(**given)


def test_progress_counts_every_file(app: Any, folder_of_pictures: Path) -> None:
    seen: list[tuple[int, int]] = []
    app.upload(folder_of_pictures, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 4) for number in (1, 2, 3, 4)]


def test_a_file_of_its_own_keeps_the_name_of_its_folder(folder_of_pictures: Path) -> None:
    (item,) = collect(folder_of_pictures / "ants" / "1.png")
    assert item.name == "ants/1.png"


def test_a_report_counts_lists_and_escapes() -> None:
    report = UploadReport()
    report.note(records.UploadedFile(name="<script>.png", outcome="error", reason="<i>no</i>"))
    report.note(records.UploadedFile(name="a.png", outcome="added", input="1", warnings=["also in val"]))
    assert repr(report) == "<UploadReport: 1 added, 0 duplicates, 1 error, 1 warning>"
    html = report._repr_html_()
    assert "<script>" not in html and "<i>no" not in html and "also in val" in html
    assert Files(["a", "b"]) == 2 and Files(["a"]) == ["a"] and Files(["a"]) != 2


# -- inputs and labels ----------------------------------------------------------------------------


def test_pages_of_inputs_follow_each_other_without_gap_or_double(app: Any) -> None:
    app.upload([picture(number) for number in range(7)])
    seen, after = [], None
    while True:
        page = app.inputs(limit=3, after=after)
        seen += [input.id for input in page]
        if page.next is None:
            break
        after = page.next
    assert len(seen) == len(set(seen)) == 7
    assert [input.id for input in app.inputs(limit=100)] == seen


def test_a_wrong_filter_is_refused_and_the_right_ones_are_listed(app: Any) -> None:
    for method in (app.inputs, app.count):
        with pytest.raises(errors.InvalidRequest, match=r"'concpet'.*concept, dataset, metadata"):
            method(concpet="ant")
    with pytest.raises(errors.InvalidRequest, match="metadata"):
        app.count(metadata="site")


def test_concepts_are_put_on_inputs_and_taken_off(app: Any) -> None:
    app.upload([picture(1), picture(2)])
    inputs = app.inputs()
    assert app.annotate(inputs, positive=["ant"], negative="bee").count == 2
    assert app.count(concept="ant") == 2
    app.annotate(inputs[0], remove=["ant"])
    app.annotate(inputs[1].id, positive="wasp")
    assert {concept.name: (concept.positives, concept.negatives) for concept in app.concepts()} == {
        "ant": (1, 0),
        "bee": (0, 2),
        "wasp": (1, 0),
    }
    assert [entry.action for entry in app.input(inputs[0].id).history][-1] == "remove"


def test_datasets_metadata_and_deletion_of_inputs(app: Any) -> None:
    report = app.upload([picture(1), picture(2)], metadata={"site": "A"})
    app.edit(report.inputs, add_datasets=["train"], metadata={"site": None, "year": 2024})
    assert app.count(dataset="train", metadata={"year": 2024}) == 2
    app.delete_inputs(report.inputs[:1])
    assert app.count() == 1
    app.restore_inputs(report.inputs[:1])
    assert app.count() == 2
    assert app.freeze("train").id == app.freeze("train").id
    assert len(app.dataset_versions("train")) == 1


# -- models ---------------------------------------------------------------------------------------


def test_hyperparameters_are_keywords_and_every_wrong_one_is_told(app: Any) -> None:
    with pytest.raises(errors.InvalidParams) as raised:
        app.create_model("m", template="classifier-mobilenet-v2", num_epochs=-1, batch_siez=4)
    assert {fault.field for fault in raised.value.faults} == {"num_epochs", "batch_siez"}
    model = app.create_model("m", template="classifier-mobilenet-v2", num_epochs=3)
    assert model.params()["num_epochs"] == 3
    assert model.update_params(batch_size=16).params()["batch_size"] == 16
    assert model.params()["num_epochs"] == 3, "the others stay"
    assert app.model("m") == model and [each.id for each in app.models()] == ["m"]
    for wrong in (float("nan"), float("inf"), [1.0, float("nan")]):
        with pytest.raises(errors.InvalidParams, match="neither nan nor inf") as raised:
            model.update_params(per_item_lrate=wrong)
        assert [fault.field for fault in raised.value.faults] == ["per_item_lrate"]
        with pytest.raises(errors.InvalidParams, match="neither nan nor inf"):
            app.create_model("n", template="classifier-mobilenet-v2", per_item_lrate=wrong)
    with pytest.raises(errors.InvalidParams, match="validation = nan"):
        model.train(validation=float("nan"))
    model.delete()
    with pytest.raises(errors.NotFound):
        app.model("m")


def test_a_template_says_the_type_of_its_model(app: Any) -> None:
    assert app.create_model("d", template="detector-faster-rcnn-light").record.type == "visual-detector"
    assert app.create_model("c").record.type == "visual-classifier"
    with pytest.raises(errors.InvalidParams, match="There is no template 'none'"):
        app.create_model("n", template="none")
    with pytest.raises(errors.InvalidParams, match="It is a template for visual-detector"):
        app.create_model("n", type="visual-segmenter", template="detector-faster-rcnn-light")
    with pytest.raises(errors.InvalidParams, match="There is no model type 'x'"):
        app.create_model("n", type="x")


def test_an_empty_folder_is_told(app: Any, tmp_path: Path) -> None:
    report = app.upload(tmp_path)
    assert report.added == 0 and "no files" in report.warnings[0] and "1 warning" in repr(report)


def test_everything_shows_itself_in_a_notebook(lab: Any, app: Any) -> None:
    app.create_concepts(["<b>bold</b>"])
    model = app.create_model("m", template="classifier-mobilenet-v2", description="<u>x</u>")
    shown = [lab, app, model, app.concepts(), app.datasets(), app.models(), lab.apps(), lab.templates(), lab.usage()]
    for thing in shown:
        html = thing._repr_html_()
        assert html.startswith("<div>") and "<b>bold" not in html and "<u>" not in html
        assert repr(thing)
    assert lab.connection.place.token not in repr(lab) + lab._repr_html_()


# -- versions -------------------------------------------------------------------------------------


class Script:
    """A model whose server says these states one after the other; an exception among them is raised."""

    id = "m"

    def __init__(self, *said: Any) -> None:
        self.said = list(said)

    def call(self, operation: str, **_: Any) -> Any:
        assert operation == "version"
        answer = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(answer, Exception):
            raise answer
        return record(answer)


def record(state: str, **more: Any) -> records.ModelVersion:
    empty = {"str": "", "int": 0, "float": 0.0, "bool": False, "list": [], "dict": {}}
    values = {
        field.name: next((value for kind, value in empty.items() if str(field.type).find(kind) >= 0), "")
        for field in msgspec.structs.fields(records.ModelVersion)
    }
    return records.ModelVersion(**(values | {"id": "v1", "state": state, "reason": "no memory", "metrics": {}} | more))


def test_waiting_returns_the_version_through_restarts_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_module, "FIRST_PAUSE", 0.0)
    script = Script("queued", errors.ServerNotFound("gone"), errors.Unavailable("not yet"), "training", "trained")
    version = Version(script, record("queued"))  # type: ignore[arg-type]
    assert version.wait(timeout=30) is version
    assert version.status == "trained"


@pytest.mark.parametrize(
    ("said", "raised", "words"),
    [
        ("failed", errors.TrainingFailed, "no memory"),
        ("deleted", errors.VersionDeleted, "deleted"),
        (errors.NotFound("gone"), errors.VersionDeleted, "deleted"),
        ("training", TimeoutError, "goes on"),
    ],
)
def test_waiting_ends_with_what_became_of_the_training(said: Any, raised: type[Exception], words: str) -> None:
    with pytest.raises(raised, match=words):
        Version(Script(said), record("queued")).wait(timeout=0.2)  # type: ignore[arg-type]


def test_images_travel_in_requests_of_bounded_size() -> None:
    many = list(version_module._batches([b"x"] * 70))
    assert [len(batch) for batch in many] == [32, 32, 6]
    large = list(version_module._batches([bytes(9_000_000)] * 3))
    assert [len(batch) for batch in large] == [1, 1, 1]
    assert list(version_module._batches([])) == []


def test_an_image_may_be_a_path_bytes_a_pil_image_or_an_input(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), picture(1)):
        assert version_module._image(image).data == picture(1)
    sent = version_module._image(Image.new("CMYK", (3, 2))).data
    assert sent is not None and Image.open(io.BytesIO(sent)).size == (3, 2)
    with pytest.raises(errors.InvalidRequest, match="not int"):
        version_module._image(5)
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(errors.InvalidRequest, match=re.escape(repr(str(path)))):
            version_module._image(path)


def test_a_prediction_is_what_its_type_of_model_says() -> None:
    region = records.FoundRegion(concept="ant", value=0.5, box=(0, 0, 1, 1))
    prediction = records.Prediction(concepts=[records.ConceptValue("ant", 0.5)], regions=[region], embedding=[0.6, 0.8])
    said = {type: version_module._said(type, prediction) for type in records.MODEL_TYPES}
    assert said["visual-classifier"] == said["embedding-classifier"] == [("ant", 0.5)]
    assert said["visual-detector"] == said["visual-segmenter"] == [region]
    assert said["visual-embedder"] == [0.6, 0.8]


def test_a_table_shows_any_record() -> None:
    html = Table([records.Count(count=3)], "Counts")._repr_html_()
    assert "count" in html and "3" in html
    assert "none" in Table([], "Counts")._repr_html_()


def test_an_error_of_the_server_is_the_same_exception_again() -> None:
    fault = records.Fault("lr", 5, "too high")
    for name, cls in errors.error_classes().items():
        again = errors.from_json(errors.to_json(cls("why", [fault])), cls.status)
        assert type(again).__name__ == name and again.message == "why" and again.faults == (fault,)


def test_queries_leave_out_what_is_not_asked_for() -> None:
    query = records.InputQuery(limit=3, unlabelled=True)
    assert _arguments(query) == {"limit": 3, "unlabelled": "true"}
