"""Templates that take another service's place have its names, defaults and ranges; every weights file is named."""

from __future__ import annotations

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
    },
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
}
TYPES = ("visual-classifier", "visual-embedder", "embedding-classifier")


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
        if template.type not in TYPES or not any(field.name == "pretrained_weights" for field in template.fields):
            continue
        fields = {field.name: field for field in template.fields}
        chooser = next((fields[name] for name in ("variant", "backbone") if name in fields), None)
        for choice in chooser.choices if chooser else [""]:
            values = params.defaults(template.fields) | ({chooser.name: choice} if chooser else {})
            if values["pretrained_weights"] == "None" or "config" in fields:
                continue
            with pytest.raises(WeightsNotFound) as raised:
                catalog.find_weights(template, values)
            file = raised.value.faults[0].reason
            assert file.endswith(".safetensors") and file in raised.value.message
            assert f"weights fetch {file.removesuffix('.safetensors')}`" in raised.value.message
            sources = catalog.published(file.removesuffix(".safetensors"))
            assert all(source.endswith(".pth") or source.count("/") == 1 for source in sources), sources
            asked += 1
    assert asked > 25


def test_weights_are_fetched_by_template_alias_and_file(catalog: Catalog) -> None:
    assert catalog.published("classifier-mobilenet-v2") == ["mobilenet_v2-7ebf99e0.pth", "mobilenet_v2-b0353104.pth"]
    assert catalog.published("Clarifai_ResNet_AngularMargin")[-1] == "timm/resnet101.a1_in1k"
    assert catalog.published("tf_efficientnet_b3") == ["timm/tf_efficientnet_b3.aa_in1k"]
    assert catalog.published("somebody/own") == ["somebody/own"]
