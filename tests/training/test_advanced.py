"""Advanced templates: what may be said, what is refused and where, what an administrator adds, and that it trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import job_folders
import pytest
import torch
import yaml
from boxed import boxed
from coloured import coloured
from outlined import outlined
from safetensors.torch import save_file

from deepft_lab.catalog import Catalog
from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault
from deepft_lab.training import architectures, backbone_names, recipes, tasks
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor
from deepft_lab.training.recipes import backbones, builders

CLASSIFIER, DETECTOR, SEGMENTER = "classifier-advanced", "detector-advanced", "segmenter-advanced"
PACKAGE = """
import msgspec
from deepft_lab.training.recipes.builders import Arguments, Builder

class Sign(Arguments, frozen=True):
    momentum: float = 0.9

class Wave(Arguments, frozen=True):
    waves: int = 2

class Width(Arguments, frozen=True):
    width: int = 8

SIGN = Builder("optimizer", "house_builders_torch:sign", Sign)
WAVE = Builder("schedule", "house_builders_torch:wave", Wave)
PLAIN = Builder("backbone", "house_builders_torch:plain", Width, ("visual-classifier",), head="last.")
HALVES = Builder("neck", "house_builders_torch:halves", Width, ("visual-detector", "visual-segmenter"))
STRIPES = Builder("backbone", "house_builders_torch:stripes", Width, ("visual-detector", "visual-segmenter"))
POINTS = Builder("head", "house_builders_torch:points", Width, ("visual-segmenter",))
SQUARES = Builder("loss", "house_builders_torch:squares", types=("visual-segmenter",))
EDGE = Builder("head", "house_builders_torch:points", Width)
ANYWHERE = Builder("loss", "house_builders_torch:squares")
HEADLESS = Builder("backbone", "house_builders_torch:plain", Width)
BLUR = Builder("augment", "house_builders_torch:plain")
LOOSE = Builder("optimizer", "house_builders_torch.sign", dict, "visual-classifier")
NONSENSE = 7
"""
TORCH = """
import torch
from torch import nn
from deepft_lab.training.detection.backbones import Backbone
from deepft_lab.training.detection.necks import Neck

def sign(groups, momentum):
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum)

def wave(share, waves):
    return 1.0 if int(share * waves * 2) % 2 == 0 else 0.5

class Plain(nn.Module):
    def __init__(self, outputs, width):
        super().__init__()
        self.first = nn.Conv2d(3, width, 8, 8)
        self.last = nn.Linear(width, outputs)

    def forward(self, images):
        return self.last(self.first(images).relu().mean((2, 3)))

def plain(outputs, stochastic_depth=0.0, width=8):
    return Plain(outputs, width)

class Stripes(Backbone):
    def __init__(self, strides, width):
        super().__init__()
        self.strides, self.channels = list(strides), [width] * len(strides)
        self.convolutions = nn.ModuleList(nn.Conv2d(3, width, stride, stride) for stride in strides)
        self.stages = [["convolutions."]]

    def forward(self, images):
        return [convolution(images).relu() for convolution in self.convolutions]

def stripes(strides, width):
    return Stripes(strides, width)

class Halves(Neck):
    def __init__(self, channels, strides, width):
        super().__init__()
        self.channels, self.strides = [width] * len(channels), list(strides)
        self.convolutions = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in channels)

    def forward(self, maps):
        return [convolution(level) for convolution, level in zip(self.convolutions, maps)]

def halves(channels, strides, settings, width):
    return Halves(channels, strides, width)

class Points(nn.Module):
    def __init__(self, channels, places, width):
        super().__init__()
        self.last = nn.Conv2d(channels[0], places, 1)

    def forward(self, maps):
        return self.last(maps[0])

def points(channels, places, width):
    return Points(channels, places, width)

def squares(logits, targets):
    wanted = nn.functional.one_hot(targets.clamp(min=0), logits.shape[1]).movedim(-1, 1)
    return ((logits.softmax(1) - wanted) ** 2).mean()
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution with entry points, as pip leaves one on the path."""
    site = tmp_path / "site"
    info = site / "house_builders-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "house_builders.py").write_text(PACKAGE)
    (site / "house_builders_torch.py").write_text(TORCH)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-builders\nVersion: 1.0\n")
    names = (
        "sign", "wave", "plain", "points", "squares", "halves", "stripes", "edge", "anywhere", "headless", "blur",
        "loose", "nonsense",
    )  # fmt: skip
    lines = [f"{name} = house_builders:{name.upper()}" for name in names] + ["lost = house_nowhere:LOST"]
    (info / "entry_points.txt").write_text("[deepft_lab.builders]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(site))
    yield
    for name in ("house_builders", "house_builders_torch"):
        sys.modules.pop(name, None)
    builders._record.cache_clear()


def faults_of(template: str, text: str) -> list[Fault]:
    return recipes.check(Catalog().get(template), {"config": text})[1]


def plan_of(template: str, text: str, **values: Any) -> Any:
    found = Catalog().get(template)
    complete, faults = recipes.check(found, {"config": text, **values})
    assert not faults, faults
    return recipes.settled(recipes.read(found.recipe, found.type), complete)


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
        (CLASSIFIER, "head", "edge", "no head that is installed. Of these it takes: backbone, optimizer, schedule."),
        (CLASSIFIER, "loss", "anywhere", "a visual-classifier takes no loss that is installed"),
        (CLASSIFIER, "head", "points", "a visual-classifier takes no head"),
        (CLASSIFIER, "backbone", "stripes", "for visual-detector and visual-segmenter alone"),
        (CLASSIFIER, "backbone", "headless", "does not say with what the keys of its last layer begin"),
        (CLASSIFIER, "optimizer", "wave", "wave is installed as a schedule, and not as an optimizer."),
        (DETECTOR, "head", "edge", "Of these it takes: backbone, optimizer, schedule, neck."),
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


def test_an_installed_loss_has_no_class_weights(house: None) -> None:
    values = {"config": "loss: {name: squares}", "class_weights": "balanced"}
    faults = recipes.check(Catalog().get(SEGMENTER), values)[1]
    assert [fault.field for fault in faults] == ["class_weights"]
    assert recipes.check(Catalog().get(SEGMENTER), {**values, "class_weights": "none"})[1] == []


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
        "schedule: {name: wave}"
    )
    said: list[Any] = []
    job = job_folders.make(tmp_path / "c", coloured(8), coloured(4), template=CLASSIFIER, config=text, **small)
    result = train(job, tmp_path / "c", lambda kind, step=0, **data: said.append((kind, data)))
    assert result.outcome == "trained"
    assert Predictor(tmp_path / "c" / "model").predict([coloured(1)[0][0]])[0].concepts
    text = (
        "backbone: {name: stripes, strides: [4, 8], arguments: {width: 6}}\nneck: {name: halves}\n"
        "head: {name: points}\nloss: {name: squares}"
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
    losses: list[float] = []
    job = job_folders.make(tmp_path, boxed(8), boxed(4, first=50), template=DETECTOR, config=text, **small)

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind == "epoch":
            losses.append(data["train_loss"])

    assert train(job, tmp_path, say).outcome == "trained"
    assert losses[-1] < losses[0]
    assert Predictor(tmp_path / "model").predict([boxed(1)[0][0]])[0].error == ""


def test_any_network_classifies(tmp_path: Path) -> None:
    small = {"image_size": 32, "batch_size": 4, "num_epochs": 3, "warmup_iters": 0, "per_item_lrate": 1e-3}
    text = "backbone: {name: timm/resnet10t}\nhead: {dropout: 0.1}\noptimizer: {name: adamw}"
    losses: list[float] = []
    job = job_folders.make(tmp_path, coloured(12), coloured(4), template=CLASSIFIER, config=text, **small)

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind == "epoch":
            losses.append(data["train_loss"])

    assert train(job, tmp_path, say).outcome == "trained"
    assert losses[-1] < losses[0]
    found = Predictor(tmp_path / "model").predict([coloured(1)[0][0]])[0]
    assert {value.concept for value in found.concepts} == {"red", "blue"}
