"""What the lab says of a template's values: an advanced configuration is checked before anything is queued."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ANN, Desk

from deepft_lab.errors import InvalidParams
from deepft_lab.lab import Lab
from deepft_lab.records import CheckParams, CreateModel, UpdateModel

WRONG = "backbone: {name: resnet51}\nloss: {label_smoothing: 2}\nhead: {name: linear"


def test_the_form_hears_of_every_fault_of_a_configuration(lab: Lab) -> None:
    said = lab.check_params(ANN, template="classifier-advanced", body=CheckParams(values={"config": WRONG + "}"}))
    assert {fault.field for fault in said.faults} == {"config.backbone.name", "config.loss.label_smoothing"}
    assert said.effective_lrate == pytest.approx(0.0125)
    torn = lab.check_params(ANN, template="classifier-advanced", body=CheckParams(values={"config": WRONG}))
    assert [fault.field for fault in torn.faults] == ["config"]


def test_sizes_are_one_value_or_two(lab: Lab) -> None:
    for size, wrong in (([64], False), (64, False), ([64, 48], False), ([], True), ([1, 2, 3], True)):
        said = lab.check_params(ANN, template="segmenter-light", body=CheckParams(values={"image_size": size}))
        assert ("image_size" in {fault.field for fault in said.faults}) is wrong, size


@pytest.mark.parametrize(
    ("template", "values", "field", "words"),
    [
        ("detector-retinanet", {"image_size": 400}, "image_size", "320, 512, 800"),
        ("detector-retinanet", {"image_size": [512, 800]}, "image_size", "320, 512, 800"),
        ("detector-retinanet", {"image_size": [None]}, "image_size", "a number"),
        ("detector-retinanet", {"anchor_ratios": []}, "anchor_ratios", "one ratio at least"),
        ("detector-faster-rcnn", {"image_size": [64, None]}, "image_size", "a number"),
        ("detector-faster-rcnn", {"random_resize_lower": [None, None]}, "random_resize_lower", "a number"),
        ("segmenter-light", {"image_size": [None, None]}, "image_size", "a number"),
        ("classifier-resnet50", {"image_size": [None]}, "image_size", "a number"),
        ("detector-yolof", {"image_size": [512, 512]}, "image_size", "keep_aspect_ratio"),
        ("detector-faster-rcnn", {"random_resize_upper": [640, 700, 800]}, "random_resize_upper", "or two"),
        ("detector-faster-rcnn", {"random_resize_lower": [700]}, "random_resize_upper", "below the lower one, [700]"),
        ("classifier-resnet50", {"image_size": 31}, "image_size", "at least 32"),
        ("classifier-embednorm", {"image_size": 64}, "image_size", "inception_v3 needs at least 75"),
        ("classifier-advanced", {"image_size": 64, "config": "backbone: {name: inception_v3}"}, "image_size", "75"),
        ("classifier-advanced", {"pretrained_weights": "config", "config": ""}, "pretrained_weights", "weights: {file"),
    ],
)  # fmt: skip
def test_what_no_network_takes_is_a_fault_of_the_form(
    lab: Lab, template: str, values: dict[str, Any], field: str, words: str
) -> None:
    said = lab.check_params(ANN, template=template, body=CheckParams(values=values))
    assert [fault.field for fault in said.faults] == [field]
    assert words in said.faults[0].reason


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("detector-yolof", {"image_size": [512, 384], "keep_aspect_ratio": False}),
        ("detector-faster-rcnn", {"random_resize_lower": [480], "random_resize_upper": [800, 1200]}),
        ("classifier-vit-dinov2", {"image_size": 32}),
        ("transfer-linear", {"image_size": 32, "base_model": "own/v1"}),
        ("classifier-advanced", {"pretrained_weights": "config"}),
    ],
)
def test_what_a_network_takes_is_none(lab: Lab, template: str, values: dict[str, Any]) -> None:
    assert lab.check_params(ANN, template=template, body=CheckParams(values=values)).faults == []


def test_the_least_sizes_are_those_of_the_networks() -> None:
    from deepft_lab.training.architectures import ARCHITECTURES
    from deepft_lab.training.recipes import limits

    for name, architecture in ARCHITECTURES.items():
        assert limits.LEAST_SIDES.get(name, limits.LEAST_SIDE) == architecture.least_size, name


def test_a_model_with_a_wrong_configuration_is_refused_with_its_faults(desk: Desk) -> None:
    with pytest.raises(InvalidParams, match="resnet51") as caught:
        desk.create_model(
            body=CreateModel(id="own", template="classifier-advanced", values={"config": "backbone: {name: resnet51}"})
        )
    assert [fault.field for fault in caught.value.faults] == ["config.backbone.name"]
    desk.create_model(
        body=CreateModel(id="own", template="classifier-advanced", values={"config": "head: {dropout: 0.1}"})
    )
    with pytest.raises(InvalidParams, match="dropout"):
        desk.update_model(model="own", body=UpdateModel(values={"config": "head: {dropout: 7}"}))


def test_a_configuration_that_another_template_cannot_take_is_left_behind(desk: Desk) -> None:
    own = {"config": "head: {dropout: 0.1}", "num_epochs": 7}
    desk.create_model(body=CreateModel(id="own", template="classifier-advanced", values=own))
    changed = desk.update_model(model="own", body=UpdateModel(template="classifier-mobilenet-v2"))
    assert changed.values["num_epochs"] == 7 and "config" not in changed.values
