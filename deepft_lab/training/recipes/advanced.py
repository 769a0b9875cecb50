"""Advanced configurations: a recipe that a person states in the field `config`, as YAML. Data, never code. No torch.

    faults = advanced.check(plan, text)      # every fault at its path, such as config.backbone.name
    plan = advanced.applied(plan, text)      # the template's recipe with what the text says in its place

A part that the text leaves out stays as the template has it; a part that names another builder begins with that
builder's own defaults. Names are those of registered builders, of timm's and torchvision's networks (backbones.txt),
and of what an administrator has installed (builders.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec

from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault
from deepft_lab.training.recipes import backbones, builders, checking, steps
from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.recipes.classifier import Loss as ClassLoss
from deepft_lab.training.recipes.configuration_text import parse
from deepft_lab.training.recipes.detector import (
    Backbone,
    BoxAugment,
    Dense,
    Detector,
    Found,
    Neck,
    Queries,
    TwoStage,
    Yolox,
)
from deepft_lab.training.recipes.parts import (
    Augment,
    Base,
    Installed,
    Optimizer,
    Part,
    Positive,
    Schedule,
    Share,
    Weights,
)
from deepft_lab.training.recipes.segmenter import Augment as MapAugment
from deepft_lab.training.recipes.segmenter import Head as MapHead
from deepft_lab.training.recipes.segmenter import Loss as MapLoss
from deepft_lab.training.recipes.segmenter import Segmenter

FIELD = "config"  # the hyperparameter that holds the text, and the choice of `pretrained_weights` that it may name
Plan = TypeVar("Plan", bound=Base)
Colour = tuple[float, float, float]


class Network(Part, frozen=True):
    """A network of whole pictures."""

    name: str
    stochastic_depth: Share = 0.0


class Linear(Part, frozen=True):
    """The last layer of a classifier."""

    name: Literal["linear"] = "linear"
    dropout: Share = 0.0
    embedding_length: Positive | None = None


class DetectorWeights(Weights, frozen=True):
    """`holds`: whether the file is of a backbone (a classifier) or of a whole detector."""

    holds: Literal["backbone", "detector"] = "backbone"


class Config(Part, frozen=True):
    """What every configuration may say."""

    optimizer: Optimizer
    schedule: Schedule
    weights: Weights
    mean: Colour
    deviation: tuple[Positive, Positive, Positive]


class ClassifierConfig(Config, frozen=True):
    backbone: Network
    head: Linear
    loss: ClassLoss
    augment: Augment
    test_crop: Annotated[float, msgspec.Meta(gt=0, le=1)]


class DetectorConfig(Config, frozen=True):
    backbone: Backbone
    neck: Neck
    head: TwoStage | Dense | Yolox | Queries
    augment: BoxAugment
    found: Found
    weights: DetectorWeights
    backbone_lrate_factor: Positive
    frozen_stages: Annotated[int, msgspec.Meta(ge=0, le=5)]


class SegmenterConfig(Config, frozen=True):
    backbone: Backbone
    neck: Neck
    head: MapHead
    loss: MapLoss
    augment: MapAugment


# The records of what a configuration may say, by those of recipes.
CONFIGS: dict[type[Base], tuple[str, type[Config]]] = {
    Classifier: ("visual-classifier", ClassifierConfig),
    Detector: ("visual-detector", DetectorConfig),
    Segmenter: ("visual-segmenter", SegmenterConfig),
}


def check(plan: Base, text: str) -> list[Fault]:
    """Every fault of a configuration, each at its path."""
    document = parse(text, FIELD)
    if isinstance(document, Fault):
        return [document]
    model_type, kind = CONFIGS[type(plan)]
    faults: list[Fault] = []
    hints = get_type_hints(kind, include_extras=True)
    for key, value in document.items():
        if key not in hints:
            faults.append(checking.of_unknown(FIELD, key, value, hints))
        elif checking.is_part(hints[key]):
            faults += _part_faults(model_type, str(key), hints[key], value, _current(plan, str(key)))
        else:
            faults += checking.of_value(f"{FIELD}.{key}", hints[key], value)
    return faults


def applied(plan: Plan, text: str) -> Plan:
    """The recipe with the configuration in its place. Raises InvalidParams with every fault."""
    faults = check(plan, text)
    if faults:
        words = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
        raise InvalidParams(f"The configuration cannot be used. {words}", faults)
    document = parse(text, FIELD)
    assert isinstance(document, dict)
    model_type, kind = CONFIGS[type(plan)]
    hints = get_type_hints(kind, include_extras=True)
    parts = {
        key: _made(model_type, key, hints[key], value, _current(plan, key)) if checking.is_part(hints[key])
        else msgspec.convert(value, hints[key])
        for key, value in document.items()
    }  # fmt: skip
    return msgspec.structs.replace(plan, **_as_recipe(plan, parts))  # type: ignore[call-arg]


def _as_recipe(plan: Base, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts under the recipe's own keys."""
    changes = dict(parts)
    if isinstance(plan, Classifier):
        if "backbone" in parts:
            network = changes.pop("backbone")
            changes |= {"architecture": network.name, "stochastic_depth": network.stochastic_depth}
        head = parts.get("head")
        if isinstance(head, Linear):
            changes |= {"head": None, "dropout": head.dropout, "embedding_length": head.embedding_length}
        elif head is not None:
            changes |= {"dropout": 0.0, "embedding_length": None, "head_start": "random"}
    if "weights" in parts:
        given = changes.pop("weights")
        changes["weights"] = {FIELD: Weights(file=given.file, hub=given.hub, huggingface=given.huggingface)}
        if isinstance(given, DetectorWeights):
            changes["starts"] = {FIELD: given.holds}
    return changes


def _current(plan: Base, key: str) -> dict[str, Any]:
    """The template's own part, as plain data."""
    if isinstance(plan, Classifier) and key == "backbone":
        return {"name": plan.architecture, "stochastic_depth": plan.stochastic_depth}
    if isinstance(plan, Classifier) and key == "head":
        return {"name": "linear", "dropout": plan.dropout, "embedding_length": plan.embedding_length}
    found = getattr(plan, key, None)
    return msgspec.to_builtins(found) if isinstance(found, msgspec.Struct) else {}


# -- parts ------------------------------------------------------------------------------------


def _part_faults(model_type: str, key: str, hint: Any, value: Any, current: dict[str, Any]) -> list[Fault]:
    path = f"{FIELD}.{key}"
    if not isinstance(value, dict):
        return [Fault(path, value, "It is a mapping, such as {name: ...}.")]
    content, name = dict(value), value.get("name")
    if isinstance(name, str) and not _is_ours(key, hint, name):
        if reason := builders.refusal(key, name, model_type):
            return [Fault(f"{path}.name", name, reason)]
        custom = builders.find(key, name, model_type)
        if isinstance(custom, builders.Builder):
            return _custom_faults(path, hint, custom, content)
    faults = []
    if key == "backbone" and isinstance(name, str):
        reason = backbones.fault(name) or (backbones.unfit(name) if model_type == "visual-classifier" else "")
        if reason:
            faults.append(Fault(f"{path}.name", name, reason))
    in_use = name if name is not None else current.get("name")
    kind = checking.of_name(hint, in_use)
    if kind is None:
        known = [*checking.names(hint), *builders.names(key, model_type)]
        return [Fault(f"{path}.name", name, f"There is no {key} of this name. Known are: {', '.join(known)}.")]
    faults += checking.of_arguments(f"{path}.arguments", str(in_use), value.get("arguments"))
    faults += steps.faults(f"{path}.steps", value.get("steps"), model_type)
    same = name is None or name == current.get("name")
    whole = {**(current if same else {}), **content}
    faults += checking.of_struct(path, kind, whole, shown=content)
    if kind is Network and whole.get("stochastic_depth") and not backbones.takes(str(in_use)).depth:
        reason = f"{in_use} has no blocks that can be left out: leave this key out, or take another network."
        faults.append(Fault(f"{path}.stochastic_depth", whole["stochastic_depth"], reason))
    return faults


def _custom_faults(path: str, hint: Any, custom: builders.Builder, content: dict[str, Any]) -> list[Fault]:
    """Faults of a part that an installed builder makes; what it would not read is one."""
    del content["name"]
    faults = checking.of_struct(f"{path}.arguments", custom.arguments, content.pop("arguments", {}))
    kind, beside = checking.of_name(hint, None), builders.BESIDE.get(custom.kind)
    if beside is not None:
        beside = tuple(key for key in beside if key in checking.hints_of(kind))
    faults += checking.of_struct(path, kind, content, whole=False)
    told = {fault.field for fault in faults}
    for key, value in content.items():
        if beside is not None and key not in beside and f"{path}.{key}" not in told:
            read = f"It reads {', '.join(beside)}" if beside else "It reads nothing"
            reason = f"An installed {custom.kind} reads no {key}. {read} beside its arguments."
            faults.append(Fault(f"{path}.{key}", value, reason))
    return faults


def _is_ours(key: str, hint: Any, name: str) -> bool:
    """Whether the name is one of this project's or its libraries', which comes before an installed one."""
    return name in checking.names(hint) or (key == "backbone" and not backbones.fault(name))


def _made(model_type: str, key: str, hint: Any, value: dict[str, Any], current: dict[str, Any]) -> Any:
    content, name = dict(value), value.get("name")
    named = isinstance(name, str) and not _is_ours(key, hint, name)
    custom = builders.find(key, str(name), model_type) if named else None
    if isinstance(custom, builders.Builder):
        kind = checking.of_name(hint, None)
        assert kind is not None
        arguments = msgspec.to_builtins(msgspec.convert(content.pop("arguments", {}), custom.arguments))
        if "arguments" not in kind.__struct_fields__ and kind is not Network:
            return Installed(builder=str(name), arguments=arguments)
        content["name"] = checking.names(hint)[0] if checking.names(hint) else name
        made = msgspec.convert(content, kind)
        if kind is Network:  # which a recipe of a classifier knows by its name alone
            return msgspec.structs.replace(made, name=builders.with_arguments(str(name), arguments))
        return msgspec.structs.replace(made, name=name, arguments=arguments)
    same = name is None or name == current.get("name")
    merged = _merged(current if same else {}, content)
    if key == "backbone" and model_type != "visual-classifier":
        merged["name"] = backbones.with_library(merged["name"])
    return msgspec.convert(merged, hint)


def _merged(current: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`given` over `current`, key by key, also within."""
    return current | {
        key: _merged(current[key], value) if isinstance(value, dict) and isinstance(current.get(key), dict) else value
        for key, value in given.items()
    }
