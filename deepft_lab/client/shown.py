"""How things look in a notebook: small HTML tables. Everything from outside is escaped here."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

ROWS = 50  # shown at most


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]], more: int = 0) -> str:
    """A titled table. `more`: how many rows there are beyond those given."""
    cells = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(words(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    rest = f"<div>… and {more} more</div>" if more > 0 else ""
    return (
        f"<div><b>{escape(title)}</b><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>{rest}</div>"
    )


def pairs(title: str, values: dict[str, Any]) -> str:
    """A titled table of names and values."""
    return table(title, ("", ""), values.items())


def words(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(words(item) for item in value)
    return str(value)


def when(seconds: float) -> str:
    """A time in the reader's zone."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
