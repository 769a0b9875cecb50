"""Buttons of a panel in the kernel, found by what stands on them."""

from __future__ import annotations

import ipywidgets


def button(panel: ipywidgets.Widget, text: str) -> ipywidgets.Button:
    pending = [panel]
    while pending:
        widget = pending.pop()
        if isinstance(widget, ipywidgets.Button) and widget.description == text:
            return widget
        pending.extend(getattr(widget, "children", ()))
    raise AssertionError(f"There is no button {text!r}.")
