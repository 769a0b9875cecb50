"""Apps, uploads, labels and datasets, over a real store."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from desk import ANN, Desk, picture
from PIL import Image
from test_images import bomb

from deepft_lab.errors import BadImage, Conflict, InvalidRequest, NotFound
from deepft_lab.lab import Lab
from deepft_lab.lab.names import base_name, last_folder
from deepft_lab.lab.pictures import Pictures
from deepft_lab.records import (
    Annotate,
    Caller,
    CreateApp,
    CreateConcepts,
    CreateDataset,
    EditInputs,
    InputIds,
    InputQuery,
    Label,
    PictureQuery,
)
from deepft_lab.store import tables as t

BOB = Caller(user="bob")
ROOT = Caller(user="root", administrator=True)


@pytest.mark.parametrize("id", ["", "a b", "a/b", "../a", "ä", "a" * 65, "a\n", "<b>"])
def test_an_app_id_of_other_characters_is_refused(lab: Lab, id: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 64"):
        lab.create_app(ANN, body=CreateApp(id=id))


def test_an_app_id_that_is_taken_is_a_conflict_that_names_it(desk: Desk) -> None:
    with pytest.raises(Conflict, match="insects"):
        desk.create()
    assert desk.lab.create_app(BOB, body=CreateApp(id="insects")).owner == "bob"


def test_roles_and_what_each_person_sees(desk: Desk) -> None:
    lab = desk.lab
    assert lab.role(ANN, "ann", "insects") == "owner"
    assert lab.role(ROOT, "ann", "insects") == "owner"
    assert lab.role(BOB, "ann", "insects") is None
    assert lab.role(ANN, "ann", "missing") is None
    assert lab.role(ROOT, "ann", "missing") is None
    assert [app.id for app in lab.apps(ANN)] == ["insects"]
    assert lab.apps(BOB) == []
    with lab.database.writing() as connection:
        connection.execute(t.app_members.insert().values(app=1, user="bob", role="labeller"))
    assert lab.role(BOB, "ann", "insects") == "labeller"
    assert [(app.owner, app.role) for app in lab.apps(BOB)] == [("ann", "labeller")]


def test_the_store_is_closed_to_others(lab: Lab) -> None:
    for folder in (lab.path, lab.jobs_path, lab.thumbnails, lab.incoming, lab.blobs.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_upload_gives_its_settings_to_each_file(desk: Desk) -> None:
    upload = desk.begin(dataset="train", concepts=["insect"], concepts_from_folders=True, metadata={"camera": 3})
    file = desk.put(upload, "photos/train/ant/one.png", picture())
    assert (file.outcome, file.name, file.warnings) == ("added", "one.png", [])
    found = desk.input(input=file.input).input
    assert (found.width, found.height, found.format, found.author) == (24, 16, "PNG", "ann")
    assert found.datasets == ["train"] and found.metadata == {"camera": 3}
    assert found.labels == [Label("ant", True), Label("insect", True)]
    assert list(desk.lab.incoming.iterdir()) == []


def test_a_duplicate_is_not_stored_again_but_gets_the_settings(desk: Desk) -> None:
    first = desk.put(desk.begin(dataset="one", concepts=["ant"], metadata={"a": 1, "b": 1}), "x.png", picture())
    again = desk.put(desk.begin(dataset="two", concepts=["bee"], metadata={"b": 2}), "y.png", picture())
    assert (again.outcome, again.input) == ("duplicate", first.input)
    found = desk.input(input=first.input).input
    assert found.name == "x.png" and found.datasets == ["one", "two"] and found.metadata == {"a": 1, "b": 2}
    assert [label.concept for label in found.labels] == ["ant", "bee"]
    assert desk.count_inputs(query=InputQuery()).count == 1
    assert sum(path.is_file() for path in desk.lab.blobs.folder.rglob("*")) == 1


def test_uploading_the_same_file_from_many_threads_makes_one_input(desk: Desk) -> None:
    upload, outcomes = desk.begin(concepts=["ant"]), []
    threads = [
        threading.Thread(target=lambda: outcomes.append(desk.put(upload, "x.png", picture()).outcome)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["added"] + ["duplicate"] * 5
    assert desk.concepts()[0].positives == 1


def test_an_input_in_training_and_validation_is_warned_of(desk: Desk) -> None:
    input = desk.put(desk.begin(dataset="train"), "x.png", picture()).input
    twice = desk.put(desk.begin(dataset="val"), "x.png", picture())
    assert len(twice.warnings) == 1 and "'train' and 'val'" in twice.warnings[0]
    other = desk.put(desk.begin(dataset="train"), "y.png", picture((1, 1, 1)))
    assert other.warnings == []
    edited = desk.edit_inputs(body=EditInputs(inputs=[str(other.input), str(input)], add_datasets=["test"]))
    assert any("2 inputs are now in both 'train' and 'test'" in warning for warning in edited.warnings)


def test_a_dry_run_tells_and_stores_nothing(desk: Desk) -> None:
    upload = desk.begin(dataset="train", concepts=["ant"], dry_run=True)
    assert desk.put(upload, "x.png", picture()).outcome == "added"
    assert desk.put(upload, "x.png", b"text").outcome == "error"
    app = desk.lab.app(ANN, owner="ann", app="insects")
    assert (app.inputs, app.concepts, app.datasets) == (0, 0, 0)
    assert [path for path in desk.lab.blobs.folder.rglob("*") if path.is_file()] == []


def test_files_that_are_no_pictures_are_errors_and_stop_nothing(desk: Desk) -> None:
    upload = desk.begin(dataset="train")
    bad = {
        "empty.png": (b"", "empty"),
        "text.jpg": (b"hello", "text"),
        "half.jpg": (picture(size=(64, 64), format="JPEG")[:-60], "truncated"),
        "bomb.png": (bomb(10_000, 10_000), "100 megapixels"),
    }
    for name, (content, words) in bad.items():
        file = desk.put(upload, name, content)
        assert (file.outcome, file.name, file.input) == ("error", name, None) and words in file.reason
    assert desk.put(upload, "good.png", picture()).outcome == "added"
    assert desk.count_inputs(query=InputQuery()).count == 1
    assert list(desk.lab.incoming.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a'b\"c.png",
        "<img src=x onerror=alert(1)>.png",
        "😀.png",
        "x" * 300,
        "C:\\a\\b.png",
        "/",
        "..",
    ],
)
def test_a_hostile_name_is_only_text(desk: Desk, name: str) -> None:
    before = {path for path in desk.lab.path.rglob("*") if path.is_file()}
    file = desk.put(desk.begin(), name, picture())
    assert file.outcome == "added" and len(file.name) <= 255 and "/" not in file.name
    assert desk.inputs(query=InputQuery()).inputs[0].name == file.name
    new = {path for path in desk.lab.path.rglob("*") if path.is_file()} - before
    assert {path.parent.parent.name for path in new if path.parent != desk.lab.path} <= {"blobs"}


def test_the_folder_is_the_last_real_one() -> None:
    assert last_folder("train/ants/1.png") == "ants"
    assert last_folder("1.png") is None and last_folder("../1.png") is None
    assert base_name("a/b\\c.png") == "c.png" and base_name("a/") == "unnamed"


def test_a_concept_name_with_html_is_only_text_and_control_characters_are_refused(desk: Desk) -> None:
    concept = desk.create_concepts(body=CreateConcepts(names=["  <b>ant</b> "]))[0]
    assert concept.name == "<b>ant</b>"
    for wrong in ("", " ", "a\nb", "a\0", "x" * 129):
        with pytest.raises(InvalidRequest):
            desk.create_concepts(body=CreateConcepts(names=[wrong]))


def test_names_that_look_alike_are_one_concept(desk: Desk) -> None:
    desk.create_concepts(body=CreateConcepts(names=["Käfer", "Ka\u0308fer"]))
    assert [concept.name for concept in desk.concepts()] == ["Käfer"]


def test_labels_have_an_author_and_a_history(desk: Desk) -> None:
    input = desk.photos("ant", 1)[0]
    desk.label([input], positive=["bee"])
    desk.label([input], positive=["bee"])  # nothing changes, so nothing is told
    desk.label([input], negative=["bee"], remove=["ant"])
    detail = desk.input(input=input)
    assert detail.input.labels == [Label("bee", False)]
    told = [(entry.concept, entry.action, entry.author) for entry in detail.history]
    assert told == [
        ("ant", "positive", "ann"),
        ("bee", "positive", "ann"),
        ("ant", "remove", "ann"),
        ("bee", "negative", "ann"),
    ] or told == [
        ("ant", "positive", "ann"),
        ("bee", "positive", "ann"),
        ("bee", "negative", "ann"),
        ("ant", "remove", "ann"),
    ]


def test_the_labels_table_is_what_the_annotations_add_up_to(desk: Desk) -> None:
    inputs = desk.photos("ant", 6)
    desk.label(inputs[:4], positive=["bee"])
    desk.label(inputs[2:], negative=["bee"])
    desk.label(inputs[3:5], remove=["ant", "bee"])
    with desk.lab.database.reading() as connection:
        replayed: dict[tuple[int, int], bool] = {}
        for row in connection.execute(t.annotations.select().order_by(t.annotations.c.key)):
            if row.action == "remove":
                del replayed[row.input, row.concept]
            else:
                replayed[row.input, row.concept] = row.action == "positive"
        stored = {(row.input, row.concept): row.positive for row in connection.execute(t.labels.select())}
    assert stored == replayed


def test_a_concept_cannot_be_two_things_at_once(desk: Desk) -> None:
    input = desk.photos("ant", 1)[0]
    with pytest.raises(InvalidRequest, match="at once"):
        desk.label([input], positive=["bee"], negative=["bee "])


def test_pages_are_newest_first_and_stay_right_while_inputs_come(desk: Desk) -> None:
    ids = desk.photos("ant", 7)
    first = desk.inputs(query=InputQuery(limit=3))
    desk.photos("ant", 2, start=100)
    second = desk.inputs(query=InputQuery(limit=3, after=first.next))
    last = desk.inputs(query=InputQuery(limit=3, after=second.next))
    seen = [input.id for page in (first, second, last) for input in page.inputs]
    assert seen == list(reversed(ids)) and last.next is None
    with pytest.raises(InvalidRequest):
        desk.inputs(query=InputQuery(after="x"))
    with pytest.raises(InvalidRequest, match="no page"):
        desk.inputs(query=InputQuery(after="9" * 30))


def test_filters_join(desk: Desk) -> None:
    ants = desk.photos("ant", 3, dataset="train")
    bees = desk.photos("bee", 2, dataset="val")
    bare = desk.put(desk.begin(metadata={"site": "a'b"}), "x.png", picture((7, 7, 7))).input
    desk.edit_inputs(body=EditInputs(inputs=[ants[0], bees[0]], metadata={"site": "pond"}))

    def found(**filter) -> set[str]:
        page = desk.inputs(query=InputQuery(**filter))
        assert desk.count_inputs(query=InputQuery(**filter)).count == len(page.inputs)
        return {input.id for input in page.inputs}

    assert found(concept="ant") == set(ants)
    assert found(dataset="val") == set(bees)
    assert found(metadata='{"site": "pond"}', concept="bee") == {bees[0]}
    assert found(metadata='{"site": "a\'b"}') == {bare}
    desk.edit_inputs(body=EditInputs(inputs=[bare], metadata={"serial": 10**30}))
    assert found(metadata=f'{{"serial": {10**30}}}') == {bare}
    assert found(metadata=f'{{"serial": {10**400}}}') == set()
    assert found(unlabelled=True) == {bare}
    assert found(concept="wasp") == set()
    for wrong in ("[1]", "{", "3"):
        with pytest.raises(InvalidRequest, match="no JSON object"):
            desk.count_inputs(query=InputQuery(metadata=wrong))


def test_metadata_is_merged_and_null_takes_a_key_away(desk: Desk) -> None:
    input = desk.photos("ant", 1)[0]
    desk.edit_inputs(body=EditInputs(inputs=[input], metadata={"a": 1, "b": {"c": [1]}}))
    edited = desk.edit_inputs(body=EditInputs(inputs=[input, "unknown"], metadata={"a": None, "d": "x"}))
    assert edited.count == 1 and "unknown" in edited.warnings[0]
    assert desk.input(input=input).input.metadata == {"b": {"c": [1]}, "d": "x"}


def test_a_deleted_input_is_gone_until_it_is_restored_or_uploaded_again(desk: Desk) -> None:
    one, two = desk.photos("ant", 2, dataset="train")
    assert desk.delete_inputs(body=InputIds(inputs=[one, two])).count == 2
    assert desk.inputs(query=InputQuery()).inputs == []
    assert desk.concepts()[0].positives == 0 and desk.datasets()[0].inputs == 0
    with pytest.raises(NotFound):
        desk.input(input=one)
    assert desk.restore_inputs(body=InputIds(inputs=[one])).count == 1
    assert desk.concepts()[0].positives == 1 and desk.datasets()[0].inputs == 1
    content = desk.lab.blobs.read(next(p.name for p in desk.lab.blobs.folder.rglob(f"{two}*")))
    assert desk.put(desk.begin(), "again.png", content).outcome == "added"
    assert desk.input(input=two).input.labels == [Label("ant", True)]


def test_freezing_twice_gives_the_same_id_and_a_change_another(desk: Desk) -> None:
    inputs = desk.photos("ant", 2, dataset="train")
    first = desk.freeze_dataset(dataset="train")
    assert desk.freeze_dataset(dataset="train") == first
    assert first.inputs == 2 and first.concepts == ["ant"] and desk.lab.blobs.has(first.id)
    desk.label(inputs[:1], positive=["bee"])
    second = desk.freeze_dataset(dataset="train")
    assert second.id != first.id
    assert [version.id for version in desk.dataset_versions(dataset="train")] == [second.id, first.id]
    assert desk.datasets()[0].versions == 2


def test_datasets_that_are_empty_taken_or_missing(desk: Desk) -> None:
    desk.create_dataset(body=CreateDataset(id="empty"))
    with pytest.raises(Conflict, match="no inputs"):
        desk.freeze_dataset(dataset="empty")
    with pytest.raises(Conflict, match="empty"):
        desk.create_dataset(body=CreateDataset(id="empty"))
    with pytest.raises(InvalidRequest):
        desk.create_dataset(body=CreateDataset(id="../x"))
    with pytest.raises(NotFound):
        desk.freeze_dataset(dataset="missing")


def test_pictures_are_shown_as_training_sees_them(desk: Desk) -> None:
    plain = desk.put(desk.begin(), "a.png", picture()).input
    file = desk.picture(input=plain)
    assert file.content_type == "image/png" and Path(file.path).read_bytes() == picture()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = desk.put(desk.begin(), "b.jpg", picture(format="JPEG", exif=exif)).input
    shown = desk.picture(input=turned)
    assert shown.content_type == "image/jpeg" and shown.content
    assert desk.picture(input=turned).path, "kept for the next time"
    tiff = desk.put(desk.begin(), "c.tif", picture((5, 5, 5), format="TIFF")).input
    assert desk.picture(input=tiff).content_type == "image/jpeg"


def test_thumbnails_are_kept_by_size(desk: Desk) -> None:
    input = desk.put(desk.begin(), "a.png", picture(size=(600, 300))).input
    for side, kept in ((1, 64), (200, 256), (256, 256), (99999, 1024)):
        desk.thumbnail(input=input, query=PictureQuery(side=side))
        path = desk.thumbnail(input=input, query=PictureQuery(side=side)).path
        with Image.open(path) as small:
            assert max(small.size) == min(kept, 600)
    with pytest.raises(NotFound):
        desk.thumbnail(input="f" * 24, query=PictureQuery())


def test_deleting_an_app_removes_its_files_but_not_those_of_another(desk: Desk) -> None:
    mine = desk.put(desk.begin(), "a.png", picture()).input
    desk.put(desk.begin(), "b.png", picture((9, 9, 9)))
    desk.thumbnail(input=mine, query=PictureQuery())
    other = Desk(desk.lab, app="other").create()
    other.put(other.begin(), "a.png", picture())
    assert desk.lab.delete_app(ANN, owner="ann", app="insects").count == 2
    assert sum(path.is_file() for path in desk.lab.blobs.folder.rglob("*")) == 1
    assert Path(other.picture(input=mine).path).exists()
    assert [app.id for app in desk.lab.apps(ANN)] == ["other"]
    with pytest.raises(NotFound):
        desk.inputs(query=InputQuery())


def test_unknown_things_are_not_found(desk: Desk) -> None:
    for call in (
        lambda: desk.model(model="x"),
        lambda: desk.versions(model="x"),
        lambda: desk.put("no-upload", "a.png", picture()),
        lambda: desk.lab.inputs(ANN, owner="bob", app="insects", query=InputQuery()),
    ):
        with pytest.raises(NotFound):
            call()
    assert list(desk.lab.incoming.iterdir()) == [], "a file whose upload is refused is removed too"


def test_a_picture_process_that_is_too_slow_or_dies_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(picture())
    os.mkfifo(tmp_path / "slow.png")  # opening it waits for a writer that never comes
    pictures = Pictures(processes=1, seconds=1.0)
    try:
        with pytest.raises(BadImage, match="more than 1 seconds"):
            pictures.probe(tmp_path / "slow.png")
        assert pictures.probe(tmp_path / "good.png")[:2] == (24, 16)
        pictures._resting[0].kill()
        pictures._resting[0].wait()
        with pytest.raises(BadImage, match="ended its process"):
            pictures.probe(tmp_path / "good.png")
        assert pictures.probe(tmp_path / "good.png")[:2] == (24, 16)
    finally:
        pictures.close()


def test_a_picture_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(picture(size=(9000, 9000)))
    pictures = Pictures(processes=1, memory=300 << 20)
    try:
        with pytest.raises(BadImage, match="memory"):
            pictures.probe(tmp_path / "large.png")
    finally:
        pictures.close()


def test_picture_processes_end_when_idle_and_come_back(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(picture())
    pictures = Pictures(processes=1, idle=0.1)
    try:
        pictures.probe(tmp_path / "good.png")
        assert pictures._resting[0].wait(timeout=20) == 0
        assert pictures.probe(tmp_path / "good.png")[:2] == (24, 16)
    finally:
        pictures.close()


def test_annotating_unknown_inputs_warns(desk: Desk) -> None:
    edited = desk.annotate(body=Annotate(inputs=["nope"], positive=["ant"]))
    assert edited.count == 0 and "nope" in edited.warnings[0]
