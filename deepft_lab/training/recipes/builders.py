"""Builders that an administrator adds: Python packages that offer entry points of the group `deepft_lab.builders`.

    # in the package's pyproject.toml
    [project.entry-points."deepft_lab.builders"]
    lion = "our_builders:LION"

    # our_builders/__init__.py: imported by the server too, so without torch
    from deepft_lab.training.recipes.builders import Arguments, Builder

    class Lion(Arguments, frozen=True):
        momentum: float = 0.9

    LION = Builder("optimizer", "our_builders.lion:build", Lion)

The entry point's name is what a configuration says under `name`; what stands under `arguments` is checked against the
record before a run is queued. `build` is imported in the worker alone, and called so:

| kind | call | returns |
|---|---|---|
| `backbone` of a classifier | `build(outputs, stochastic_depth, **arguments)` | a module whose last layer is `head` |
| `backbone` of a detector or segmenter | `build(strides, **arguments)` | detection.backbones.Backbone |
| `neck` | `build(channels, strides, settings, **arguments)` | detection.necks.Neck |
| `head` of a segmenter | `build(channels, places, **arguments)` | a module: list of maps, finest first, to logits |
| `loss` of a segmenter | `build(logits, targets, **arguments)` | a mean over examples |
| `optimizer` | `build(groups, **arguments)` | a torch optimizer |
| `schedule` | `build(share of the steps done, **arguments)` | the learning rate over the full one |

No torch here. What people write in a form only names such builders; it is never code.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

GROUP = "deepft_lab.builders"
Kind = Literal["backbone", "neck", "head", "loss", "optimizer", "schedule"]


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the records of arguments: each with a type and a default."""


class Builder(NamedTuple):
    """`types`: the model types that it serves. `head`: what the keys of a classifier's last layer begin with."""

    kind: Kind
    build: str  # package.module:function
    arguments: type[Arguments] = Arguments
    types: tuple[str, ...] = ("visual-classifier", "visual-detector", "visual-segmenter")
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
    return found if found.kind == kind and (model_type is None or model_type in found.types) else None


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
    return found
