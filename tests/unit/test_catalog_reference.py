"""Templates that take another service's place have its names, defaults and ranges; every weights file is named."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from deepft_lab import params
from deepft_lab.catalog import Catalog
from deepft_lab.errors import WeightsNotFound
from deepft_lab.lab.training import _exclusivity
from deepft_lab.training import recipes

# name: default, min, max, step
FLIPS = {"flip_probability": (0.5, 0, 1, None), "flip_direction": ("horizontal", None, None, None)}
LEGACY = {
    "logreg": (1, 0, 1, 1),
    "image_size": (256, 32, 1024, 16),
    "batch_size": (64, 1, 128, 1),
    "init_epochs": (25, 1, 200, 1),
    "step_epochs": (7, 1, 200, 1),
    "num_epochs": (65, 1, 200, 1),
    "per_item_lrate": (7.8125e-5, 0, None, None),
    "num_items_per_epoch": (0, 0, None, None),
}
REFERENCE: dict[str, dict[str, tuple[Any, ...]]] = {
    "classifier-resnet50": {
        "image_size": (224, 0, None, None),
        "batch_size": (64, 1, 256, 1),
        "num_epochs": (60, 1, 600, 1),
        "per_item_lrate": (3.90625e-4, 0, None, None),
        "learning_rate_steps": ([30, 40, 50], 1, None, None),
        "weight_decay": (1e-4, 0, 1, None),
        "momentum": (0.9, 0, 1, None),
        "pretrained_weights": ("ImageNet-1k", None, None, None),
        **FLIPS,
    },
    "classifier-efficientnet": {
        "image_size": (336, 0, None, None),
        "batch_size": (4, 1, 256, 1),
        "num_epochs": (30, 1, 200, 1),
        "per_item_lrate": (3.90625e-4, 0, None, None),
        "weight_decay": (1e-4, 0, 1, None),
        "momentum": (0.9, 0, 1, None),
        "pretrained_weights": ("ImageNet-1k", None, None, None),
        **FLIPS,
    },
    "classifier-embednorm": {
        "logreg": (1, 0, 1, 1),
        "image_size": (256, 32, 1024, 16),
        "batch_size": (128, 1, 128, 1),
        "lrate": (0.1, 0, None, None),
        "base_gradient_multiplier": (0.001, 0, None, None),
        "num_epochs": (20, 1, 200, 1),
        "num_items_per_epoch": (0, 0, None, None),
        "average_horizontal_flips": (True, None, None, None),
    },
    "classifier-resnext": LEGACY,
    "classifier-inception-v2": LEGACY,
    "classifier-inception-batchnorm": LEGACY,
    "embedder-resnext": LEGACY,
    "embedder-inception-batchnorm": LEGACY,
    "embedder-angular-margin": {
        "image_size": (224, 32, 1024, 16),
        "batch_size": (64, 1, 128, 1),
        "angular_scale": (64, 16, 128, 16),
        "angular_margin": (0.5, 0.1, 0.9, None),
        "init_epochs": (20, 1, 200, 1),
        "step_epochs": (8, 1, 200, 1),
        "num_epochs": (40, 1, 200, 1),
        "num_items_per_epoch": (0, 0, None, None),
    },
    "detector-yolof": {
        "image_size": ([512], 64, 2048, None),
        "keep_aspect_ratio": (True, None, None, None),
        "max_aspect_ratio": (1.5, 1.0, 5.0, None),
        "batch_size": (16, 1, 32, 1),
        "num_epochs": (100, 1, 200, 1),
        "min_samples_per_epoch": (300, 1, 10000, 1),
        "per_item_lrate": (0.001875, 0, None, None),
        "frozen_stages": (1, 1, 4, 1),
        "warmup_iters": (100, 0, None, None),
        "warmup_ratio": (0.00066667, 0, None, None),
        "weight_decay": (1e-4, 0, 1, None),
    },
    # Of the others the ranges are published, and no default.
    "detector-ssd": {"batch_size": (8, 1, 32, 1), "num_epochs": (60, 1, 200, 1)},
    "detector-faster-rcnn": {
        "batch_size": (4, 1, 32, 1),
        "num_epochs": (20, 1, 200, 1),
        "random_resize_lower": ([], 64, 2048, None),
        "random_resize_upper": ([], 64, 2048, None),
    },
    "detector-retinanet": {
        "batch_size": (4, 1, 16, 1),
        "num_epochs": (20, 1, 200, 1),
        "use_perclass_regression": (False, None, None, None),
        "use_focal_loss": (True, None, None, None),
    },
    "segmenter-segformer": {
        "image_size": ([520], 32, None, None),
        "batch_size": (2, 1, 16, 1),
        "num_epochs": (1, 1, 200, 1),
        "per_item_lrate": (7.5e-6, 0, None, None),
        "pretrained_weights": ("ade20k", None, None, None),
    },
    "classifier-advanced": {"image_size": (320, 32, 2048, None), "num_epochs": (60, 1, 600, 1)},
    "detector-advanced": {"image_size": ([320], 32, 2048, None), "num_epochs": (10, 1, 600, 1)},
}
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


@pytest.mark.parametrize("name", REFERENCE)
def test_fields_are_those_of_the_reference(name: str, catalog: Catalog) -> None:
    fields = {field.name: field for field in catalog.get(name).fields}
    for field, expected in REFERENCE[name].items():
        found = fields[field]
        assert (found.default, found.min, found.max, found.step) == expected, field


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
