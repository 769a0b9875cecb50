"""Builders that an administrator adds, in advanced configurations and in templates: checked, trained with, refused."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import job_folders
import numpy
import pytest
import torch
import yaml
from advanced_config import CLASSIFIER, DETECTOR, SEGMENTER, faults_of, losses_of, plan_of
from boxed import boxed
from coloured import coloured
from outlined import outlined
from safetensors.torch import load_file

from deepft_lab.catalog import Catalog
from deepft_lab.errors import InvalidParams
from deepft_lab.training import architectures, inheriting, recipes, tasks
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor
from deepft_lab.training.recipes import builders, levels, network

HOUSE = Path(__file__).parent / "house"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution with entry points, as pip leaves one on the path."""
    info = tmp_path / "site" / "house_builders-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-builders\nVersion: 1.0\n")
    names = re.findall("^([A-Z]+) = ", (HOUSE / "house_builders.py").read_text(), re.MULTILINE)
    lines = [f"{name.lower()} = house_builders:{name}" for name in names] + ["lost = house_nowhere:LOST"]
    (info / "entry_points.txt").write_text("[deepft_lab.builders]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(HOUSE))
    monkeypatch.syspath_prepend(str(info.parent))
    yield
    for name in ("house_builders", "house_builders_torch"):
        sys.modules.pop(name, None)
    builders._record.cache_clear()
    builders._bound.cache_clear()


def test_installed_builders_are_named_and_their_arguments_checked(house: None) -> None:
    assert faults_of(CLASSIFIER, "optimizer: {name: sign, arguments: {momentum: 0.5}}") == []
    assert faults_of(CLASSIFIER, "optimizer: {name: sign, clip_norm: 1.0}") == []
    wrong = faults_of(
        CLASSIFIER,
        "optimizer: {name: sign, arguments: {momentum: much, nesterov: true}, momentun: 1}\n"
        "schedule: {name: wave, arguments: {waves: 1.5}}\nbackbone: {name: plain, arguments: {depth: 1}}",
    )
    assert {fault.field for fault in wrong} == {
        "config.optimizer.arguments.momentum", "config.optimizer.arguments.nesterov", "config.optimizer.momentun",
        "config.schedule.arguments.waves", "config.backbone.arguments.depth",
    }  # fmt: skip
    assert "house_builders_torch" not in sys.modules  # the server has checked all that without it
    assert "sign" in faults_of(CLASSIFIER, "optimizer: {name: sine}")[0].reason
    assert faults_of(SEGMENTER, "backbone: {name: plain}")[0].field == "config.backbone.name"  # for classifiers only


@pytest.mark.parametrize(
    ("template", "key", "name", "words"),
    [
        (CLASSIFIER, "loss", "squares", "for visual-segmenter alone"),
        (CLASSIFIER, "head", "points", "for visual-segmenter alone"),
        (CLASSIFIER, "head", "edges", "Known are: linear, edge, layers."),
        (CLASSIFIER, "backbone", "stripes", "for visual-detector and visual-segmenter alone"),
        (CLASSIFIER, "backbone", "headless", "does not say with what the keys of its last layer begin"),
        (CLASSIFIER, "optimizer", "wave", "wave is installed as a schedule, and not as an optimizer."),
        (DETECTOR, "head", "layers", "for visual-classifier alone"),
        (DETECTOR, "head", "anywhere", "installed as a loss, and not as a head"),
        (DETECTOR, "neck", "edge", "installed as a head, and not as a neck"),
        (SEGMENTER, "backbone", "plain", "for visual-classifier alone"),
        (SEGMENTER, "head", "edges", "Known are: sum, all_mlp, pooling, edge, points."),
    ],
)  # fmt: skip
def test_an_installed_builder_that_a_type_does_not_take_is_refused_in_words(
    house: None, template: str, key: str, name: str, words: str
) -> None:
    faults = faults_of(template, f"{key}: {{name: {name}}}")
    assert [(fault.field, fault.value) for fault in faults] == [(f"config.{key}.name", name)]
    assert words in faults[0].reason


def test_what_an_installed_builder_would_not_read_is_refused(house: None) -> None:
    assert faults_of(SEGMENTER, "head: {name: edge, arguments: {width: 4}}\nloss: {name: anywhere, dice: 0.5}") == []
    faults = faults_of(
        SEGMENTER,
        "head: {name: points, channels: 8}\noptimizer: {name: sign, momentum: 0.5, clip_norm: 1.0}\n"
        "schedule: {name: wave, power: 2.0}",
    )
    assert {fault.field for fault in faults} == {
        "config.head.channels", "config.optimizer.momentum", "config.schedule.power",
    }  # fmt: skip
    assert "reads weight_decay, head_lrate_factor, clip_norm beside its arguments" in faults[1].reason


@pytest.mark.parametrize(
    ("template", "text"),
    [(SEGMENTER, "loss: {name: squares}"), (CLASSIFIER, "loss: {name: brier}"), (DETECTOR, "head: {name: middles}")],
)
def test_an_installed_loss_has_no_class_weights(house: None, template: str, text: str) -> None:
    values = {"config": text, "class_weights": "balanced"}
    faults = recipes.check(Catalog().get(template), values)[1]
    assert [fault.field for fault in faults] == ["class_weights"]
    assert recipes.check(Catalog().get(template), {**values, "class_weights": "none"})[1] == []


@pytest.mark.parametrize("template", [CLASSIFIER, DETECTOR, SEGMENTER])
def test_installed_augmentations_are_listed_and_checked(house: None, template: str) -> None:
    plan = plan_of(template, "augment: {steps: [{name: salt, arguments: {share: 0.5}}]}")
    assert [(step.name, step.arguments) for step in plan.augment.steps] == [("salt", {"share": 0.5})]
    faults = faults_of(
        template,
        "augment: {steps: [{name: salt, arguments: {share: much, of: 1}}, {name: pepper}, {name: sign}, {nam: salt}]}",
    )
    told = {fault.field: fault.reason for fault in faults}
    first = "config.augment.steps[0].arguments"
    assert {f"{first}.share", f"{first}.of"} <= set(told)
    assert "Known are" in told["config.augment.steps[1].name"] and "salt" in told["config.augment.steps[1].name"]
    assert "installed as an optimizer, and not as an augmentation" in told["config.augment.steps[2].name"]
    assert any(field.startswith("config.augment.steps[3]") for field in told)
    assert "house_builders_torch" not in sys.modules


def test_the_level_of_augmentation_is_above_what_is_installed(house: None) -> None:
    text = "augment: {steps: [{name: salt}]}"
    for template in (CLASSIFIER, DETECTOR, SEGMENTER):
        plan = plan_of(template, text)
        listed = {level: len(levels.with_level(plan, level).augment.steps) for level in ("none", "light", "strong")}
        assert listed == {"none": 0, "light": 1, "strong": 1}


def test_an_installed_augmentation_leaves_the_stored_picture_and_its_shape(house: None) -> None:
    values = {"config": "augment: {steps: [{name: salt, arguments: {share: 1.0}}]}", "image_size": 32}
    found = Catalog().get(CLASSIFIER)
    complete = recipes.check(found, values)[0]
    task = tasks.make(found.type, found.recipe, complete, ["a"], exclusive=False)
    picture = torch.zeros((40, 40, 3), dtype=torch.uint8)
    target = [torch.ones(1)]
    assert task.train_batch([picture], target, [numpy.random.default_rng(1)]).images.min() == 255
    assert picture.max() == 0
    assert task.test_batch([picture], target).images.max() == 0  # validation and prediction see pictures as they are
    bent = {**complete, "config": "augment: {steps: [{name: bent}]}"}
    task = tasks.make(found.type, found.recipe, bent, ["a"], exclusive=False)
    with pytest.raises(InvalidParams, match=r"bent gave torch.uint8 \[20, 40, 3\]"):
        task.train_batch([picture], target, [numpy.random.default_rng(1)])


def test_an_installed_head_goes_on_with_new_concepts(house: None, tmp_path: Path) -> None:
    small = {"image_size": 32, "batch_size": 4, "num_epochs": 1, "warmup_iters": 0, "per_item_lrate": 1e-3}
    text = "backbone: {name: plain}\nhead: {name: layers, arguments: {width: 5}}"
    job = job_folders.make(tmp_path / "old", coloured(8), coloured(4), template=CLASSIFIER, config=text, **small)
    train(job, tmp_path / "old", lambda *_, **__: None)
    found = Catalog().get(CLASSIFIER)
    values = recipes.check(found, {"config": text, **small})[0]
    task = tasks.make(found.type, found.recipe, values, ["blue", "green", "red"], exclusive=True)
    model = task.build()
    inheriting.inherit(task, model, tmp_path / "old" / "model")
    old = load_file(tmp_path / "old" / "model" / "model.safetensors")
    own = model.state_dict()
    assert torch.equal(own["last.0.weight"], old["last.0.weight"])
    assert torch.equal(own["last.2.weight"][[0, 2]], old["last.2.weight"])
    trunk, width = task.trunk(model)
    assert width == 8 and trunk(torch.zeros(1, 3, 32, 32)).shape == (1, 8)


def test_the_arguments_of_an_installed_network_reach_it(house: None) -> None:
    for arguments, width in (("{width: 4}", 4), ("{}", 8)):
        plan = plan_of(CLASSIFIER, f"backbone: {{name: plain, arguments: {arguments}}}")
        assert architectures.find(plan.architecture).build(2, 0.0).last.in_features == width


def test_a_builder_that_cannot_be_had_is_told_by_name(house: None) -> None:
    for name, words in (
        ("lost", "house_nowhere"), ("nonsense", "no Builder"), ("blur", "its kind is 'augment' and none of backbone"),
        ("loose", "not written as package.module:function; its types are 'visual-classifier'"),
    ):  # fmt: skip
        fault = faults_of(CLASSIFIER, f"optimizer: {{name: {name}}}")[0]
        assert fault.field == "config.optimizer.name" and words in fault.reason


def test_installed_builders_train_and_predict(house: None, tmp_path: Path) -> None:
    small = {"image_size": 32, "batch_size": 4, "num_epochs": 2, "warmup_iters": 0, "per_item_lrate": 1e-3}
    text = (
        "backbone: {name: plain, arguments: {width: 4}}\noptimizer: {name: sign, arguments: {momentum: 0.5}}\n"
        "schedule: {name: wave}\nhead: {name: layers, arguments: {width: 6}}\nloss: {name: brier}\n"
        "augment: {steps: [{name: salt}], mixup: 0.2}"
    )
    said: list[Any] = []
    job = job_folders.make(tmp_path / "c", coloured(8), coloured(4), template=CLASSIFIER, config=text, **small)
    result = train(job, tmp_path / "c", lambda kind, step=0, **data: said.append((kind, data)))
    assert result.outcome == "trained"
    assert Predictor(tmp_path / "c" / "model").predict([coloured(1)[0][0]])[0].concepts
    assert load_file(tmp_path / "c" / "model" / "model.safetensors")["last.0.weight"].shape == (6, 4)
    assert 0 < result.metrics["loss"] < 2  # of the installed loss: at most 2 where two concepts exclude each other
    text = (
        "backbone: {name: stripes, strides: [4, 8], arguments: {width: 6}}\nneck: {name: halves}\n"
        "head: {name: points}\nloss: {name: squares}\naugment: {steps: [{name: salt}]}"
    )
    job = job_folders.make(tmp_path / "s", outlined(8), outlined(4), template=SEGMENTER, config=text, **small)
    assert train(job, tmp_path / "s", lambda *_, **__: None).outcome == "trained"
    assert Predictor(tmp_path / "s" / "model").predict([outlined(1)[0][0]])[0].error == ""


def test_any_network_detects(tmp_path: Path, house: None) -> None:
    small = {"image_size": [64], "batch_size": 4, "num_epochs": 3, "warmup_iters": 0, "per_item_lrate": 1e-3}
    text = (
        "backbone: {name: timm/resnet10t, strides: [8, 16], norms: train}\nneck: {name: halves}\n"
        "head: {name: dense, anchors: {scales: [2]}, towers: none}\noptimizer: {name: adamw}\nschedule: {name: wave}"
    )
    job = job_folders.make(tmp_path, boxed(8), boxed(4, first=50), template=DETECTOR, config=text, **small)
    losses = losses_of(job, tmp_path)
    assert losses[-1] < losses[0]
    assert Predictor(tmp_path / "model").predict([boxed(1)[0][0]])[0].error == ""


def test_an_installed_head_detects(tmp_path: Path, house: None) -> None:
    small = {"image_size": [64], "batch_size": 4, "num_epochs": 3, "warmup_iters": 0, "per_item_lrate": 1e-3}
    text = (
        "backbone: {name: timm/resnet10t, strides: [8, 16]}\nneck: {name: none}\noptimizer: {name: adamw}\n"
        "head: {name: middles, arguments: {width: 6}}\naugment: {steps: [{name: salt, arguments: {share: 0.02}}]}"
    )
    assert network.names(plan_of(DETECTOR, text))["head"] == "middles"
    job = job_folders.make(
        tmp_path, boxed(8), boxed(4, first=50), template=DETECTOR, config=text, gradient_accumulation=2, **small
    )
    losses = losses_of(job, tmp_path)
    assert losses[-1] < losses[0]
    found = Predictor(tmp_path / "model").predict([boxed(1)[0][0]])[0]
    assert found.error == "" and found.regions


def test_a_template_may_name_what_is_installed(house: None, tmp_path: Path) -> None:
    path = next(Path(t.origin) for t in Catalog().list().templates if t.id == "classifier-mobilenet-v2")
    document = yaml.safe_load(path.read_text())
    document |= {"id": "own", "aliases": []}
    document["recipe"] |= {
        "head": {"name": "installed", "builder": "layers", "arguments": {"width": 4}},
        "head_start": "random",
    }
    document["recipe"]["augment"] = {"steps": [{"name": "salt"}]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(document))
    catalog = Catalog([tmp_path])
    assert catalog.list().broken == []
    complete = recipes.check(catalog.get("own"), {})[0]
    task = tasks.make("visual-classifier", catalog.get("own").recipe, complete, ["a", "b"], exclusive=True)
    assert task.build().classifier[1][0].out_features == 4
    document["recipe"]["head"] = {"name": "installed", "builder": "layer", "arguments": {"width": 2}}
    document["recipe"]["augment"] = {"steps": [{"name": "salt", "arguments": {"share": "all"}}]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(document))
    faults = Catalog([tmp_path]).list().broken[0].faults
    assert [fault.field for fault in faults] == ["recipe.head.builder", "recipe.augment.steps[0].arguments.share"]
