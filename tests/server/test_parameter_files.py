"""The set-up of a model as a YAML file: ours, Clarifai's, and what is neither."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepft_lab import errors

A1 = "MMClassification_ResNet_50_RSB_A1"
THEIRS = f"""
dataset_id: ''
dataset_version_id: ''
concepts:
- ant
- bee
train_params:
  invalid_data_tolerance_percent: 5
  template: {A1}
  image_size: 128
  batch_size: 32
  num_epochs: 7
  per_item_lrate: 1.953125e-05
  per_item_min_lrate: 1e-8
  weight_decay: 0.01
  warmup_iters: 100
  warmup_ratio: 0.0001
  pretrained_weights: ImageNet-1k
  flip_probability: 0.5
  flip_direction: horizontal
  concepts_mutually_exclusive: false
  seed: null
inference_params:
  select_concepts: []
"""


@pytest.fixture
def app(lab: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    created = lab.create_app(f"app-{abs(hash(request.node.name)) % 10**12}")
    created.create_concepts(["ant", "bee"])
    yield created
    created.delete()


def faults(error: pytest.ExceptionInfo[errors.InvalidParams]) -> dict[str, str]:
    return {fault.field: fault.reason for fault in error.value.faults}


def test_a_saved_set_up_makes_the_same_model_again(app: Any, tmp_path: Path) -> None:
    file = tmp_path / "ü params.yaml"
    model = app.create_model(
        "m", type="visual-detector", template="detector-faster-rcnn-light", concepts=["bee"], num_epochs=9,
        per_item_lrate=1e-5,
    )  # fmt: skip
    assert model.save_params(file) == file
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["values"] == model.params()
    again = app.create_model("again", params=file)
    for name in ("type", "template", "concepts"):
        assert getattr(again, name) == getattr(model, name)
    assert again.params() == model.params()
    other = app.create_model("other", params=os.fspath(file), concepts=["ant"], num_epochs=2)
    assert other.concepts == ["ant"] and other.params() == {**model.params(), "num_epochs": 2}
    assert other.update_params(file).params() == model.params() and other.concepts == ["bee"]


def test_a_file_of_clarifais_sdk_is_taken_with_its_names(app: Any, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(THEIRS)
    model = app.create_model("m", params=file, num_epochs=3)
    assert (model.type, model.template) == ("visual-classifier", "classifier-resnet50-rsb-a1")
    assert model.concepts == ["ant", "bee"]
    values = model.params()
    assert (values["image_size"], values["num_epochs"], values["batch_size"]) == (128, 3, 32)
    assert values["per_item_min_lrate"] == 1e-8 and values["concepts_mutually_exclusive"] == "false"
    given = yaml.safe_load(THEIRS.replace("1e-8", "1.0e-8"))
    given |= {"dataset_id": "train", "concepts": [], "inference_params": {"select_concepts": ["ant"]}}
    with pytest.warns(UserWarning) as told:
        assert app.create_model("n", params=given).concepts is None
    assert "dataset='train'" in str(told[0].message) and "select_concepts" in str(told[1].message)


def test_what_is_wrong_in_a_file_is_told_with_its_name_and_all_at_once(app: Any, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    with pytest.raises(errors.InvalidParams, match=r"params\.yaml.*No such file"):
        app.create_model("m", params=file)
    for text, word in (("a: [", "no YAML"), ("- 1", "mapping"), ("", "mapping"), ("a: &b [1]\nc: *b", "aliases")):
        file.write_text(text)
        with pytest.raises(errors.InvalidParams, match=word):
            app.create_model("m", params=file)
    file.write_text("type: [1]\ntemplat: x\nconcepts: [1, 2]\nvalues: 3\n")
    with pytest.raises(errors.InvalidParams) as raised:
        app.create_model("m", params=file)
    assert set(faults(raised)) == {"type", "templat", "concepts", "values"}
    file.write_text("train_params: {template: MMClassification_AdvancedConfig, custom_config: my.py}\n")
    with pytest.raises(errors.InvalidParams) as raised:
        app.create_model("m", params=file)
    assert "YAML" in faults(raised)["custom_config"]
    file.write_text("train_params: {template: MMClassification_ResNet_5, num_epochs: 0}\n")
    with pytest.raises(errors.InvalidParams, match="MMClassification_ResNet_5"):
        app.create_model("m", params=file)
    file.write_text("values: {num_epochs: 0, colour: red}\n")
    with pytest.raises(errors.InvalidParams) as raised:
        app.create_model("m", params=file)
    assert set(faults(raised)) == {"num_epochs", "colour"}
    file.write_text("type: visual-detector\n")
    with pytest.raises(errors.InvalidParams, match="its type stays"):
        app.create_model("m").update_params(file)
