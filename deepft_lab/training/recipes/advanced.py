"""Advanced configurations: a recipe that a person states in the field `config`, as YAML. Data, never code. No torch.

    faults = advanced.check(plan, text)      # every fault at its path, such as config.backbone.name
    plan = advanced.applied(plan, text)      # the template's recipe with what the text says in its place

A part that the text leaves out stays as the template has it; a part that names another builder begins with that
builder's own defaults. Names are those of registered builders, of timm's and torchvision's networks (backbones.txt),
and of what an administrator has installed (builders.py).
"""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault
from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.recipes.classifier import Loss as ClassLoss
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
from deepft_lab.training.recipes.parts import Augment, Base, Optimizer, Part, Positive, Schedule, Share, Weights
from deepft_lab.training.recipes.segmenter import Augment as MapAugment
from deepft_lab.training.recipes.segmenter import Head as MapHead
from deepft_lab.training.recipes.segmenter import Loss as MapLoss
from deepft_lab.training.recipes.segmenter import Segmenter

FIELD = "config"  # the hyperparameter that holds the text, and the choice of `pretrained_weights` that it may name
MAX_LENGTH = 100_000
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
    document = _parse(text)
    if isinstance(document, Fault):
        return [document]
    model_type, kind = CONFIGS[type(plan)]
    faults: list[Fault] = []
    hints = get_type_hints(kind, include_extras=True)
    for key, value in document.items():
        if key not in hints:
            faults.append(_unknown(FIELD, key, value, hints))
        elif _is_part(hints[key]):
            faults += _part_faults(model_type, str(key), hints[key], value, _current(plan, str(key)))
        else:
            faults += _value_faults(f"{FIELD}.{key}", hints[key], value)
    return faults


def applied(plan: Plan, text: str) -> Plan:
    """The recipe with the configuration in its place. Raises InvalidParams with every fault."""
    faults = check(plan, text)
    if faults:
        words = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
        raise InvalidParams(f"The configuration cannot be used. {words}", faults)
    document = _parse(text)
    assert isinstance(document, dict)
    model_type, kind = CONFIGS[type(plan)]
    hints = get_type_hints(kind, include_extras=True)
    parts = {
        key: _made(model_type, key, hints[key], value, _current(plan, key)) if _is_part(hints[key])
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
        if "head" in parts:
            head = changes.pop("head")
            changes |= {"dropout": head.dropout, "embedding_length": head.embedding_length}
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
    faults, content = [], dict(value)
    name = content.get("name")
    custom = builders.find(key, name, model_type) if isinstance(name, str) else None
    if isinstance(custom, builders.Broken):
        return [Fault(f"{path}.name", name, custom.reason)]
    if custom is not None:
        faults += _struct_faults(f"{path}.arguments", custom.arguments, content.pop("arguments", {}))
        del content["name"]
        kind = _of_name(hint, None)
        return faults + _struct_faults(path, kind, content, whole=False)
    if key == "backbone" and isinstance(name, str):
        reason = backbone_fault(name)
        if reason:
            faults.append(Fault(f"{path}.name", name, reason))
    kind = _of_name(hint, name if name is not None else current.get("name"))
    if kind is None:
        known = [*_names(hint), *builders.names(key, model_type)]
        return [Fault(f"{path}.name", name, f"There is no {key} of this name. Known are: {', '.join(known)}.")]
    same = name is None or name == current.get("name")
    return faults + _struct_faults(path, kind, {**(current if same else {}), **content}, shown=content)


def _made(model_type: str, key: str, hint: Any, value: dict[str, Any], current: dict[str, Any]) -> Any:
    content, name = dict(value), value.get("name")
    custom = builders.find(key, name, model_type) if isinstance(name, str) else None
    if isinstance(custom, builders.Builder):
        kind = _of_name(hint, None)
        assert kind is not None
        arguments = msgspec.to_builtins(msgspec.convert(content.pop("arguments", {}), custom.arguments))
        content["name"] = _names(hint)[0] if _names(hint) else name
        made = msgspec.convert(content, kind)
        extra = {"arguments": arguments} if "arguments" in kind.__struct_fields__ else {}
        return msgspec.structs.replace(made, name=name, **extra)
    same = name is None or name == current.get("name")
    merged = _merged(current if same else {}, content)
    if key == "backbone" and model_type != "visual-classifier":
        merged["name"] = _with_library(merged["name"])
    return msgspec.convert(merged, hint)


def _merged(current: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`given` over `current`, key by key, also within."""
    return current | {
        key: _merged(current[key], value) if isinstance(value, dict) and isinstance(current.get(key), dict) else value
        for key, value in given.items()
    }


def _struct_faults(
    path: str, kind: Any, value: Any, *, shown: dict[str, Any] | None = None, whole: bool = True
) -> list[Fault]:
    """Faults of a mapping that should become a record; `shown`: only what the person wrote is spoken of."""
    if not isinstance(value, dict):
        return [Fault(path, value, "It is a mapping of keys to values.")]
    hints = get_type_hints(kind, include_extras=True)
    tag = kind.__struct_config__.tag_field
    faults: list[Fault] = []
    for key, item in (value if shown is None else shown).items():
        if key == tag:
            continue
        if key not in hints:
            faults.append(_unknown(path, key, item, hints))
        elif isinstance(hints[key], type) and issubclass(hints[key], msgspec.Struct) and isinstance(item, dict):
            faults += _struct_faults(f"{path}.{key}", hints[key], item)
        else:
            faults += _value_faults(f"{path}.{key}", hints[key], item)
    missing = [f.name for f in msgspec.structs.fields(kind) if f.required and f.name not in value]
    return faults + [Fault(f"{path}.{name}", None, "This key is missing.") for name in missing if whole]


def _value_faults(path: str, hint: Any, value: Any) -> list[Fault]:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        words, _, inner = str(error).partition(" - at `$")
        return [Fault(path + inner.rstrip("`"), value, f"{words}.{_hint_of_number(value)}")]
    return []


def _unknown(path: str, key: Any, value: Any, hints: dict[str, Any]) -> Fault:
    close = difflib.get_close_matches(str(key), list(hints), 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return Fault(f"{path}.{key}", value, f"There is no such key here.{meant} Known are: {', '.join(hints)}.")


def _hint_of_number(value: Any) -> str:
    from deepft_lab.training.template_file import hint

    return hint(value)


def _is_part(hint: Any) -> bool:
    return bool(_members(hint))


def _members(hint: Any) -> list[type[Part]]:
    """The records of a hint: one, or those of a union."""
    options = get_args(hint) if get_origin(hint) in (Union, type(int | str)) else (hint,)
    return [option for option in options if isinstance(option, type) and issubclass(option, Part)]


def _of_name(hint: Any, name: Any) -> type[Part] | None:
    """The record that a name stands for; None where it stands for none. Without a name the first one."""
    members = _members(hint)
    if len(members) == 1 or name is None:
        known = _names(hint)
        return members[0] if name is None or not known or name in known else None
    return next((member for member in members if member.__struct_config__.tag == name), None)


def _names(hint: Any) -> list[str]:
    """The names that a part may bear, where they are a closed list."""
    members = _members(hint)
    if len(members) > 1:
        return [str(member.__struct_config__.tag) for member in members]
    names = get_type_hints(members[0]).get("name")
    return [str(option) for option in get_args(names)] if get_origin(names) is Literal else []


# -- backbones --------------------------------------------------------------------------------


@functools.cache
def backbone_names() -> dict[str, frozenset[str]]:
    """Names of the networks of each library, from the list that is kept beside this file."""
    found: dict[str, set[str]] = {}
    for line in (Path(__file__).parent / "backbones.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            library, _, name = line.partition("/")
            found.setdefault(library, set()).add(name)
    return {library: frozenset(names) for library, names in found.items()} | {"ours": frozenset(_OURS)}


_OURS = ("csp_darknet", "inception_v2", "ssd_vgg16", "ssdlite_mobilenet_v3_large")


def backbone_fault(name: str) -> str:
    """Why no network has this name, or nothing."""
    library, bare = _split(name)
    known = backbone_names()
    if library and library not in known:
        return f"There is no library {library!r}: write timm/<name> or torchvision/<name>."
    if any(bare in names for where, names in known.items() if library in ("", where)):
        return ""
    every = sorted({option for names in known.values() for option in names})
    close = ", ".join(difflib.get_close_matches(bare, every, 3)) or "resnet50, convnext_tiny, mobilenet_v2"
    return f"Neither timm nor torchvision has this network. Close to it: {close}."


def _split(name: str) -> tuple[str, str]:
    library, _, bare = name.replace(":", "/", 1).rpartition("/")
    return library, bare


def _with_library(name: str) -> str:
    """As detection/backbones.py wants it: torchvision's names as they are, timm's with `timm:`."""
    library, bare = _split(name)
    known = backbone_names()
    if library == "timm" or (not library and bare in known["timm"] - known["torchvision"] - known["ours"]):
        return f"timm:{bare}"
    return bare


# -- text -------------------------------------------------------------------------------------


class _Plain(yaml.SafeLoader):
    """YAML without aliases (a few lines of them unfold to gigabytes) and without doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        doubled = next((key for key in keys if keys.count(key) > 1), None)
        if doubled is not None:
            raise yaml.YAMLError(f"the key {doubled!r} stands twice")
        return super().construct_mapping(node, deep)


def _parse(text: str) -> dict[Any, Any] | Fault:
    shown = text if len(text) <= 200 else text[:200] + " ..."
    if len(text) > MAX_LENGTH:
        return Fault(FIELD, shown, f"It is longer than {MAX_LENGTH:,} characters.")
    try:
        document = yaml.load(text, _Plain)  # a SafeLoader: plain data only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Fault(FIELD, shown, f"It is no YAML that can be used here: {error}")
    if document is None:
        return {}
    return document if isinstance(document, dict) else Fault(FIELD, shown, "It is a mapping of keys to values.")
