"""Templates that take another service's place have its names, defaults and ranges; every weights file is named."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import reference
from reference import Published

from deepft_lab import params
from deepft_lab.catalog import Catalog
from deepft_lab.errors import WeightsNotFound
from deepft_lab.lab.training import _exclusivity
from deepft_lab.records import Field, Template
from deepft_lab.training import recipes
from deepft_lab.training.recipes.common import FIELDS

# Where a template departs from the reference on purpose: in which respects, and words of its file that say why.
_AUTO = ("default", "choices"), "`concepts_mutually_exclusive` has a third choice, auto, and begins with it"
_PYTHON = ("name",), "took Python, which could run anything. Here the configuration is data"
_SIZES = ("min", "max"), "between 64 and 2,048 pixels, so that a slip is told before the run"
_ONE_SIZE = "Its `image_size` was that of prediction only"
DEPARTURES: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("classifier-resnet50-rsb-a1", "concepts_mutually_exclusive"): _AUTO,
    ("classifier-resnet50", "concepts_mutually_exclusive"): _AUTO,
    ("classifier-resnet50", "learning_rate_steps"): (("min",), "Epochs in learning_rate_steps count from 1"),
    ("classifier-efficientnet", "concepts_mutually_exclusive"): _AUTO,
    ("classifier-advanced", "concepts_mutually_exclusive"): _AUTO,
    ("classifier-advanced", "custom_config"): _PYTHON,
    ("classifier-advanced", "image_size"): (("kind", "default", "min", "max"), _ONE_SIZE),
    ("detector-yolof", "image_size"): _SIZES,
    ("detector-yolof", "pretrained_weights"): (
        ("default", "choices"),
        "training starts from torchvision's ImageNet file of the backbone instead, so `coco` of the reference is "
        "ImageNet-1k here",
    ),
    ("detector-ssd", "image_size"): _SIZES,
    ("detector-faster-rcnn", "image_size"): _SIZES,
    ("detector-faster-rcnn", "random_resize_lower"): _SIZES,
    ("detector-faster-rcnn", "random_resize_upper"): _SIZES,
    ("detector-yolox", "image_size"): _SIZES,
    ("detector-yolox", "frozen_stages"): (("min",), "frozen_stages may be 0 too, and is: the paper freezes nothing"),
    ("detector-yolox", "pretrained_weights"): (("choices",), "and its `coco` is ImageNet-1k"),
    ("detector-yolox", "load_from"): (("name",), "so `load_from` of the reference is pretrained_weights here"),
    ("detector-retinanet", "anchor_ratios"): (("min", "max"), "anchor_ratios lie between 0.05 and 20"),
    ("detector-advanced", "custom_config"): _PYTHON,
    ("detector-advanced", "image_size"): (("min", "max"), _ONE_SIZE),
    ("embedder-angular-margin", "embeddings_size"): (("min", "max"), "embeddings_size lies between 2 and 4,096"),
    ("segmenter-segformer", "image_size"): (("min",), "an image_size of 32 pixels at least"),
    ("segmenter-segformer", "pretrained_weights"): (("choices",), "Ours are the weights cityscapes and ImageNet-1k"),
    ("segmenter-advanced", "custom_config"): _PYTHON,
    ("segmenter-advanced", "image_size"): (("min", "max"), _ONE_SIZE),
    ("transfer-linear", "base_embed_model"): (
        ("name",),
        "What the service calls `base_embed_model` is base_model here, a version of the app, or else backbone",
    ),
    ("transfer-linear", "enrich_dataset"): (("name",), "Its `enrich_dataset` has no counterpart"),
    ("transfer-linear", "concepts_mutually_exclusive"): _AUTO,
}  # fmt: skip
# Fields of every template: seeds are as large as generators take; a machine may have several GPUs.
COMMON_DEPARTURES = {"seed": ("min", "max"), "num_gpus": ("min", "max")}
# Defaults of ours where none was published, and those of the later pipeline of YOLOF.
CHOSEN: dict[str, dict[str, Any]] = {
    "detector-yolof": {"warmup_iters": 100, "warmup_ratio": 0.00066667, "weight_decay": 1e-4, "flip_probability": 0.5},
    "detector-ssd": {"image_size": [300, 300], "batch_size": 8, "num_epochs": 60, "per_item_lrate": 6.25e-5},
    "detector-faster-rcnn": {"image_size": [640], "batch_size": 4, "num_epochs": 20, "per_item_lrate": 6.25e-4},
    "detector-retinanet": {
        "image_size": [512], "batch_size": 4, "num_epochs": 20, "use_perclass_regression": False,
        "use_focal_loss": True, "per_item_lrate": 3.125e-4,
    },
    "detector-yolox": {
        "image_size": [640], "batch_size": 16, "num_epochs": 100, "per_item_lrate": 1.5625e-4,
        "keep_aspect_ratio": True, "max_aspect_ratio": 1.5, "min_samples_per_epoch": 300, "frozen_stages": 0,
    },
    "embedder-angular-margin": {
        "image_size": 224, "batch_size": 64, "init_epochs": 20, "step_epochs": 8, "num_epochs": 40,
        "per_item_lrate": 1.5625e-4, "angular_scale": 64, "angular_margin": 0.5, "embeddings_size": 512,
    },
}  # fmt: skip
ALIASES = {
    ("visual-classifier", "MMClassification_ResNet_50_RSB_A1"): "classifier-resnet50-rsb-a1",
    ("visual-classifier", "MMClassification_ResNet_50"): "classifier-resnet50",
    ("visual-classifier", "MMClassification_EfficientNet"): "classifier-efficientnet",
    ("visual-classifier", "Clarifai_InceptionTransferEmbedNorm"): "classifier-embednorm",
    ("visual-classifier", "Clarifai_ResNext"): "classifier-resnext",
    ("visual-classifier", "Clarifai_InceptionV2"): "classifier-inception-v2",
    ("visual-classifier", "Clarifai_InceptionBatchNorm"): "classifier-inception-batchnorm",
    ("visual-embedder", "Clarifai_ResNet_AngularMargin"): "embedder-angular-margin",
    ("visual-embedder", "Clarifai_ResNext"): "embedder-resnext",
    ("visual-embedder", "Clarifai_InceptionBatchNorm"): "embedder-inception-batchnorm",
    ("visual-classifier", "MMClassification_AdvancedConfig"): "classifier-advanced",
    ("visual-detector", "MMDetection_YoloF"): "detector-yolof",
    ("visual-detector", "MMDetection_SSD"): "detector-ssd",
    ("visual-detector", "MMDetection_FasterRCNN"): "detector-faster-rcnn",
    ("visual-detector", "MMDetection_YOLOX"): "detector-yolox",
    ("visual-detector", "Clarifai_InceptionV4"): "detector-retinanet",
    ("visual-detector", "Clarifai_InceptionV2"): "detector-retinanet",
    ("visual-detector", "MMDetection_AdvancedConfig"): "detector-advanced",
    ("visual-segmenter", "MMSegmentation_SegFormer"): "segmenter-segformer",
    ("visual-segmenter", "MMSegmentation_AdvancedConfig"): "segmenter-advanced",
}
OPENING = ("Good for", "Images", "Hardware", "How long", "Licences")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog()


def opening(template: Template) -> str:
    """The comment with which a template's file opens, as one line."""
    comment = Path(template.origin).read_text().partition("\nid: ")[0]
    return " ".join(line.removeprefix("#").strip() for line in comment.splitlines())


def differences(row: Published, field: Field | None, choices: tuple[Any, ...]) -> tuple[str, ...]:
    """In which respects a field is not as published. A bound that no table states is none."""
    if field is None:
        return ("name",)
    samples = {"boolean": [True, False], "choice": [], "text": [""], "number": [row.min], "array": [[64]]}[row.kind]
    samples = [*row.choices, *([] if row.default is ... else [row.default])] or samples
    wide = msgspec.structs.replace(field, min=None, max=None, step=None, choices=[*field.choices, *map(str, samples)])
    told = {
        "kind": any(params.check([wide], {field.name: value})[1] for value in samples if value is not None),
        "default": row.default is not ... and field.default != row.default,
        "min": field.min != row.min,
        "max": field.max != row.max,
        "step": field.step != row.step,
        "choices": choices != row.choices,
    }
    return tuple(name for name, is_so in told.items() if is_so)


@pytest.mark.parametrize(("type", "name"), reference.TEMPLATES)
def test_every_field_is_as_published_or_the_file_says_why_not(type: str, name: str, catalog: Catalog) -> None:
    template = catalog.get(name, type)
    fields = {field.name: field for field in template.fields}
    for field, row in reference.TEMPLATES[type, name].items():
        choices = tuple(fields[field].choices) if field in fields else ()
        if field == "image_size":
            choices = tuple(template.recipe.get("sizes", ()))
        respects, words = DEPARTURES.get((template.id, field), ((), ""))
        assert differences(row, fields.get(field), choices) == respects, field
        assert words in opening(template), field


@pytest.mark.parametrize("name", reference.COMMON)
def test_a_field_of_every_template_is_as_published(name: str) -> None:
    (field,) = (field for field in FIELDS if field.name == name)
    assert differences(reference.COMMON[name], field, ()) == COMMON_DEPARTURES.get(name, ())


def test_every_older_name_has_its_table_and_every_departure_its_field(catalog: Catalog) -> None:
    named = {(template.type, alias) for template in catalog.list().templates for alias in template.aliases}
    assert named == {*ALIASES} == {*reference.TEMPLATES} - {("embedding-classifier", "transfer-linear")}
    published = {(catalog.get(name, type).id, f) for (type, name), rows in reference.TEMPLATES.items() for f in rows}
    assert {*DEPARTURES} <= published


@pytest.mark.parametrize(("type", "name"), reference.TEMPLATES)
def test_what_was_published_nowhere_is_said_and_so_are_fields_of_ours(type: str, name: str, catalog: Catalog) -> None:
    template, rows = catalog.get(name, type), reference.TEMPLATES[type, name]
    fields = {field.name: field.default for field in template.fields}
    chosen = CHOSEN.get(template.id, {})
    assert {field: fields[field] for field in chosen} == chosen
    unsaid = {field for field, row in rows.items() if row.default is ... and row.kind != "text" and field in fields}
    if unsaid and "advanced" not in template.id:
        assert re.search("not published|published no defaults|not their defaults|no defaults", opening(template))
        assert unsaid - {"anchor_ratios", "pretrained_weights"} <= {*chosen}
    own = {*fields} - {*rows} - {field.name for field in FIELDS}
    if "advanced" in template.id or "The other fields are ours." in opening(template):
        return
    assert all(re.search(rf"\b{field}\b", opening(template)) for field in own), own


@pytest.mark.parametrize(("type", "alias"), ALIASES)
def test_a_legacy_name_is_resolved_by_the_type(type: str, alias: str, catalog: Catalog) -> None:
    assert catalog.get(alias, type).id == ALIASES[type, alias]


def test_the_rate_of_embednorm_is_per_minibatch(catalog: Catalog) -> None:
    values = params.defaults(catalog.get("classifier-embednorm").fields)
    assert params.effective_lrate({**values, "batch_size": 8}, ranks=2) == 0.1


def test_an_epoch_has_as_many_items_as_the_fields_say() -> None:
    assert params.items_per_epoch({}, 100) == 100
    assert params.items_per_epoch({"num_items_per_epoch": 0}, 100) == 100
    assert params.items_per_epoch({"num_items_per_epoch": 30}, 100) == 30
    assert params.items_per_epoch({"min_samples_per_epoch": 300}, 100) == 300
    assert params.items_per_epoch({"min_samples_per_epoch": 300}, 1000) == 1000
    assert params.steps_per_epoch({"batch_size": 32, "num_items_per_epoch": 320}, 100) == 10


def test_a_variant_brings_its_network_and_its_weights(catalog: Catalog) -> None:
    template = catalog.get("classifier-efficientnetv2")
    small: Any = recipes.settled(recipes.read(template.recipe, template.type), {"variant": "b0"})
    assert small.architecture == "tf_efficientnetv2_b0"
    assert small.weights["ImageNet"].huggingface == "timm/tf_efficientnetv2_b0.in1k"
    assert small.mean == (0.485, 0.456, 0.406)
    template = catalog.get("classifier-resnext")
    plan: Any = recipes.settled(recipes.read(template.recipe, template.type), {"logreg": 0, "momentum": 0.5})
    assert plan.loss.exclusive == "cross_entropy" and plan.optimizer.momentum == 0.5


def test_a_softmax_asks_for_concepts_that_exclude_each_other() -> None:
    assert _exclusivity({"logreg": 0}) == "true"
    assert _exclusivity({"logreg": 1}) == "auto"
    assert _exclusivity({"concepts_mutually_exclusive": "false"}) == "false"


def test_missing_weights_of_every_template_are_named_with_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    catalog = Catalog()
    asked = 0
    for template in catalog.list().templates:
        fields = {field.name: field for field in template.fields}
        if "pretrained_weights" not in fields:
            continue
        chooser = next((fields[name] for name in ("variant", "backbone") if name in fields), None)
        for variant, choice in itertools.product(
            chooser.choices if chooser else [""], fields["pretrained_weights"].choices
        ):
            values = params.defaults(template.fields) | {"pretrained_weights": choice}
            values |= {chooser.name: variant} if chooser else {}
            if choice == "None":
                assert catalog.find_weights(template, values) is None
                continue
            with pytest.raises(WeightsNotFound) as raised:
                catalog.find_weights(template, values)
            file = raised.value.faults[0].reason
            assert file.endswith(".safetensors") and file in raised.value.message
            assert f"weights fetch {file.removesuffix('.safetensors')}`" in raised.value.message
            asked += 1
            if choice == "config":  # a person's own file: nobody publishes it
                continue
            sources = catalog.published(file.removesuffix(".safetensors"))
            assert all(source.endswith(".pth") or source.count("/") == 1 for source in sources), sources
    assert asked > 50


def test_each_file_opens_with_what_it_is_good_for_what_it_needs_its_licences_and_its_losses(catalog: Catalog) -> None:
    for template in catalog.list().templates:
        opening = Path(template.origin).read_text().partition("\nid: ")[0]
        assert all(re.search(rf"^# {word}  +\S", opening, re.MULTILINE) for word in OPENING), template.id
        assert re.search("entropy|[Ll]oss", opening), template.id
        assert template.licence.code and template.good_for and template.images and template.duration, template.id
        assert template.licence.weights or "pretrained_weights" not in {field.name for field in template.fields}


def test_help_says_what_a_batch_and_a_size_do(catalog: Catalog) -> None:
    for template in catalog.list().templates:
        fields = {field.name: field for field in template.fields}
        follows = "follows by itself" in fields["batch_size"].help
        assert follows == ("per_item_lrate" in fields), template.id  # lrate is that of a step, whatever the batch
        # Without keep_aspect_ratio two values are exact (detection/pictures.py, segmentation/pixels.py).
        assert "frame" not in fields["image_size"].help


def test_weights_are_fetched_by_template_alias_and_file(catalog: Catalog) -> None:
    assert catalog.published("classifier-mobilenet-v2") == ["mobilenet_v2-7ebf99e0.pth", "mobilenet_v2-b0353104.pth"]
    assert catalog.published("Clarifai_ResNet_AngularMargin")[-1] == "timm/resnet101.a1_in1k"
    assert catalog.published("tf_efficientnet_b3") == ["timm/tf_efficientnet_b3.aa_in1k"]
    assert catalog.published("somebody/own") == ["somebody/own"]
