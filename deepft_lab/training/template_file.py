"""A template's YAML file: read, checked key by key so that all faults come at once, hashed."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from deepft_lab import params
from deepft_lab.records import MODEL_TYPES, BrokenTemplate, Fault, Field, Template
from deepft_lab.training import recipes
from deepft_lab.training.recipes import agreement, checking
from deepft_lab.training.recipes.common import with_common
from deepft_lab.training.recipes.configuration_text import plain

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_GIVEN_BY_US = ("origin", "hash")
_MOST_BYTES = 1_000_000  # the largest of ours has 9 kB


def load(path: Path) -> Template | BrokenTemplate:
    """The template of a file, or the file with every fault. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    found = _read(content)
    if isinstance(found, Template):
        identity = msgspec.json.encode(found, order="deterministic")
        return msgspec.structs.replace(found, origin=origin(path), hash=hashlib.sha256(identity).hexdigest())
    return BrokenTemplate(origin=origin(path), faults=found)


def origin(path: Path) -> str:
    """The path as text that can be shown, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")


def _read(content: bytes) -> Template | list[Fault]:
    if len(content) > _MOST_BYTES:
        return [Fault("", None, f"It is longer than {_MOST_BYTES:,} bytes, so it is no template.")]
    try:
        document = plain(content)
    except ValueError as error:
        return [Fault("", None, f"It is no YAML that can be used: {error}")]
    if not isinstance(document, dict):
        return [Fault("", None, "It is no mapping of keys to values.")]
    faults = check(document)
    if faults:
        return faults
    template = msgspec.convert(document, Template)
    faults = agreement.check(template, recipes.read(template.recipe, template.type)) or [
        msgspec.structs.replace(fault, field=f"fields.{fault.field}")
        for fault in recipes.check(template, {})[1]  # such as those of a configuration that is a default
    ]
    return faults or msgspec.structs.replace(template, fields=with_common(template.fields, template.type))


def check(document: dict[Any, Any]) -> list[Fault]:
    """Every fault of a template's content, one a key."""
    faults = [
        Fault(key, document[key], "It is filled in when the file is read.") for key in _GIVEN_BY_US if key in document
    ]
    content = {key: value for key, value in document.items() if key not in _GIVEN_BY_US}
    apart = {"fields", "recipe"}  # checked more closely below
    faults += _record_faults(Template, {key: value for key, value in content.items() if key not in apart}, "", apart)
    for name in [content.get("id", ""), *_list(content.get("aliases"))]:
        if isinstance(name, str) and name and not _NAME.fullmatch(name):
            faults.append(Fault("id", name, "An id has 1 to 64 letters, digits, `-` and `_`."))
    faults += _field_faults(content.get("fields"))
    model_type = content.get("type")
    if isinstance(model_type, str) and model_type not in recipes.RECIPES:
        known = ", ".join(sorted(recipes.RECIPES))
        reason = "training for it is not built yet" if model_type in MODEL_TYPES else "there is no such type"
        faults.append(
            Fault("type", model_type, f"No model type can be trained under this name: {reason}. Known are: {known}.")
        )
    elif isinstance(model_type, str):
        faults += _recipe_faults(content.get("recipe"), model_type)
        names = {field.get("name") for field in _list(content.get("fields")) if isinstance(field, dict)}
        for name in recipes.NEEDED_FIELDS[model_type]:
            if not names & set(name.split(" or ")):
                faults.append(Fault(f"fields.{name}", None, "This field is missing; the training needs it."))
    return faults


def _field_faults(fields: Any) -> list[Fault]:
    if not isinstance(fields, list) or not fields:
        return [Fault("fields", fields, "It is a list of hyperparameters.")]
    faults: list[Fault] = []
    seen: set[str] = set()
    for index, item in enumerate(fields):
        place = f"fields.{item['name']}" if isinstance(item, dict) and item.get("name") else f"fields[{index}]"
        if not isinstance(item, dict):
            faults.append(Fault(place, item, "It is a mapping with name, type, default and help."))
            continue
        own = _record_faults(Field, item, f"{place}.")
        if not own:
            field = msgspec.convert(item, Field)
            _, reasons = params.check([field], {})
            own = [Fault(f"{place}.default", field.default, fault.reason) for fault in reasons]
            if field.name in seen:
                own.append(Fault(place, field.name, "The name stands twice."))
            seen.add(field.name)
        faults += own
    return faults


def _recipe_faults(recipe: Any, model_type: str) -> list[Fault]:
    if not isinstance(recipe, dict):
        return [Fault("recipe", recipe, "It is a mapping that names registered builders.")]
    kind = recipes.RECIPES[model_type]
    return checking.of_struct("recipe", kind, recipe) or checking.of_value("recipe", kind, recipe)


def _record_faults(kind: type, content: dict[Any, Any], prefix: str, apart: set[str] | None = None) -> list[Fault]:
    """Faults of a mapping that should become `kind`, each key by itself."""
    hints = checking.hints_of(kind)
    faults: list[Fault] = []
    for key, value in content.items():
        if key in hints:
            faults += checking.of_value(f"{prefix}{key}", hints[key], value)
        else:
            faults.append(checking.of_unknown(prefix.removesuffix("."), key, value, hints))
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in content and field.name not in (apart or ()):
            faults.append(Fault(f"{prefix}{field.name}", None, "This key is missing."))
    return faults


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
