"""What the lab says of a template's values: an advanced configuration is checked before anything is queued."""

from __future__ import annotations

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
