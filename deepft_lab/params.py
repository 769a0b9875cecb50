"""Hyperparameters: what a field allows, and one check that reports every fault at once."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from deepft_lab.records import Fault, Field


def check(fields: Iterable[Field], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Completes `values` with defaults and lists every fault: unknown names first, then one a field at most.

    A value that has a fault stands in the result as it was given, so that a form can go on showing it.
    """
    known = {field.name: field for field in fields}
    faults = [
        Fault(
            name,
            value,
            f"There is no hyperparameter {name!r} here.{meant(name, known)} Known are: {', '.join(sorted(known))}.",
        )
        for name, value in values.items()
        if name not in known
    ]
    complete: dict[str, Any] = {}
    for name, field in known.items():
        given = values.get(name, field.default)
        complete[name], reason = _check_value(field, given)
        if reason:
            faults.append(Fault(name, given, reason))
    return complete, faults


def known(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values whose fields there are: a template may have lost one since a model was saved."""
    names = {field.name for field in fields}
    return {name: value for name, value in values.items() if name in names}


def meant(name: str, known: Iterable[str]) -> str:
    """The known name that somebody may have meant, as the next sentence of a reason; empty where none is close."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]}?" if close else ""


def defaults(fields: Iterable[Field]) -> dict[str, Any]:
    """Every field's default by its name."""
    return {field.name: field.default for field in fields}


def effective_lrate(values: Mapping[str, Any], ranks: int = 1) -> float | None:
    """Learning rate of a step: `per_item_lrate` x batch size x ranks, or `lrate`, which is per minibatch."""
    if _is_number(values.get("lrate")):
        return float(values["lrate"])
    if _is_number(values.get("per_item_lrate")) and _is_number(values.get("batch_size")):
        return float(values["per_item_lrate"]) * float(values["batch_size"]) * max(ranks, 1)
    return None


def items_per_epoch(values: Mapping[str, Any], examples: int) -> int:
    """Inputs that an epoch goes through: all, unless `num_items_per_epoch` (0: all) or `min_samples_per_epoch` say more
    or fewer."""
    fixed, least = values.get("num_items_per_epoch"), values.get("min_samples_per_epoch")
    if isinstance(fixed, int) and fixed > 0 and examples:
        return fixed
    return max(examples, least) if isinstance(least, int) and examples else examples


def steps_per_epoch(values: Mapping[str, Any], examples: int | None, ranks: int = 1) -> int | None:
    """Optimizer steps of one epoch over `examples` inputs; the last batch may be smaller."""
    batch_size = values.get("batch_size")
    if not examples or not isinstance(batch_size, (int, float)) or isinstance(batch_size, bool) or batch_size < 1:
        return None
    return math.ceil(items_per_epoch(values, examples) / (int(batch_size) * max(ranks, 1)))


def _check_value(field: Field, value: Any) -> tuple[Any, str]:
    """The value in its type, and a reason where it is wrong."""
    if value is None:
        if field.type == "choice" and "None" in field.choices:
            return "None", ""  # Python's None for the choice of that name
        if field.nullable:
            return None, ""
        return value, f"A value is needed; the default is {field.default!r}."
    if field.type == "boolean":
        return value, "" if isinstance(value, bool) else "It is either true or false."
    if field.type == "text":
        return value, "" if isinstance(value, str) else "It is a text."
    if field.type == "choice":
        if isinstance(value, bool) and str(value).lower() in field.choices:
            return str(value).lower(), ""  # and true and false, as other services have them
        if value in field.choices:
            return value, ""
        return value, f"It is one of {', '.join(field.choices)}."
    if field.type in ("integers", "numbers"):
        if _is_number(value):
            value = [value]  # a list of one, as people write it
        if not isinstance(value, (list, tuple)):
            return value, "It is a list of numbers."
        single = "integer" if field.type == "integers" else "number"
        checked = [_check_number(field, single, item) for item in value]
        reason = next((reason for _, reason in checked if reason), "")
        return [item for item, _ in checked], reason
    return _check_number(field, field.type, value)


def _check_number(field: Field, kind: str, value: Any) -> tuple[Any, str]:
    if not _is_number(value):
        return value, f"It is a number{_range_words(field)}."
    if kind == "integer":
        if isinstance(value, float) and not value.is_integer():
            return value, f"It is a whole number{_range_words(field)}."
        value = int(value)
    too_low = field.min is not None and value < field.min
    too_high = field.max is not None and value > field.max
    if too_low or too_high:
        words = _range_words(field)
        return value, f"It must {'lie' if words.startswith(' between') else 'be'}{words.replace(' of ', ' ')}."
    if field.step and not _on_step(value, field.min or 0, field.step):
        return value, f"It goes in steps of {field.step:.12g} from {field.min or 0:.12g}."
    return value, ""


def _range_words(field: Field) -> str:
    if field.min is not None and field.max is not None:
        return f" between {field.min:.12g} and {field.max:.12g}"
    if field.min is not None:
        return f" of at least {field.min:.12g}"
    if field.max is not None:
        return f" of at most {field.max:.12g}"
    return ""


def _on_step(value: float, start: float, step: float) -> bool:
    steps = (value - start) / step
    return math.isfinite(steps) and math.isclose(steps, round(steps), abs_tol=1e-6)


def _is_number(value: Any) -> bool:
    """A number that a float can hold: neither nan nor inf, nor an integer of 400 digits."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
