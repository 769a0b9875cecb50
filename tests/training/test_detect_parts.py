"""Boxes, anchors, pictures and assignments of detectors, each by itself; and the metric against pycocotools."""

from __future__ import annotations

import numpy
import pytest
import torch

from deepft_lab.errors import InvalidParams
from deepft_lab.manifest import Entry, Manifest
from deepft_lab.records import Region
from deepft_lab.training import tasks
from deepft_lab.training.augment import Flip
from deepft_lab.training.detection import anchors, assigners, boxes, pictures, sampling
from deepft_lab.training.recipes.detector import BoxAugment

NEVER = Flip(0.0, "horizontal")


def target(*rows: tuple[float, ...], ignored: tuple[tuple[float, ...], ...] = ()) -> pictures.Target:
    return {
        "boxes": torch.tensor(rows, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.zeros(len(rows), dtype=torch.long),
        "ignored": torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
        "ignored_labels": torch.full((len(ignored),), -1),
    }


def test_decoding_takes_encoding_back() -> None:
    torch.manual_seed(0)
    corner = torch.rand(50, 2) * 100
    some = torch.cat((corner, corner + 5 + torch.rand(50, 2) * 60), 1)
    starts = some.roll(1, 0)
    for weights in ((1.0, 1.0), (10.0, 5.0)):
        again = boxes.decode(boxes.encode(some, starts, weights), starts, weights)
        assert torch.allclose(again, some, atol=1e-3)


def test_overlap_and_its_loss() -> None:
    one = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    others = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    assert boxes.iou(one, others)[0].tolist() == pytest.approx([1.0, 1 / 3, 0.0])
    lost = boxes.giou_loss(one.expand(3, 4), others)
    assert lost.tolist() == pytest.approx([0.0, 2 / 3, 1 + 1 / 3])
    assert boxes.share_inside(one, others[1:]).tolist() == pytest.approx([0.5])


def test_fitted_anchors_have_a_shape_for_a_rare_size_and_none_for_a_slip() -> None:
    random = numpy.random.default_rng(1)
    common, rare = random.normal(70, 4, (400, 2)), random.normal(20, 1, (30, 2))
    slips = numpy.array([[1.0, 1.0], [2.0, 1.0]])
    shapes = anchors.fitted(numpy.concatenate((common, rare, slips)), 2, 2)
    assert shapes is not None and shapes.shape == (2, 2, 2)
    sides = shapes.reshape(-1, 2).mean(1)
    assert sides.tolist() == sorted(sides.tolist())
    assert sides[0] == pytest.approx(20, abs=2) and sides.min() > 15
    assert abs(sides - 70).min() < 5
    assert anchors.fitted(numpy.zeros((0, 2)), 2, 2) is None


def test_one_value_is_the_shorter_side_and_two_are_a_frame() -> None:
    assert pictures.shown_size((480, 640), {"image_size": [320]}) == (320, 427)
    assert pictures.shown_size((100, 1000), {"image_size": [320], "max_aspect_ratio": 2.0}) == (64, 640)
    assert pictures.shown_size((480, 640), {"image_size": [320], "keep_aspect_ratio": False}) == (320, 320)
    assert pictures.shown_size((480, 640), {"image_size": [300, 200]}) == (200, 300)
    assert pictures.shown_size((480, 640), {"image_size": [300, 300], "keep_aspect_ratio": True}) == (225, 300)


def test_a_box_stays_on_its_object_through_every_change() -> None:
    pixels = torch.zeros(60, 80, 3, dtype=torch.uint8)
    pixels[20:40, 30:60] = 255
    there = target((30 / 80, 20 / 60, 60 / 80, 40 / 60))
    settings = BoxAugment(zoom=(0.5, 2.0), shift=6, brightness=0.1)
    seen = 0
    for seed in range(40):
        random = numpy.random.default_rng(seed)
        image, moved = pictures.changed(pixels, there, (60, 80), settings, Flip(0.5, "horizontal"), random)
        for box in moved["boxes"].round().int().tolist():
            left, top, right, bottom = box
            # The fill is grey, the ground black and the object white.
            inside = image[:, top + 2 : bottom - 2, left + 2 : right - 2]
            assert (inside > 180).float().mean() > 0.99
            around = image.clone()
            around[:, max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = 0
            assert (around > 180).sum() == 0
            seen += 1
    assert seen > 20


def test_a_box_that_is_cut_off_is_ignored_from_there_on_and_one_that_is_gone_is_gone() -> None:
    moved = pictures.moved(target((0, 0, 40, 40), (60, 60, 80, 80)), -30, 0, (100, 70))
    assert moved["boxes"].tolist() == [[60.0, 30.0, 70.0, 50.0]]
    assert moved["ignored"].tolist() == [[0.0, 0.0, 40.0, 10.0]]
    assert moved["ignored_labels"].tolist() == [0]
    gone = pictures.moved(target((0, 0, 20, 20)), -30, 0, (100, 70))
    assert not len(gone["boxes"]) and not len(gone["ignored"])


def test_pictures_of_several_sizes_share_a_canvas_of_the_mean_colour() -> None:
    images, sizes = pictures.together(
        [torch.zeros(3, 40, 50, dtype=torch.uint8), torch.zeros(3, 30, 70, dtype=torch.uint8)]
    )
    assert images.shape == (2, 3, 64, 96)
    assert sizes.tolist() == [[40, 50], [30, 70]]
    assert images[0, :, 63, 0].tolist() == list(pictures.FILL) and images[1, :, 29, 69].tolist() == [0, 0, 0]


def test_an_ignored_region_makes_no_negative_of_anchors_and_regions() -> None:
    every = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]])
    there = target((0, 0, 10, 10), ignored=((45, 45, 65, 65),))
    labels, _ = sampling.assign_anchors(every, torch.tensor([100, 100]), there, (0.3, 0.7))
    assert labels.tolist() == [1, -1, 0]


def test_each_box_has_an_anchor_though_none_overlaps_it_much() -> None:
    every = torch.tensor([[0.0, 0, 100, 100], [100, 0, 200, 100]])
    labels, nearest = assigners.overlap(every, target((40, 40, 50, 50)), 0.4, 0.5)
    assert labels.tolist() == [0, assigners.NONE] and nearest[0] == 0


def test_uniform_matching_gives_small_and_large_boxes_as_many_anchors() -> None:
    shapes = torch.tensor([[[32.0, 32.0], [64, 64], [128, 128]]])
    (every,) = anchors.grid(shapes, [(8, 8)], [32])
    there = target((96, 96, 128, 128), (0, 0, 250, 250))
    labels, nearest = assigners.uniform(every, every, there)
    assert (labels != assigners.NONE).any()
    counts = torch.bincount(nearest[labels >= 0], minlength=2)
    assert counts[0] > 0 and counts.max() <= 8


def test_targets_hold_boxes_ignored_regions_and_what_nobody_has_drawn() -> None:
    regions = [
        Region(concept="a", box=(0.1, 0.1, 0.5, 0.5)),
        Region(concept="a", box=(0.3, 0.3, 0.3, 0.9)),  # of no size
        Region(concept="stranger", box=(0.1, 0.1, 0.5, 0.5)),
        Region(concept="", box=(0.6, 0.6, 0.9, 0.9), ignored=True),
        Region(kind="point", concept="a", box=(0.2, 0.2, 0.2, 0.2)),
    ]
    entry = Entry("i", "i", 100, 80, {"a": 1, "b": 1, "c": 0}, regions)
    found = task().targets(Manifest(["a", "b", "c"], [entry]))[0]
    assert found["labels"].tolist() == [0] and found["boxes"].tolist() == [pytest.approx([0.1, 0.1, 0.5, 0.5])]
    assert found["ignored_labels"].tolist() == [-1, 1]  # `b` is somewhere: the whole picture is ignored for it
    assert found["ignored"][1].tolist() == [0, 0, 1, 1]


def test_values_that_a_detector_cannot_take_are_refused_in_words() -> None:
    for values, words in (
        ({"image_size": []}, "one value"),
        ({"image_size": [1, 2, 3]}, "one value"),
        ({"image_size": [320, 320], "keep_aspect_ratio": True}, "keep_aspect_ratio"),
        ({"anchor_ratios": []}, "at least"),
    ):
        with pytest.raises(InvalidParams, match=words):
            task(**values).check()
    with pytest.raises(InvalidParams, match="320, 512, 800"):
        task("detector-retinanet", image_size=[400]).check()


def test_the_metric_gives_the_numbers_of_pycocotools() -> None:
    bench = pytest.importorskip("detection_metric")
    images = bench.drawn(300)  # more than a group
    whole, by_concept = bench.ours(images)
    assert bench.same(whole, bench.theirs(images))
    assert set(by_concept) == set(bench.CONCEPTS)
    mean = sum(figures["AP"] for figures in by_concept.values()) / len(by_concept)
    assert mean == pytest.approx(whole["mAP"])


def test_a_concept_without_a_true_box_has_no_figures_and_spoils_none() -> None:
    images = pytest.importorskip("detection_metric").drawn(20)
    from deepft_lab.training.detection.metrics import CocoFigures

    figures = CocoFigures(["Platelets", "RBC", "WBC", "nowhere"])
    for image in images:
        figures.add(*image)
    whole, by_concept = figures.result()
    assert by_concept["nowhere"]["AP"] is None and by_concept["nowhere"]["boxes"] == 0
    assert whole["mAP"] == pytest.approx(sum(by_concept[name]["AP"] or 0 for name in ("Platelets", "RBC", "WBC")) / 3)


def test_without_any_truth_there_are_no_figures() -> None:
    from deepft_lab.training.detection.metrics import CocoFigures

    whole, by_concept = CocoFigures(["a"]).result()
    assert set(whole.values()) == {None} and by_concept["a"]["AP"] is None


def task(template: str = "detector-faster-rcnn-light", **values: object) -> tasks.Task:
    from deepft_lab.catalog import Catalog

    found = Catalog().get(template)
    complete = {field.name: field.default for field in found.fields}
    return tasks.make("visual-detector", found.recipe, {**complete, **values}, ["a", "b", "c"], exclusive=False)
