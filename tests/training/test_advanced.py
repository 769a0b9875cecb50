"""Advanced templates: what may be said, what is refused and where, and that it trains."""

from __future__ import annotations

from pathlib import Path

import job_folders
import pytest
import torch
import yaml
from advanced_config import CLASSIFIER, DETECTOR, SEGMENTER, faults_of, losses_of, plan_of
from coloured import coloured
from safetensors.torch import save_file

from deepft_lab.catalog import Catalog
from deepft_lab.errors import InvalidParams
from deepft_lab.training import backbone_names, recipes, tasks
from deepft_lab.training.predicting import Predictor
from deepft_lab.training.recipes import backbones


@pytest.mark.parametrize("template", [CLASSIFIER, DETECTOR, SEGMENTER])
def test_the_default_configuration_is_sound_and_so_is_an_empty_one(template: str) -> None:
    assert recipes.check(Catalog().get(template), {})[1] == []
    assert faults_of(template, "") == []
    assert faults_of(template, "# nothing yet\n") == []


def test_every_fault_is_told_at_its_path() -> None:
    text = """
    backbone: {name: resnet51, strides: [4, 0]}
    neck: {name: fpm, channels: 0}
    head: {name: sum, chanels: 8, dropout: 2}
    loss: {name: cross_entropy, dice: many}
    optimizer: {name: adamw, clip_norm: -1, arguments: 3}
    schedule: linear
    deviation: [0.2, 0.2]
    surprise: 1
    """
    faults = {fault.field: fault for fault in faults_of(SEGMENTER, text)}
    assert set(faults) == {
        "config.backbone.name", "config.backbone.strides[1]", "config.neck.name", "config.head.chanels",
        "config.head.dropout", "config.loss.dice", "config.optimizer.clip_norm", "config.optimizer.arguments",
        "config.schedule", "config.deviation", "config.surprise",
    }  # fmt: skip
    assert "resnet50" in faults["config.backbone.name"].reason
    assert "Did you mean channels?" in faults["config.head.chanels"].reason
    assert "fpn" in faults["config.neck.name"].reason


@pytest.mark.parametrize("written", ["1e-4", "1E-4", "1.0e-4", ".1e-3", "+1.e-4"])
def test_numbers_are_read_as_people_write_them(written: str) -> None:
    assert plan_of(CLASSIFIER, f"optimizer: {{name: adamw, weight_decay: {written}}}").optimizer.weight_decay == 1e-4


def test_a_head_of_several_kinds_is_checked_by_its_name() -> None:
    faults = faults_of(DETECTOR, "head: {name: two_stage, anchors: {fited: 2}, assigner: uniform}")
    assert {fault.field for fault in faults} == {"config.head.anchors.fited", "config.head.assigner"}
    known = faults_of(DETECTOR, "head: {name: mask_rcnn}")[0]
    assert known.field == "config.head.name" and "two_stage, dense" in known.reason
    assert faults_of(DETECTOR, "head: {name: two_stage, anchors: {fitted: 2}}") == []


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "a: &a [1]\nb: *a",
        "optimizer: {name: sgd}\noptimizer: {name: adamw}",
        "- 1",
        "a: [",
        "[" * 5000,
        "a" * 200_000,
        "loss: \0",
    ],
)  # fmt: skip
def test_what_is_no_plain_data_is_refused_as_a_whole(text: str) -> None:
    faults = faults_of(CLASSIFIER, text)
    assert [fault.field for fault in faults] == ["config"]
    assert len(str(faults[0].value)) < 300


def test_a_part_keeps_what_the_template_says_unless_another_builder_is_named() -> None:
    kept = plan_of(DETECTOR, "neck: {channels: 64}")
    assert (kept.neck.name, kept.neck.channels) == ("dilated_encoder", 64)
    other = plan_of(DETECTOR, "neck: {name: fpn}")
    assert (other.neck.name, other.neck.channels) == ("fpn", 256)
    nested = plan_of(SEGMENTER, "backbone: {norms: frozen}")
    assert (nested.backbone.name, nested.backbone.norms) == ("mobilenet_v2", "frozen")


def test_a_configuration_becomes_the_recipe() -> None:
    plan = plan_of(
        CLASSIFIER,
        "backbone: {name: timm/resnet10t, stochastic_depth: 0.1}\nhead: {dropout: 0.2}\n"
        "loss: {exclusive: bce, label_smoothing: 0.1}\nweights: {file: mine}\nmean: [0.5, 0.5, 0.5]",
    )
    assert (plan.architecture, plan.stochastic_depth, plan.dropout) == ("timm/resnet10t", 0.1, 0.2)
    assert (plan.loss.exclusive, plan.loss.otherwise) == ("bce", "bce")
    assert plan.weights["config"].file == "mine" and plan.mean == (0.5, 0.5, 0.5)
    with_weights = plan_of(DETECTOR, "weights: {file: mine, holds: detector}")
    assert with_weights.starts == {"config": "detector"}


@pytest.mark.parametrize(
    ("name", "known"),
    [("resnet50", True), ("timm/resnet50d", True), ("torchvision/regnet_y_400mf", True), ("timm/mobilenet_v2", False),
     ("csp_darknet", True), ("os.system", False), ("house/resnet50", False), ("", False)],
)  # fmt: skip
def test_backbones_are_those_of_timm_and_torchvision(name: str, known: bool) -> None:
    assert (backbones.fault(name) == "") is known


def test_the_list_of_backbones_names_what_is_installed() -> None:
    listed = {f"{library}/{name}" for library, names in backbones.names().items() for name in names}
    listed -= {name for name in listed if name.startswith("ours/")}
    assert len(listed) > 1000
    gone = listed - set(backbone_names.installed())
    assert not gone, "run `python -m deepft_lab.training.backbone_names`"


def test_a_name_without_a_library_is_torchvision_s_where_both_have_it() -> None:
    assert plan_of(SEGMENTER, "backbone: {name: resnet18}").backbone.name == "resnet18"
    assert plan_of(SEGMENTER, "backbone: {name: timm/resnet18}").backbone.name == "timm:resnet18"
    assert plan_of(SEGMENTER, "backbone: {name: resnet10t}").backbone.name == "timm:resnet10t"


def test_weights_of_a_configuration_are_looked_for_before_the_run(tmp_path: Path) -> None:
    catalog = Catalog(weights_paths=[tmp_path])
    template = catalog.get(SEGMENTER)
    values = recipes.check(template, {"config": "weights: {file: mine}", "pretrained_weights": "config"})[0]
    (tmp_path / "mine.safetensors").write_bytes(b"")
    assert catalog.find_weights(template, values) == tmp_path / "mine.safetensors"
    with pytest.raises(InvalidParams, match="config"):
        catalog.find_weights(template, {**values, "config": ""})


@pytest.mark.parametrize("name", ["../mine", "/etc/mine", "a/b", "..", ""])
def test_weights_of_a_configuration_are_named_and_never_a_path(name: str) -> None:
    text = f"weights: {{file: '{name}', hub: ['{name}']}}"
    assert {fault.field for fault in faults_of(SEGMENTER, text)} == {"config.weights.file", "config.weights.hub[0]"}


def test_pretrained_backbones_of_both_libraries_find_their_place(tmp_path: Path) -> None:
    import timm
    from torchvision import models

    for name, made in (("timm/resnet10t", timm.create_model("resnet10t")), ("resnet18", models.resnet18(weights=None))):
        save_file(made.state_dict(), tmp_path / "weights.safetensors")
        found = Catalog().get(SEGMENTER)
        values = recipes.check(found, {"config": yaml.safe_dump({"backbone": {"name": name, "strides": [8, 32]}})})[0]
        task = tasks.make(found.type, found.recipe, values, ["a"], exclusive=False)
        model = task.build(str(tmp_path / "weights.safetensors"))
        own = model.state_dict()
        first = next(key for key in own if key.endswith("layer1.0.conv1.weight"))
        assert torch.equal(own[first], made.state_dict()["layer1.0.conv1.weight"])
        assert task.lrate_factor(first, pretrained=True) == 1.0
        assert task.lrate_factor("head.classifier.1.weight", pretrained=True) == task.plan.optimizer.head_lrate_factor


def test_any_network_classifies(tmp_path: Path) -> None:
    small = {"image_size": 32, "batch_size": 4, "num_epochs": 3, "warmup_iters": 0, "per_item_lrate": 1e-3}
    text = "backbone: {name: timm/resnet10t}\nhead: {dropout: 0.1}\noptimizer: {name: adamw}"
    job = job_folders.make(tmp_path, coloured(12), coloured(4), template=CLASSIFIER, config=text, **small)
    losses = losses_of(job, tmp_path)
    assert losses[-1] < losses[0]
    found = Predictor(tmp_path / "model").predict([coloured(1)[0][0]])[0]
    assert {value.concept for value in found.concepts} == {"red", "blue"}
