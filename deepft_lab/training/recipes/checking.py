"""Faults of plain data that should become records: every one, each at its path. No torch."""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from deepft_lab.records import Fault
from deepft_lab.training.recipes.parts import Part


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
    hints = get_type_hints(kind, include_extras=True)
    tag = kind.__struct_config__.tag_field
    faults: list[Fault] = []
    for key, item in (value if shown is None else shown).items():
        if key == tag:
            continue
        if key not in hints:
            faults.append(of_unknown(path, key, item, hints))
        elif isinstance(hints[key], type) and issubclass(hints[key], msgspec.Struct) and isinstance(item, dict):
            faults += of_struct(f"{path}.{key}", hints[key], item)
        else:
            faults += of_value(f"{path}.{key}", hints[key], item)
    missing = [f.name for f in msgspec.structs.fields(kind) if f.required and f.name not in value]
    return faults + [Fault(f"{path}.{name}", None, "This key is missing.") for name in missing if whole]


def of_value(path: str, kind: Any, value: Any) -> list[Fault]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words, _, inner = str(error).partition(" - at `$")
        return [Fault(path + inner.rstrip("`"), value, f"{words}.{hint(value)}")]
    return []


def of_unknown(path: str, key: Any, value: Any, hints: dict[str, Any]) -> Fault:
    close = difflib.get_close_matches(str(key), list(hints), 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return Fault(f"{path}.{key}", value, f"There is no such key here.{meant} Known are: {', '.join(hints)}.")


def hint(value: Any) -> str:
    """YAML reads 1e-4 as a text; the most common slip deserves its way out."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+e[-+]?\d+", value, re.IGNORECASE):
        mantissa, exponent = value.lower().split("e")
        return (
            f" YAML takes {value} for a text: write {mantissa}.0e{exponent if exponent[0] in '+-' else '+' + exponent}."
        )
    return ""
