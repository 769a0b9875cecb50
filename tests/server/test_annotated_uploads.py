"""Annotated folders, uploaded through the Python API to a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import picture

from deepft_lab import errors, regions
from deepft_lab.client import annotated


@pytest.fixture
def app(lab: Any, request: pytest.FixtureRequest) -> Any:
    created = lab.create_app(f"app-{abs(hash(request.node.name)) % 10**12}")
    yield created
    created.delete()


def voc(folder: Path, name: str, *boxes: tuple[str, float, float, float, float], shade: int = 0) -> None:
    """A picture of 32 x 32 and its annotation."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(picture(shade))
    objects = "".join(
        f"<object><name>{concept}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for concept, x0, y0, x1, y1 in boxes
    )
    (folder / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")


def borne(app: Any) -> dict[str, list[tuple[str, str]]]:
    return {input.name: [(r.kind, r.concept) for r in input.regions] for input in app.inputs(limit=100)}


def test_an_annotated_folder_brings_its_regions(app: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    voc(folder, "a", ("cell", 0, 0, 16, 16), ("dust", 8, 8, 8, 20), ("cell", 20, 20, 40, 30), shade=1)
    voc(folder, "b", shade=2)
    voc(folder, "broken", shade=3)
    (folder / "broken.xml").write_text("<annotation>")
    (folder / "c.png").write_bytes(picture(4))
    (folder / "notes.txt").write_text("no picture, and no matter")
    (folder / "train.txt").write_text("a\nb\n")
    dry = app.upload(folder, dry_run=True)
    assert dry.regions == 2 and app.count() == 0
    report = app.upload(folder)
    assert sorted(report.added) == ["cells/a.png", "cells/b.png", "cells/c.png"]
    assert (report.format, report.regions) == ("voc", 2) and "2 regions" in repr(report)
    ((name, reason),) = report.errors
    assert name == "cells/broken.xml" and "not uploaded" in reason
    assert any("dust" in w and "no size" in w and w.startswith("cells/a.png") for w in report.warnings)
    assert any("clipped" in w for w in report.warnings) and report.warnings == dry.warnings
    assert borne(app) == {"a.png": [("box", "cell"), ("box", "cell")], "b.png": [], "c.png": []}
    assert {dataset.id: dataset.inputs for dataset in app.datasets()} == {"train": 2}
    assert [concept.name for concept in app.concepts()] == ["cell"]
    assert app.count(concept="cell") == 1 and app.count(unlabelled=True) == 2
    assert "cell x 2" in app.inputs()._repr_html_()


def test_a_second_upload_replaces_regions_of_the_same_kind_only(app: Any, tmp_path: Path) -> None:
    voc(tmp_path / "v", "a", ("cell", 0, 0, 16, 16), ("cell", 1, 1, 9, 9))
    input = app.upload(tmp_path / "v").inputs[0]
    app.annotate_regions(input, [regions.point("eye", 0.5, 0.5)])
    before = [region.id for region in app.input(input).input.regions]
    again = app.upload(tmp_path / "v")
    assert again.duplicates == 1 and again.regions == 2
    assert [region.id for region in app.input(input).input.regions] == before, "what is the same stays"
    voc(tmp_path / "v", "a", ("dust", 0, 0, 16, 16))
    app.upload(tmp_path / "v", dataset="mine")
    assert borne(app) == {"a.png": [("point", "eye"), ("box", "dust")]}
    (tmp_path / "v" / "a.xml").unlink()
    app.upload(tmp_path / "v")
    assert len(borne(app)["a.png"]) == 2, "pictures without annotations say nothing of regions"


def test_a_picture_may_be_in_several_datasets_unless_one_is_given(app: Any, tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        voc(tmp_path / "v", name, ("cell", 0, 0, 16, 16), shade=number)
    (tmp_path / "v" / "train.txt").write_text("a\nb\n")
    (tmp_path / "v" / "test.txt").write_text("b\nc\n")
    report = app.upload(tmp_path / "v")
    assert {input.name: input.datasets for input in app.inputs()} == {
        "a.png": ["train"],
        "b.png": ["test", "train"],
        "c.png": ["test"],
    }
    assert any("both 'train' and 'test'" in warning for warning in report.warnings)
    app.upload(tmp_path / "v", dataset="all")
    assert {dataset.id: dataset.inputs for dataset in app.datasets()} == {"all": 3, "train": 2, "test": 2}


def test_masks_are_named_by_values_and_datasets_come_from_folders(app: Any, tmp_path: Path) -> None:
    for split, shade in (("train", 1), ("val", 2)):
        (tmp_path / split / "images").mkdir(parents=True)
        (tmp_path / split / "masks").mkdir()
        (tmp_path / split / "images" / "a.png").write_bytes(picture(shade))
        array = np.zeros((32, 32), np.uint8)
        array[4:9, 3:7] = 128
        Image.fromarray(array).save(tmp_path / split / "masks" / "a.png")
    report = app.upload(tmp_path, values={128: "nucleus"})
    assert (report.format, report.regions, report.warnings, report.errors) == ("masks", 2, [], [])
    assert {dataset.id: dataset.inputs for dataset in app.datasets()} == {"train": 1, "val": 1}
    (region,) = app.inputs()[0].regions
    assert region.box == (3 / 32, 4 / 32, 7 / 32, 9 / 32) and region.concept == "nucleus"


def test_the_same_picture_twice_keeps_the_first_regions(app: Any, tmp_path: Path) -> None:
    voc(tmp_path / "v", "a", ("cell", 0, 0, 16, 16))
    voc(tmp_path / "v", "b", ("dust", 0, 0, 16, 16))
    report = app.upload(tmp_path / "v")
    assert (report.added, report.duplicates, report.regions) == (1, 1, 1)
    assert any("same content" in warning for warning in report.warnings)
    assert [concept.name for concept in app.concepts()] == ["cell"]


def test_regions_go_in_few_requests_and_only_the_wrong_one_fails(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        voc(tmp_path / "v", f"p{number}", (f"c{number}", 0, 0, 16, 16), shade=number)
    sent: list[int] = []
    request = annotated._Regions._request

    def counting(self: Any, changes: Any) -> None:
        sent.append(len(changes))
        if any(change.add[0].concept == "c3" for change in changes):
            raise errors.InvalidRequest("refused")
        request(self, changes)

    monkeypatch.setattr(annotated._Regions, "_request", counting)
    monkeypatch.setattr(annotated, "INPUTS_A_REQUEST", 5)
    report = app.upload(tmp_path / "v")
    assert sent == [5, 1, 1, 1, 1, 1, 2]
    assert report.regions == 6 and [name for name, _ in report.errors] == ["v/p3.png"]
    assert len(app.concepts()) == 6


def test_a_thousand_concepts_are_uploaded(app: Any, tmp_path: Path) -> None:
    images, annotations = [], []
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
        images.append({"id": number, "file_name": f"{number}.png"})
    categories = [{"id": number, "name": f"c{number:04}"} for number in range(1000)]
    for number in range(1000):
        annotations.append({"image_id": number % 20, "category_id": number, "bbox": [1, 1, 5 + number % 20, 9]})
    content = {"images": images, "categories": categories, "annotations": annotations}
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(content))
    report = app.upload(tmp_path)
    assert (report.format, report.regions, report.errors) == ("coco", 1000, [])
    counts = app.concepts()
    assert len(counts) == 1000 and all(concept.positives == 1 for concept in counts)


def test_regions_are_put_and_taken_away_in_python(app: Any) -> None:
    input = app.upload([picture(1)]).inputs[0]
    answer = app.annotate_regions(
        input,
        [
            regions.box("ant", 0.1, 0.1, 0.5, 0.5),
            regions.polygon("bee", [(0, 0), (1, 0), (1, 1)]),
            regions.polygon("bee", [0, 0, 1, 0, 1, 1], ignored=True),
            regions.mask("bee", np.eye(4)),
            regions.point("eye", 2, 2),
        ],
    )
    assert len(answer.inputs[0].regions) == 4 and "outside" in answer.warnings[0]
    found = app.input(input).input.regions
    left = app.annotate_regions(app.inputs()[0], remove=[found[0], found[1].id]).inputs[0].regions
    assert left == found[2:]
    with pytest.raises(errors.InvalidRequest, match="3 corners"):
        app.annotate_regions(input, regions.polygon("bee", [(0, 0), (1, 1)]))
    assert app.annotate_regions(input, replace=True).inputs[0].regions == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"paths": [picture(1)], "format": "coco"}, "one folder"),
        ({"paths": "/no/such/folder", "format": "voc"}, "no file or folder"),
        ({"format": "coco", "values": {1: "a"}}, "masks"),
    ],
)
def test_what_cannot_be_imported_is_told(app: Any, tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=words):
        app.upload(**{"paths": tmp_path, **arguments})


def test_the_blood_cells_are_uploaded_completely(app: Any, shared: Path) -> None:
    report = app.upload(shared / "data" / "detect-bccd")
    assert (report.added, report.errors, report.format) == (364, [], "voc")
    assert report.regions == 4155 + 372 + 361 - 2
    assert sum("no size" in warning for warning in report.warnings) == 2
    assert {dataset.id: dataset.inputs for dataset in app.datasets()} == {"train": 205, "val": 87, "test": 72}


def test_an_upload_that_is_broken_off_leaves_no_picture_without_its_regions(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cells"
    for name, shade in (("a", 1), ("b", 2)):
        voc(folder, name, ("cell", 0, 0, 16, 16), shade=shade)
    take = annotated._take

    def broken_off(app: Any, uploads: Any, settings: Any, root: Path, found: Any) -> Any:
        if found.path.stem == "b":
            raise KeyboardInterrupt
        return take(app, uploads, settings, root, found)

    monkeypatch.setattr(annotated, "_take", broken_off)
    with pytest.raises(KeyboardInterrupt):
        app.upload(folder)
    assert borne(app) == {"a.png": [("box", "cell")]}
