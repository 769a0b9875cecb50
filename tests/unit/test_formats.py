"""Readers of annotations: what they find, and what they make of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepft_lab import formats, masks
from deepft_lab.errors import InvalidRequest
from deepft_lab.formats.found import Annotated, Reading, dataset_id
from deepft_lab.formats.turning import Frame
from deepft_lab.records import Region


def photo(path: Path, size: tuple[int, int] = (20, 10), orientation: int | None = None, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", size, (shade, 50, 90)).save(path, exif=exif)
    return path


def voc(path: Path, *objects: str, size: tuple[int, int] | None = (20, 10), filename: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    path.write_text(f"<annotation><filename>{filename}</filename>{stated}{''.join(objects)}</annotation>")
    return path


def thing(name: str, *corners: Any, more: str = "") -> str:
    box = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False))
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def coco(
    path: Path, annotations: list[dict[str, Any]], images: list[dict[str, Any]] | None = None, **more: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": images or [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
        "categories": more.pop("categories", [{"id": 7, "name": "cell"}, {"id": 3, "name": "dust"}]),
        "annotations": [{"image_id": 1, "category_id": 7, **each} for each in annotations],
    }
    path.write_text(json.dumps(content))
    return path


def read(folder: Path, format: str = "auto", **more: Any) -> Reading:
    found = formats.read(folder, format, **more)
    assert found is not None
    return found


def by_name(reading: Reading) -> dict[str, Annotated]:
    return {picture.path.name: picture for picture in reading.pictures}


def regions(reading: Reading, name: str = "a.png") -> list[Region]:
    load = by_name(reading)[name].load
    assert load is not None
    return load().regions


def warnings(reading: Reading, name: str = "a.png") -> str:
    load = by_name(reading)[name].load
    assert load is not None
    return " ".join(load().warnings)


# -- voc ------------------------------------------------------------------------------------------


def test_voc_in_its_folders_with_splits_as_datasets(tmp_path: Path) -> None:
    for name in "abcd":
        photo(tmp_path / "JPEGImages" / f"{name}.jpg")
    voc(tmp_path / "Annotations" / "a.xml", thing("cell", 2, 1, 10, 5), thing("dust", 0, 0, 20, 10))
    voc(tmp_path / "Annotations" / "b.xml", thing("cell", 0, 0, 1, 1, more="<difficult>1</difficult>"))
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("a\nb\n")
    (main / "val.txt").write_text("c\n")
    (main / "trainval.txt").write_text("a\nb\nc\n")
    (main / "cell_train.txt").write_text("a  1\nb -1\n")
    photo(tmp_path / "SegmentationClass" / "a.png")
    reading = read(tmp_path)
    assert reading.format == "voc" and reading.kinds == ["box"] and reading.faults == []
    found = by_name(reading)
    assert {name: picture.datasets for name, picture in found.items()} == {
        "a.jpg": ["train"],
        "b.jpg": ["train"],
        "c.jpg": ["val"],
        "d.jpg": [],
    }
    assert [(r.concept, r.box) for r in regions(reading, "a.jpg")] == [
        ("cell", (0.1, 0.1, 0.5, 0.5)),
        ("dust", (0, 0, 1, 1)),
    ]
    assert regions(reading, "b.jpg")[0].ignored, "difficult objects count neither for nor against"
    assert found["c.jpg"].load is None, "a picture without annotations is an empty one"


def test_voc_beside_the_pictures_with_lists_at_the_root(tmp_path: Path) -> None:
    photo(tmp_path / "x" / "a.png")
    photo(tmp_path / "y" / "a.png")
    voc(tmp_path / "x" / "a.xml", thing("cell", 0, 0, 10, 10))
    voc(tmp_path / "y" / "a.xml", thing("dust", 0, 0, 10, 10))
    (tmp_path / "train.txt").write_text("x/a.png\n")
    (tmp_path / "test.txt").write_text("y/a.png\n")
    found = {picture.path.parent.name: picture for picture in read(tmp_path).pictures}
    loaded = {name: picture.load().regions[0].concept for name, picture in found.items() if picture.load}
    assert loaded == {"x": "cell", "y": "dust"}
    assert {name: picture.datasets for name, picture in found.items()} == {"x": ["train"], "y": ["test"]}


def test_a_list_of_pictures_whose_names_end_in_a_number_is_one(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / f"photo {number}.png")
        voc(tmp_path / f"photo {number}.xml", thing("cell", 0, 0, 10, 10))
    (tmp_path / "train.txt").write_text("photo 0\nphoto 1\n")
    (tmp_path / "test.txt").write_text("photo 2.png\n")
    assert [picture.datasets for picture in read(tmp_path).pictures] == [["train"], ["train"], ["test"]]


def test_a_list_that_names_no_picture_is_told(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    voc(tmp_path / "a.xml", thing("cell", 0, 0, 10, 10))
    (tmp_path / "train.txt").write_text("a\nb\nc.png\n")
    (tmp_path / "test.txt").write_text("a.png\n")
    said = read(tmp_path).warnings
    assert said == ["train.txt: 2 of 3 lines name no picture below the folder, such as 'b'."]


def test_files_may_begin_with_the_mark_that_some_editors_write(tmp_path: Path) -> None:
    mark = "\ufeff"
    photo(tmp_path / "voc" / "a.png")
    voc(tmp_path / "voc" / "a.xml", thing("cell", 0, 0, 10, 10))
    (tmp_path / "voc" / "train.txt").write_text(f"{mark}a.png\n")
    assert read(tmp_path / "voc").pictures[0].datasets == ["train"]
    photo(tmp_path / "coco" / "a.png")
    path = coco(tmp_path / "coco" / "train.json", [{"bbox": [0, 0, 5, 5]}])
    path.write_text(mark + path.read_text())
    assert [region.concept for region in regions(read(tmp_path / "coco"))] == ["cell"]
    photo(tmp_path / "masks" / "images" / "a.png", (2, 1))
    mask_file(tmp_path / "masks" / "masks" / "a.png", [[0, 1]])
    (tmp_path / "masks" / "classes.txt").write_text(f"{mark}0 background\n1 cell")
    assert [region.concept for region in regions(read(tmp_path / "masks"))] == ["cell"]


def test_wrong_objects_are_told_and_the_others_stay(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    voc(
        tmp_path / "a.xml",
        thing("cell", 1, 1, 5, 5),
        thing("cell", "x", 1, 5, 5),
        thing("cell", 1, 1, 5),
        thing("", 1, 1, 5, 5),
        thing("cell", 9, 1, 5, 5),
        thing("cell", "nan", 1, 5, "inf"),
    )
    reading = read(tmp_path)
    assert len(regions(reading)) == 1
    told = warnings(reading)
    assert told.count("no box of four numbers") == 3 and "no name" in told and "ends before it begins" in told


@pytest.mark.parametrize(
    "content",
    [
        "<annotation><object>",
        "<other/>",
        '<!DOCTYPE a [<!ENTITY b "bb">]><annotation>&b;</annotation>',
        "\x00",
        '<?xml version="1.0" encoding="no-such"?><annotation/>',
    ],
)
def test_a_wrong_xml_is_a_fault_of_its_file(tmp_path: Path, content: str) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png")
    (tmp_path / "a.xml").write_text(content)
    voc(tmp_path / "b.xml", thing("cell", 1, 1, 5, 5))
    reading = read(tmp_path)
    with pytest.raises(ValueError):
        regions(reading, "a.png")
    assert len(regions(reading, "b.png")) == 1


def test_names_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    photo(tmp_path / "secret.png")
    photo(tmp_path / "data" / "a.png")
    voc(tmp_path / "data" / "z.xml", thing("cell", 1, 1, 5, 5), filename="../secret.png")
    reading = read(tmp_path / "data")
    assert list(by_name(reading)) == ["a.png"] and [name for name, _ in reading.faults] == ["z.xml"]
    images = [{"id": number, "file_name": name} for number, name in enumerate(["../secret.png", "/etc/passwd", ""])]
    coco(tmp_path / "data" / "c.json", [{"image_id": 0, "bbox": [0, 0, 1, 1]}], images)
    (tmp_path / "data" / "z.xml").unlink()
    reading = read(tmp_path / "data", "coco")
    assert len(reading.faults) == 3 and all("no such picture" in reason for _, reason in reading.faults)


def test_sizes_and_turns_of_the_camera(tmp_path: Path) -> None:
    shown = (20, 10)
    photo(tmp_path / "a.jpg", (10, 20), orientation=6)  # stored upright, shown on its side
    for stated, corners in ((shown, (2, 1, 10, 5)), (None, (2, 1, 10, 5)), ((10, 20), (1, 2, 5, 10))):
        voc(tmp_path / "a.xml", thing("cell", *corners), size=stated)
        box = regions(read(tmp_path), "a.jpg")[0].box
        # The stored corner at the top left is shown at the top right.
        assert box == pytest.approx((0.5, 0.1, 0.9, 0.5) if stated == (10, 20) else (0.1, 0.1, 0.5, 0.5))
    voc(tmp_path / "a.xml", thing("cell", 4, 2, 20, 10), size=(40, 20))
    reading = read(tmp_path)
    assert regions(reading, "a.jpg")[0].box == (0.1, 0.1, 0.5, 0.5) and "40 x 20" in warnings(reading, "a.jpg")


@pytest.mark.parametrize("turn", range(1, 9))
def test_points_and_pixels_are_turned_alike_and_as_pictures_are(turn: int) -> None:
    from PIL import ImageOps

    array = np.zeros((4, 6), np.uint8)
    array[0, 1] = 1
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = Image.fromarray(array)
    stored.getexif()[0x0112] = turn
    shown = np.asarray(ImageOps.exif_transpose(stored))
    frame = Frame(6, 4, turn)
    assert (frame.pixels(array) == shown).all()
    x, y = frame.point(1.5, 0.5)
    assert shown[int(y * shown.shape[0]), int(x * shown.shape[1])] == 1
    left, top, right, bottom = frame.box(1, 0, 2, 1)
    assert left < right and top < bottom and left < x < right and top < y < bottom


# -- coco -----------------------------------------------------------------------------------------


def test_coco_boxes_polygons_and_run_lengths(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    array = np.zeros((10, 20), np.uint8)
    array[2:5, 3:9] = 1
    mask = masks.encode(array)
    plain = masks.runs(mask.counts)
    coco(
        tmp_path / "a.json",
        [
            {"bbox": [2, 1, 8, 4], "segmentation": []},
            {"bbox": [0, 0, 9, 9], "segmentation": [[2, 1, 10, 1, 10, 5]], "category_id": 3},
            {"segmentation": {"size": [10, 20], "counts": mask.counts}, "iscrowd": 1},
            {"segmentation": {"size": [10, 20], "counts": plain}},
        ],
    )
    found = regions(read(tmp_path))
    assert [(r.kind, r.concept, r.ignored) for r in found] == [
        ("box", "cell", False),
        ("polygon", "dust", False),
        ("mask", "cell", True),
        ("mask", "cell", False),
    ]
    assert found[0].box == (0.1, 0.1, 0.5, 0.5)
    assert found[1].polygons == [[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]
    assert found[2].mask == found[3].mask == mask
    assert found[2].box == pytest.approx((0.15, 0.2, 0.45, 0.5))


def test_several_coco_files_are_datasets_and_categories_go_by_name(tmp_path: Path) -> None:
    photo(tmp_path / "train2017" / "a.png")
    photo(tmp_path / "val2017" / "a.png", shade=9)
    photo(tmp_path / "val2017" / "b.png")
    photo(tmp_path / "other" / "c.png")
    coco(tmp_path / "annotations" / "instances_train2017.json", [{"bbox": [0, 0, 10, 10]}])
    categories = [{"id": 7, "name": "dust"}, {"id": 1, "name": "cell"}]
    coco(tmp_path / "annotations" / "instances_val2017.json", [{"bbox": [0, 0, 10, 10]}], categories=categories)
    (tmp_path / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": [{"caption": "x"}]}')
    reading = read(tmp_path)
    assert reading.faults == []
    found = {picture.path.relative_to(tmp_path).as_posix(): picture for picture in reading.pictures}
    assert {name: picture.datasets for name, picture in found.items()} == {
        "train2017/a.png": ["train2017"],
        "val2017/a.png": ["val2017"],
        "val2017/b.png": [],
    }
    loaded = [picture.load().regions[0].concept for picture in reading.pictures if picture.load]
    assert loaded == ["cell", "dust"]


def test_wrong_coco_annotations_are_told_and_the_others_stay(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    coco(
        tmp_path / "a.json",
        [
            {"bbox": [0, 0, 5, 5]},
            {"bbox": [0, 0, 5]},
            {"bbox": "x"},
            {"bbox": [0, 0, 5, 5], "category_id": 99},
            {"bbox": [5, 5, -3, 2]},
            {"segmentation": {"size": [10, 20], "counts": [1, 2]}},
            {"segmentation": {"size": [10, 20], "counts": "!"}, "iscrowd": 0},
            {"segmentation": {"size": "x"}},
            {"image_id": 5, "bbox": [0, 0, 5, 5]},
        ],
    )
    reading = read(tmp_path)
    assert len(regions(reading)) == 1
    told = warnings(reading)
    assert told.count("left out") == 7 and "99" in told and "ends before it begins" in told
    assert reading.faults == [("a.json", "1 annotation names no picture of the file: left out.")]


def test_a_wrong_json_is_a_fault_of_its_file(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png")
    whole = coco(tmp_path / "good.json", [{"bbox": [0, 0, 5, 5]}])
    (tmp_path / "bad.json").write_text(whole.read_text()[:-30])
    reading = read(tmp_path)
    assert [picture.path.name for picture in reading.pictures] == ["a.png"]
    assert reading.faults[0][0] == "bad.json" and "not uploaded" in reading.faults[0][1]


def test_the_same_said_twice_counts_once(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    for name in ("instances_train", "person_keypoints_train"):
        coco(tmp_path / f"{name}.json", [{"bbox": [0, 0, 5, 5]}, {"bbox": [0, 0, 5, 5]}])
    reading = read(tmp_path)
    assert len(regions(reading)) == 2 and by_name(reading)["a.png"].datasets == ["train"]


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("instances_train2017.json", "train2017"),
        ("coco_val.json", "val"),
        ("annotations/annotations.json", None),
        ("train/_annotations.coco.json", "train"),
        ("instances_default.json", None),
        ("my cells.json", "my-cells"),
    ],
)
def test_a_coco_dataset_is_called_after_its_file(tmp_path: Path, path: str, dataset: str | None) -> None:
    photo(tmp_path / "train" / "a.png")
    coco(tmp_path / path, [{"bbox": [0, 0, 5, 5]}])
    assert by_name(read(tmp_path))["a.png"].datasets == ([dataset] if dataset else [])
    assert dataset_id("../") is None and len(dataset_id("x" * 99) or "") == 64


# -- masks ----------------------------------------------------------------------------------------


def mask_file(path: Path, rows: list[list[int]], mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint8))
    if mode == "P":
        image.putpalette([i * 7 % 256 for i in range(768)])
    image.save(path)
    return path


def test_masks_beside_images_with_a_list_of_classes(tmp_path: Path) -> None:
    photo(tmp_path / "train" / "images" / "a.png", (4, 2))
    photo(tmp_path / "train" / "images" / "b.png", (4, 2))
    mask_file(tmp_path / "train" / "masks" / "a.png", [[0, 1, 1, 2], [255, 0, 0, 9]], "P")
    mask_file(tmp_path / "train" / "masks" / "lonely.png", [[0]])
    (tmp_path / "classes.txt").write_text("background\ncell\ndust\n")
    reading = read(tmp_path)
    assert reading.format == "masks" and reading.warnings == []
    assert reading.faults == [("train/masks/lonely.png", "There is no picture for this mask.")]
    assert {name: picture.datasets for name, picture in by_name(reading).items()} == {
        "a.png": ["train"],
        "b.png": ["train"],
    }
    found = regions(reading)
    assert [(r.concept, r.ignored) for r in found] == [("cell", False), ("dust", False), ("", True), ("", True)]
    assert found[0].mask is not None and masks.decode(found[0].mask).tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert "value 9" in warnings(reading)


def test_values_name_what_masks_mean_also_colours(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg", (2, 1))
    colours = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    (tmp_path / "masks").mkdir()
    Image.fromarray(colours).save(tmp_path / "masks" / "a.png")
    reading = read(tmp_path, "masks", values={"#ff0000": "red", (0, 255, 0): "green"})
    assert sorted(r.concept for r in regions(reading, "a.jpg")) == ["green", "red"]
    with pytest.raises(InvalidRequest, match="no value of a pixel"):
        read(tmp_path, values={"red": 1})
    with pytest.raises(InvalidRequest, match="values"):
        read(tmp_path, "coco", values={1: "a"})


@pytest.mark.parametrize(
    ("rows", "concepts"),
    [
        ([[0, 128, 255]], {"128", "255"}),  # grey levels
        ([[0, 255, 255]], {"255"}),  # one class, drawn in white
        ([[0, 1, 255]], {"1", ""}),  # numbers of classes, and what is not known
        ([[0, 0, 0]], set()),
    ],
)
def test_without_a_list_values_are_concepts(tmp_path: Path, rows: list[list[int]], concepts: set[str]) -> None:
    photo(tmp_path / "images" / "a.png", (3, 1))
    mask_file(tmp_path / "masks" / "a_mask.png", rows)
    reading = read(tmp_path)
    assert {region.concept for region in regions(reading)} == concepts
    assert all(region.ignored == (region.concept == "") for region in regions(reading))
    assert "values=" in reading.warnings[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.txt", "0 background\n1 cell\n2: dust"),
        ("classes.txt", "__ignore__\n_background_\ncell\ndust"),
        ("classes.json", '["background", "cell", "dust"]'),
        ("labels.json", '{"1": "cell", "2": "dust"}'),
        ("labels.json", '{"cell": 1, "dust": 2}'),
    ],
)
def test_lists_of_classes_in_many_forms(tmp_path: Path, name: str, content: str) -> None:
    photo(tmp_path / "images" / "a.png", (4, 1))
    mask_file(tmp_path / "masks" / "a.png", [[0, 1, 2, 255]])
    (tmp_path / name).write_text(content)
    found = regions(read(tmp_path))
    assert [(r.concept, r.ignored) for r in found] == [("cell", False), ("dust", False), ("", True)]


def test_the_only_class_of_a_list_may_be_drawn_in_white(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png", (2, 1))
    mask_file(tmp_path / "masks" / "a.png", [[0, 255]])
    (tmp_path / "classes.txt").write_text("background\ncell")
    assert [(r.concept, r.ignored) for r in regions(read(tmp_path))] == [("cell", False)]
    mask_file(tmp_path / "masks" / "a.png", [[1, 255]])
    assert [(r.concept, r.ignored) for r in regions(read(tmp_path))] == [("cell", False), ("", True)]


def test_a_mask_of_another_size_is_resized_by_nearest_neighbour(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png", (4, 4))
    mask_file(tmp_path / "masks" / "a.png", [[0, 100], [0, 0]])
    reading = read(tmp_path)
    (found,) = regions(reading)
    assert found.mask is not None and masks.decode(found.mask).tolist() == [
        [0, 0, 1, 1],
        [0, 0, 1, 1],
        [0] * 4,
        [0] * 4,
    ]
    assert "nearest neighbour" in warnings(reading)


def test_a_mask_of_a_turned_photo_is_turned_with_it(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg", (2, 4), orientation=6)
    rows = [[1, 0], [0, 0], [0, 0], [0, 0]]
    mask_file(tmp_path / "masks" / "a.png", rows)
    (found,) = regions(read(tmp_path), "a.jpg")
    assert found.mask is not None and masks.decode(found.mask).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_a_mask_that_is_a_photo_or_broken_is_a_fault_of_its_file(tmp_path: Path) -> None:
    for name in "abc":
        photo(tmp_path / "images" / f"{name}.png", (64, 64))
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    (tmp_path / "masks").mkdir()
    Image.fromarray(noise).save(tmp_path / "masks" / "a.png")
    (tmp_path / "masks" / "b.png").write_bytes(b"no picture")
    mask_file(tmp_path / "masks" / "c.png", [[0, 7]])
    reading = read(tmp_path)
    with pytest.raises(ValueError, match="saved with loss"):
        regions(reading, "a.png")
    with pytest.raises(ValueError, match="cannot be read"):
        regions(reading, "b.png")
    assert len(regions(reading, "c.png")) == 1


# -- which format it is, and the real ones --------------------------------------------------------


def test_pictures_alone_are_no_format(tmp_path: Path) -> None:
    photo(tmp_path / "ants" / "a.png")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "feed.xml").write_text("<rss/>")
    (tmp_path / "images").mkdir()
    assert formats.read(tmp_path) is None


@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_format_that_is_named_and_not_there_is_told(tmp_path: Path, format: str) -> None:
    photo(tmp_path / "images" / "a.png")
    with pytest.raises(InvalidRequest, match=f"no annotations of the format '{format}'.*looked for: "):
        formats.read(tmp_path, format)


def count(reading: Reading) -> tuple[dict[str, int], dict[str, int]]:
    concepts: dict[str, int] = {}
    datasets: dict[str, int] = {}
    for picture in reading.pictures:
        for dataset in picture.datasets:
            datasets[dataset] = datasets.get(dataset, 0) + 1
        for region in picture.load().regions if picture.load else ():
            concepts[region.concept] = concepts.get(region.concept, 0) + 1
    return concepts, datasets


def test_the_blood_cells_are_read_completely(shared: Path) -> None:
    folder = shared / "data" / "detect-bccd"
    reading = read(folder)
    assert reading.format == "voc" and len(reading.pictures) == 364 and reading.faults == []
    concepts, datasets = count(reading)
    assert concepts == {"RBC": 4155, "WBC": 372, "Platelets": 361}
    assert datasets == {"train": 205, "val": 87, "test": 72}
    concepts, again = count(read(folder, "coco"))
    assert again == datasets and concepts == {"RBC": 4153, "WBC": 372, "Platelets": 361}


def test_the_white_blood_cells_are_read_completely(shared: Path) -> None:
    reading = read(shared / "data" / "segment-wbc1")
    assert reading.format == "masks" and len(reading.pictures) == 300 and reading.faults == []
    assert count(reading) == ({"128": 300, "255": 300}, {"train": 240, "val": 60})
