"""Faults of plain data that should become records: every one, each at its path. No torch."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from deepft_lab import params
from deepft_lab.records import Fault
from deepft_lab.training.recipes.parts import Part


@functools.cache
def hints_of(kind: type) -> dict[str, Any]:
    """The types of a record's keys, with what they say of ranges."""
    return get_type_hints(kind, include_extras=True)


def is_part(hint: Any) -> bool:
    """Whether a value of this type is a part, with keys of its own."""
    return bool(members(hint))


def members(hint: Any) -> list[type[Part]]:
    """The records of a hint: one, or those of a union."""
    options = get_args(hint) if get_origin(hint) in (Union, type(int | str)) else (hint,)
    return [option for option in options if isinstance(option, type) and issubclass(option, Part)]


def of_name(hint: Any, name: Any) -> type[Part] | None:
    """The record that a name stands for; None where it stands for none. Without a name the first one."""
    parts = members(hint)
    if len(parts) == 1 or name is None:
        known = names(hint)
        return parts[0] if name is None or not known or name in known else None
    return next((part for part in parts if part.__struct_config__.tag == name), None)


def names(hint: Any) -> list[str]:
    """The names that a part may bear, where they are a closed list."""
    parts = members(hint)
    if len(parts) > 1:
        return [str(part.__struct_config__.tag) for part in parts]
    listed = get_type_hints(parts[0]).get("name")
    return [str(option) for option in get_args(listed)] if get_origin(listed) is Literal else []


def of_struct(
    path: str, kind: Any, value: Any, *, shown: dict[str, Any] | None = None, whole: bool = True
) -> list[Fault]:
    """Faults of a mapping that should become a record; `shown`: only what the person wrote is spoken of."""
    if not isinstance(value, dict):
        return [Fault(path, value, "It is a mapping of keys to values.")]
    hints = hints_of(kind)
    tag = kind.__struct_config__.tag_field
    faults: list[Fault] = []
    for key, item in (value if shown is None else shown).items():
        if key == tag:
            continue
        if key not in hints:
            faults.append(of_unknown(path, key, item, hints))
        else:
            faults += _of_item(f"{path}.{key}", hints[key], item)
    missing = [f.name for f in msgspec.structs.fields(kind) if f.required and f.name not in value]
    return faults + [Fault(f"{path}.{name}", None, "This key is missing.") for name in missing if whole]


def _of_item(path: str, kind: Any, value: Any) -> list[Fault]:
    """Faults of a value; parts, and mappings of parts, are opened, so that each fault has its own path."""
    if not isinstance(value, dict):
        return of_value(path, kind, value)
    if get_origin(kind) is dict and members(get_args(kind)[1]):
        of_each = get_args(kind)[1]
        return [fault for key, item in value.items() for fault in _of_item(f"{path}.{key}", of_each, item)]
    parts = members(kind)
    if len(parts) > 1:
        part = next((part for part in parts if part.__struct_config__.tag == value.get("name")), None)
        if part is None:
            return [Fault(f"{path}.name", value.get("name"), f"It is one of {', '.join(names(kind))}.")]
        return of_struct(path, part, value)
    return of_struct(path, parts[0], value) if parts else of_value(path, kind, value)


def of_value(path: str, kind: Any, value: Any) -> list[Fault]:
    if not _finite(value):
        return [Fault(path, value, "It is a finite number: neither .nan nor .inf.")]
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words, _, inner = str(error).partition(" - at `$")
        known = options(kind) if words.startswith("Invalid enum value") else []
        if known:
            words = f"It is one of {', '.join(known)}"
        if "matching regex" in words:
            words = "It is a name of letters, digits and `_`, `.`, `+`, `-`: no path, and no address"
        return [Fault(path + inner.rstrip("`"), value, f"{words}.")]
    return []


def _finite(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return all(_finite(item) for item in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def options(kind: Any) -> list[str]:
    """The values that a type names, itself or within."""
    if get_origin(kind) is Literal:
        return [str(option) for option in get_args(kind)]
    return [option for inner in get_args(kind) for option in options(inner)]


def of_arguments(path: str, name: str, arguments: Any) -> list[Fault]:
    """Faults of the `arguments` of a builder that nobody has installed: most of ours take none, and would drop them."""
    if not isinstance(arguments, dict) or not arguments:
        return []
    known = _ARGUMENTS.get(name, ())
    words = f"{name} takes {' and '.join(known)} here." if known else f"{name} takes no arguments."
    reason = f"{words} Its settings stand beside its name; arguments are those of installed builders."
    return [Fault(f"{path}.{key}", value, reason) for key, value in arguments.items() if key not in known]


_ARGUMENTS = {"csp_darknet": ("depth", "width")}  # detection/backbones.py


def of_unknown(path: str, key: Any, value: Any, hints: dict[str, Any]) -> Fault:
    place = f"{path}.{key}" if path else str(key)
    words = f"There is no such key here.{params.meant(str(key), hints)} Known are: {', '.join(hints)}."
    return Fault(place, value, words)
