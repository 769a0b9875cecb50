"""Writes the TypeScript types of the wire: `python -m deepft_lab.server.typescript` renews `widgets/src/api.ts`.

Every record that the table of operations reaches becomes an interface with the same (snake_case) names, and the table
itself becomes `OPERATIONS` with maps from an operation's name to its answer, body, query and path parameters.
A field with a default may be left out where the record is sent; in an answer it is always there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, get_args

from msgspec import inspect

from deepft_lab import api, records

TARGET = Path(__file__).parents[2] / "widgets" / "src" / "api.ts"

HEAD = "// Generated from deepft_lab/api.py by `python -m deepft_lab.server.typescript`. Do not edit.\n"

# Unions that have a name of their own in records.py.
ALIASES = {"State": records.State, "Role": records.Role}

# What does not stand in the table: the form of an error, and the messages of the stream (`event:` names the kind).
TAIL = """\
/** The body of every answer that is no success. */
export interface ErrorBody {
  error: string;
  message: string;
  faults: Fault[];
}

/** The messages of the stream `events_stream` by their kind. */
export interface Messages {
  hello: Record<string, never>;
  version: ModelVersion;
  event: { job: string; owner: string; app: string; model: string; version: string; event: Event };
  changed: { owner: string; app: string; what: string };
}
"""


def generate() -> str:
    """The whole module."""
    sent = _reachable([o.body for o in api.OPERATIONS.values()] + [o.query for o in api.OPERATIONS.values()])
    extra = [records.Fault, records.Event, records.Preview]
    answered = _reachable([*(o.answer for o in api.OPERATIONS.values()), *extra])
    structs = {**answered, **sent}
    parts = [HEAD, f"export const BASE = {_quote(api.BASE)};\n"]
    parts += [f"export type {name} = {_union(get_args(alias))};\n" for name, alias in ALIASES.items()]
    parts += [_interface(info, optional=name in sent) for name, info in sorted(structs.items())]
    parts += [TAIL, _table(), *_maps()]
    return "\n".join(parts)


def main() -> None:
    """Writes the file; with `--check` says whether it is current."""
    content = generate()
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.is_file() and TARGET.read_text() == content else f"{TARGET.name} is not current.")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(content)


def _reachable(types: list[Any]) -> dict[str, inspect.StructType]:
    """Every struct that these types lead to, by name."""
    found: dict[str, inspect.StructType] = {}
    pending: list[Any] = [inspect.type_info(kind) for kind in types if kind is not None]
    while pending:
        info = pending.pop()
        if isinstance(info, inspect.StructType):
            if info.cls.__name__ in found:
                continue
            found[info.cls.__name__] = info
            pending += [field.type for field in info.fields]
        elif isinstance(info, inspect.UnionType):
            pending += info.types
        elif isinstance(info, inspect.ListType):
            pending.append(info.item_type)
        elif isinstance(info, inspect.DictType):
            pending.append(info.value_type)
    return found


def _interface(info: inspect.StructType, optional: bool) -> str:
    lines = []
    words = info.cls.__dict__.get("__doc__")
    if words:
        lines.append("/** " + " ".join(words.split()) + " */")
    lines.append(f"export interface {info.cls.__name__} {{")
    for field in info.fields:
        mark = "?" if optional and not field.required else ""
        lines.append(f"  {field.encode_name}{mark}: {_type(field.type)};")
    return "\n".join([*lines, "}\n"])


def _type(info: Any) -> str:
    """The TypeScript of a type that msgspec has inspected."""
    if isinstance(info, inspect.StructType):
        return info.cls.__name__
    if isinstance(info, inspect.UnionType):
        return " | ".join(dict.fromkeys(_type(part) for part in info.types))
    if isinstance(info, inspect.ListType):
        item = _type(info.item_type)
        return f"({item})[]" if " " in item else f"{item}[]"
    if isinstance(info, inspect.DictType):
        return f"Record<string, {_type(info.value_type)}>"
    if isinstance(info, inspect.LiteralType):
        return next((n for n, a in ALIASES.items() if set(get_args(a)) == set(info.values)), _union(info.values))
    if isinstance(info, (inspect.IntType, inspect.FloatType)):
        return "number"
    if isinstance(info, (inspect.StrType, inspect.BytesType)):
        return "string"  # bytes travel as base64
    if isinstance(info, inspect.BoolType):
        return "boolean"
    if isinstance(info, inspect.NoneType):
        return "null"
    if isinstance(info, inspect.AnyType):
        return "unknown"
    if isinstance(info, inspect.TupleType):
        return "[" + ", ".join(_type(item) for item in info.item_types) + "]"
    raise TypeError(f"There is no TypeScript for {info!r}.")


def _table() -> str:
    rows = []
    for name, operation in api.OPERATIONS.items():
        cells = {key: getattr(operation, key) for key in ("verb", "path", "kind", "role")}
        rows.append(f"  {name}: {{ " + ", ".join(f"{key}: {_quote(value)}" for key, value in cells.items()) + " },")
    return "\n".join(
        ["export const OPERATIONS = {", *rows, "} as const;\n\nexport type Name = keyof typeof OPERATIONS;\n"]
    )


def _maps() -> list[str]:
    """One interface each for answers, bodies, queries and path parameters: from an operation's name to its type."""
    operations = api.OPERATIONS
    return [
        _map("Answers", {n: _of(o.answer) if o.answer is not None else "unknown" for n, o in operations.items()}),
        _map("Bodies", {n: _of(o.body) for n, o in operations.items() if o.body}),
        _map("Queries", {n: _of(o.query) for n, o in operations.items() if o.query}),
        _map("Parameters", {n: _parameters(o.parameters) for n, o in operations.items()}),
    ]


def _map(title: str, rows: dict[str, str]) -> str:
    return "\n".join([f"export interface {title} {{", *(f"  {name}: {kind};" for name, kind in rows.items()), "}\n"])


def _of(kind: Any) -> str:
    return _type(inspect.type_info(kind))


def _parameters(names: list[str]) -> str:
    return "{ " + "; ".join(f"{name}: string" for name in names) + " }" if names else "Record<string, never>"


def _union(values: Any) -> str:
    return " | ".join(_quote(value) for value in values)


def _quote(value: Any) -> str:
    return "'" + value + "'" if isinstance(value, str) and "'" not in value else json.dumps(value)


if __name__ == "__main__":
    main()
