"""Records from what a request carries. Every fault is gathered and told in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from deepft_lab.errors import InvalidRequest
from deepft_lab.records import Fault

R = TypeVar("R", bound=msgspec.Struct)

# What Jupyter's own front end and login add to any query.
FOREIGN = frozenset({"token", "_xsrf", "no_track_activity", "_"})


def query(kind: type[R], arguments: Mapping[str, list[bytes]]) -> R:
    """A record from a query string; the last value of a name counts."""
    values = {}
    for name, given in arguments.items():
        if name in FOREIGN or name.isdecimal():  # a bare number is JupyterLab's way around caches
            continue
        try:
            values[name] = given[-1].decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"The value of {name!r} in the query is not UTF-8.") from None
    return _convert(kind, values, strict=False)


def body(kind: type[R], content: bytes) -> R:
    """A record from a JSON body. An empty body is an empty object."""
    try:
        values = msgspec.json.decode(content or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {_name_of(values)}.")
    return _convert(kind, values, strict=True)


def _convert(kind: type[R], values: dict[str, Any], strict: bool) -> R:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    faults = [
        Fault(name, None, f"There is no {name!r} here. Known are: {', '.join(fields) or 'none'}.")
        for name in values
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in values:
            if field.required:
                faults.append(Fault(name, None, "It is needed."))
            continue
        try:
            values[name] = msgspec.convert(values[name], field.type, strict=strict)
        except (msgspec.ValidationError, RecursionError) as error:
            faults.append(Fault(name, _short(values[name]), _words(str(error))))
    if faults:
        raise InvalidRequest("The request cannot be understood: " + _sentence(faults), faults)
    return kind(**values)


def _sentence(faults: Iterable[Fault]) -> str:
    return " ".join(f"{fault.field}: {fault.reason}" for fault in faults)


def _words(reason: str) -> str:
    """msgspec's reason as a sentence; `$[1].data` becomes "at [1].data"."""
    reason = re.sub(r" - at `\$?(.*?)`$", lambda m: f" at {m.group(1)}" if m.group(1) else "", reason)
    return reason.rstrip(".") + "."


def _short(value: Any) -> Any:
    """The value as it may travel back: not a whole picture."""
    return value if isinstance(value, (int, float, bool)) or len(str(value)) <= 200 else str(value)[:200] + "…"


def _name_of(value: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "a boolean"}.get(type(value), "a number")
