"""The set-up of a model as a YAML file: ours, Clarifai's, and what is neither."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reference
import yaml

from deepft_lab import errors
from deepft_lab.catalog import Catalog
from deepft_lab.client import counterparts

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


# -- every template of Clarifai's, with all that it published of its defaults ----------------------

ONE_SIZE = "image_size = [320.0] is that of training and prediction here"
TOLD = {  # how the warnings begin
    "MMDetection_YoloF": ["pretrained_weights = 'coco' became pretrained_weights = ImageNet-1k"],
    "MMClassification_AdvancedConfig": [ONE_SIZE, "custom_config = 'MMClassification_AdvancedConfig.py' is left out"],
    "MMDetection_AdvancedConfig": [ONE_SIZE, "custom_config = 'MMDetection_AdvancedConfig.py' is left out"],
    "MMSegmentation_AdvancedConfig": ["custom_config = 'MMSegmentation_AdvancedConfig.py' is left out"],
    "transfer-linear": ["enrich_dataset = Automatic is left out"],
}
BECAME = {
    "MMDetection_YoloF": {"pretrained_weights": "ImageNet-1k"},
    "MMClassification_AdvancedConfig": {"image_size": 320},
}
GONE = {"custom_config", "enrich_dataset", "template"}


def created(app: Any, document: Any, name: str = "m", **given: Any) -> tuple[Any, list[str]]:
    """A model of a parameter file, and the warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = app.create_model(name, params=document, **given)
    assert all(warning.filename == __file__ for warning in told), "the line that called is the one that is named"
    return model, [str(warning.message) for warning in told]


@pytest.mark.parametrize(("type", "template"), reference.TEMPLATES)
def test_a_file_with_every_published_default_makes_a_model(app: Any, tmp_path: Path, type: str, template: str) -> None:
    file = tmp_path / "params.yaml"
    document = reference.parameter_file(type, template)
    file.write_text(yaml.safe_dump(document))
    config = {"config": "optimizer: {name: adamw}"} if template.endswith("AdvancedConfig") else {}
    model, told = created(app, file, type=type, **config)
    assert (model.type, model.template) == (type, Catalog().get(template, type).id)
    expected = TOLD.get(template, [])
    assert len(told) == len(expected) and all(map(str.startswith, told, expected)), told
    given = {name: value for name, value in document["train_params"].items() if value is not None and name not in GONE}
    if "concepts_mutually_exclusive" in given:
        given["concepts_mutually_exclusive"] = "false"
    values = model.params()
    assert {name: values[name] for name in given} == given | BECAME.get(template, {})


@pytest.mark.parametrize(
    ("load_from", "weights", "words"),
    [
        ("coco", "ImageNet-1k", "load_from = 'coco' became"),
        ("https://example.org/yolox.pth", "ImageNet-1k", "load_from = 'https://example.org/yolox.pth' became"),
        ("", "None", "load_from is empty, so training begins at random"),
        (None, "ImageNet-1k", ""),
    ],
)
def test_what_yolox_loads_from_becomes_its_pretrained_weights(
    app: Any, load_from: str | None, weights: str, words: str
) -> None:
    values = {"keep_aspect_ratio": False, "max_aspect_ratio": 2.0, "frozen_stages": 2.0, "image_size": [640.0, 480.0]}
    document = {"train_params": {"template": "MMDetection_YOLOX", "load_from": load_from, **values}}
    model, told = created(app, document)
    assert model.type == "visual-detector" and model.params()["pretrained_weights"] == weights
    assert {name: model.params()[name] for name in values} == values
    assert len(told) == bool(words) and all(message.startswith(words) for message in told)
    again, told = created(app, document, "again", pretrained_weights="None")
    assert again.params()["pretrained_weights"] == "None" and told == []


@pytest.mark.parametrize(
    ("embedding", "became", "told"),
    [
        ("my-model/v3", {"base_model": "my-model/v3"}, 0),
        ("resnet50", {"backbone": "resnet50"}, 0),
        ("general-image-embedding", {"base_model": "", "backbone": "mobilenet_v2"}, 1),
        ({"model": {"id": "general-image-embedding"}}, {"base_model": "", "backbone": "mobilenet_v2"}, 1),
    ],
)
def test_the_embeddings_of_a_file_are_those_of_a_version_or_of_a_backbone(
    app: Any, embedding: Any, became: dict[str, str], told: int
) -> None:
    document = {"train_params": {"base_embed_model": embedding, "enrich_dataset": "Disabled"}}
    model, messages = created(app, document)
    assert (model.type, model.template) == ("embedding-classifier", "transfer-linear")
    assert {name: model.params()[name] for name in became} == became
    assert len(messages) == told and all("no version of this app" in message for message in messages)


def test_what_a_file_says_of_no_counterpart_is_told_or_refused(app: Any) -> None:
    fields = {field.name: field for field in Catalog().get("transfer-linear").fields}
    assert list(counterparts.BACKBONES) == fields["backbone"].choices
    with pytest.raises(errors.InvalidParams, match="enrich_dataset: It is Automatic or Disabled"):
        app.create_model("m", params={"train_params": {"enrich_dataset": "yes"}})
    document = {"train_params": {"template": A1}, "resume_from_model": {"model_id": "old", "model_version_id": "12"}}
    model, told = created(app, document)
    assert len(told) == 1 and told[0].startswith("resume_from_model = ") and model.params()["resume_from"] == ""
    with pytest.warns(UserWarning, match="became pretrained_weights = ImageNet-1k"):
        app.create_model("yolof", type="visual-detector", template="detector-yolof").update_params(
            {"train_params": {"template": "MMDetection_YoloF", "pretrained_weights": "coco"}}
        )


@pytest.mark.parametrize(
    ("alias", "types"),
    [
        (
            "Clarifai_InceptionV2",
            {"visual-classifier": "classifier-inception-v2", "visual-detector": "detector-retinanet"},
        ),
        ("Clarifai_ResNext", {"visual-classifier": "classifier-resnext", "visual-embedder": "embedder-resnext"}),
    ],
)
def test_an_older_name_of_templates_of_several_types_asks_for_the_type(
    app: Any, alias: str, types: dict[str, str]
) -> None:
    for given in ({"template": alias}, {"params": {"train_params": {"template": alias, "num_epochs": 3}}}):
        with pytest.raises(errors.InvalidParams, match="Templates of several types bear the name") as raised:
            app.create_model("m", **given)
        assert all(f"type={type!r} ({id})" in faults(raised)["type"] for type, id in types.items())
    for type, id in types.items():
        assert app.create_model(id, type=type, template=alias).template == id
