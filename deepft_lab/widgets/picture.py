"""Pictures of a panel's last state, as small SVG: text lines, and a curve. Everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH = 640
LINE = 20  # pixels from line to line
PLOT_HEIGHT = 140
POINTS = 300  # of a curve, at most
_STYLE = "font-family:system-ui,sans-serif;font-size:13px"


def lines(title: str, texts: Sequence[str]) -> str:
    """A title and lines of text."""
    return _document(title, texts, "", 0)


def curve(title: str, texts: Sequence[str], values: Sequence[tuple[float, float]], name: str) -> str:
    """A title, lines of text, and below them a curve through (x, y)."""
    points = [(x, y) for x, y in values if y == y]
    if len(points) < 2:
        return lines(title, texts)
    top = 34 + LINE * len(texts)
    every = max(1, len(points) // POINTS)
    shown = [*points[::every], points[-1]]
    low, high = min(y for _, y in shown), max(y for _, y in shown)
    first, last = shown[0][0], shown[-1][0]
    left, width = 60, WIDTH - 76

    def place(x: float, y: float) -> str:
        right = (x - first) / ((last - first) or 1)
        up = (y - low) / ((high - low) or 1)
        return f"{left + right * width:.1f},{top + 10 + (1 - up) * (PLOT_HEIGHT - 30):.1f}"

    path = " ".join(place(x, y) for x, y in shown)
    bottom = top + PLOT_HEIGHT - 16
    marks = [
        _text(left - 6, top + 14, number(high), "end"),
        _text(left - 6, bottom, number(low), "end"),
        _text(left, bottom + 16, f"{name}, step {number(first)} to {number(last)}", "start"),
    ]
    frame = f'<path d="M{left},{top + 6}V{bottom}H{left + width}" fill="none" stroke="#9e9e9e"/>'
    line = f'<polyline points="{path}" fill="none" stroke="#1976d2" stroke-width="1.5"/>'
    return _document(title, texts, frame + line + "".join(marks), PLOT_HEIGHT + 10)


def number(value: Any) -> str:
    """At most three digits that mean something."""
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def pairs(values: Mapping[str, Any]) -> str:
    """`accuracy 0.954 · f1_macro 0.951`."""
    return " · ".join(f"{name} {number(value)}" for name, value in values.items())


def _document(title: str, texts: Sequence[str], drawing: str, drawing_height: int) -> str:
    height = 34 + LINE * len(texts) + drawing_height
    written = [_text(12, 24, title, "start", "font-weight:600")]
    written += [_text(12, 24 + LINE * (place + 1), text, "start") for place, text in enumerate(texts)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" style="{_STYLE};max-width:100%">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(written)}{drawing}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    clean = "".join(character if character.isprintable() else " " for character in text)
    shown = clean if len(clean) <= 100 else clean[:99] + "…"
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="#212121" style="{style}">{escape(shown)}</text>'
