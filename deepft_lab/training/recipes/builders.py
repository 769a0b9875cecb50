"""Builders that an administrator adds: Python packages that offer entry points of the group `deepft_lab.builders`.

    # in the package's pyproject.toml
    [project.entry-points."deepft_lab.builders"]
    lion = "our_builders:LION"

    # our_builders/__init__.py: imported by the server too, so without torch
    from deepft_lab.training.recipes.builders import Arguments, Builder

    class Lion(Arguments, frozen=True):
        momentum: float = 0.9

    LION = Builder("optimizer", "our_builders.lion:build", Lion)

The entry point's name is what a configuration says under `name`, and none of ours; what stands under `arguments` is
checked against the record before a run is queued. `build` is imported in the worker alone, and called so:

| kind | call | returns |
|---|---|---|
| `backbone` of a classifier | `build(outputs, stochastic_depth, **arguments)` | a module whose last layer is `head` |
| `backbone` of a detector or segmenter | `build(strides, **arguments)` | detection.backbones.Backbone |
| `neck` of a detector or segmenter | `build(channels, strides, settings, **arguments)` | detection.necks.Neck |
| `head` of a classifier | `build(width, outputs, **arguments)` | a module: features [n, width] to logits [n, outputs] |
| `head` of a detector | `build(channels, strides, concepts, found, **arguments)` | a module, see below |
| `head` of a segmenter | `build(channels, places, **arguments)` | a module: list of maps, finest first, to logits |
| `loss` of a classifier or segmenter | `build(logits, targets, **arguments)` | a mean over examples |
| `augmentation` | `build(picture, random, **arguments)` | the picture, changed |
| `optimizer` | `build(groups, **arguments)` | a torch optimizer |
| `schedule` | `build(share of the steps done, **arguments)` | the learning rate over the full one |

A detector's head brings its loss. Its `loss(maps, sizes, targets)` is the mean loss of a batch and `find(maps, sizes)`
the boxes, scores and labels of each image, with `maps` finest first, `sizes` [n, 2] the height and width in pixels of
the pictures on their canvas, and `targets` as in detection/pictures.py. `found` says what becomes of boxes. A
classifier's loss sees targets 0..1 [n, concepts], below 0 where nobody has stated them; a segmenter's sees places
[n, height, width]. In both a mean over examples lets parts of a batch and ranks add up to the whole.

An augmentation stands in the list `augment.steps`. It is given each training picture before it is cropped, uint8
[height, width, 3], its own to write to, and a numpy Generator, from which all that is random must come. What it
returns has the same shape, and what it shows stays where it was: boxes and masks do not move with it.

Beside `arguments` a classifier's loss has `mixed_target_threshold`, a segmenter's `dice` and `auxiliary`, an optimizer
`weight_decay`, `head_lrate_factor` and `clip_norm`, backbones and necks all their keys; heads, schedules and
augmentations have none. What a type of model does not take, and what nothing would read, is refused where the
configuration says it.

No torch here. What people write in a form only names such builders; it is never code.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

GROUP = "deepft_lab.builders"
Kind = Literal["backbone", "neck", "head", "loss", "augmentation", "optimizer", "schedule"]
_EVERY = ("visual-classifier", "visual-detector", "visual-segmenter")
# The types of models whose training calls a builder of the kind.
TAKEN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("backbone", "head", "augmentation", "optimizer", "schedule"), _EVERY),
    "neck": ("visual-detector", "visual-segmenter"),
    "loss": ("visual-classifier", "visual-segmenter"),  # a detector's head brings its own
}
# Keys of a part that are read beside the arguments of an installed builder, where the part has them; of the other
# kinds all are.
BESIDE: dict[str, tuple[str, ...]] = {
    "head": (),
    "loss": ("dice", "auxiliary", "mixed_target_threshold"),
    "optimizer": ("weight_decay", "head_lrate_factor", "clip_norm"),
    "schedule": (),
}


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the records of arguments: each with a type and a default."""


class Builder(NamedTuple):
    """`types`: the model types that it serves. `head`: what the keys of a classifier's last layer begin with."""

    kind: Kind
    build: str  # package.module:function
    arguments: type[Arguments] = Arguments
    types: tuple[str, ...] = _EVERY
    head: str = ""


class Broken(NamedTuple):
    """An entry point that gives no builder, and why."""

    name: str
    reason: str


def find(kind: str, name: str, model_type: str | None = None) -> Builder | Broken | None:
    """The installed builder of that name; None where there is none of the kind (and type)."""
    entry = _entries().get(name)
    if entry is None:
        return None
    found = _record(entry)
    if isinstance(found, Broken):
        return found
    return found if found.kind == kind and (model_type is None or not _refusal(found, model_type)) else None


def refusal(kind: str, name: str, model_type: str) -> str:
    """Why a model of the type cannot have the installed builder of that name as its `kind`, or nothing."""
    entry = _entries().get(name)
    found = None if entry is None else _record(entry)
    if found is None:
        return ""
    if isinstance(found, Broken):
        return found.reason
    if found.kind != kind:
        return f"{name} is installed as {with_article(found.kind)}, and not as {with_article(kind)}."
    reason = _refusal(found, model_type)
    return f"{name} is installed, but {reason}" if reason else ""


def _refusal(found: Builder, model_type: str) -> str:
    if model_type not in TAKEN[found.kind]:
        taken = ", ".join(kind for kind, types in TAKEN.items() if model_type in types)
        return f"a {model_type} takes no {found.kind} that is installed. Of these it takes: {taken}."
    if model_type not in found.types:
        return f"for {' and '.join(found.types)} alone."
    if found.kind == "backbone" and model_type == "visual-classifier" and not found.head:
        return "its Builder does not say with what the keys of its last layer begin, such as head='fc.'."
    return ""


def names(kind: str, model_type: str | None = None) -> list[str]:
    """Names of the installed builders of a kind."""
    return sorted(name for name in _entries() if isinstance(find(kind, name, model_type), Builder))


def function(kind: str, name: str) -> Callable[..., Any] | None:
    """What builds it, imported now. Raises what the import raises."""
    found = find(kind, name)
    if not isinstance(found, Builder):
        return None
    module, _, attribute = found.build.partition(":")
    return getattr(import_module(module), attribute)


def bound(kind: str, name: str, arguments: dict[str, Any]) -> Callable[..., Any]:
    """What builds it, with its arguments, those that are left out too. Raises LookupError where it is gone."""
    return _bound(kind, name, msgspec.json.encode(arguments, order="deterministic"))


@functools.lru_cache(maxsize=256)  # losses and augmentations are called in every step
def _bound(kind: str, name: str, arguments: bytes) -> Callable[..., Any]:
    found, build = find(kind, name), function(kind, name)
    if not isinstance(found, Builder) or build is None:
        raise LookupError(f"{name}, which was installed as {with_article(kind)}, is gone: install it again.")
    return functools.partial(build, **msgspec.to_builtins(msgspec.json.decode(arguments, type=found.arguments)))


def with_arguments(name: str, arguments: dict[str, Any]) -> str:
    """An installed network and its arguments as the one word by which a classifier's recipe calls it."""
    return f"{name}{msgspec.json.encode(arguments, order='deterministic').decode()}" if arguments else name


def apart(word: str) -> tuple[str, dict[str, Any]]:
    """The name and the arguments of `with_arguments`."""
    name, brace, rest = word.partition("{")
    return name, msgspec.json.decode(brace + rest) if brace else {}


def _entries() -> dict[str, EntryPoint]:
    return _installed(tuple((path, _changed(path)) for path in sys.path))


@functools.lru_cache(maxsize=1)
def _installed(places: tuple[tuple[str, int], ...]) -> dict[str, EntryPoint]:
    """Looked for again when a folder of `places` has changed: it takes a look into every installed package."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@functools.lru_cache(maxsize=256)
def _record(entry: EntryPoint) -> Builder | Broken:
    try:
        found = entry.load()
    except Exception as error:  # whatever another package does when it is imported
        return Broken(entry.name, f"{entry.value} cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(found, Builder):
        return Broken(entry.name, f"{entry.value} is no Builder but {type(found).__name__}.")
    wrong = "; ".join(_wrong(found))
    return Broken(entry.name, f"{entry.value} cannot be used: {wrong}.") if wrong else found


def _wrong(found: Builder) -> Iterator[str]:
    """What a Builder says that no builder has."""
    if found.kind not in TAKEN:
        yield f"its kind is {found.kind!r} and none of {', '.join(TAKEN)}"
    if not (isinstance(found.arguments, type) and issubclass(found.arguments, Arguments)):
        yield f"its arguments are {found.arguments!r} and no record of the class Arguments"
    if not (isinstance(found.build, str) and found.build.partition(":")[2]):
        yield f"its build is {found.build!r} and not written as package.module:function"
    if not (isinstance(found.types, tuple) and set(found.types) <= set(_EVERY)):
        yield f"its types are {found.types!r} and no tuple of {', '.join(_EVERY)}"


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
