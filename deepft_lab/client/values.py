"""Hyperparameters on their way to the server."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault


def sendable(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are. Raises InvalidParams for numbers that JSON cannot carry: they would arrive as none."""
    faults = [
        Fault(name, str(value), "It is a number, but neither nan nor inf.")
        for name, value in values.items()
        if not _is_finite(value)
    ]
    if faults:
        words = "; ".join(f"{fault.field} = {fault.value}: {fault.reason}" for fault in faults)
        raise InvalidParams(f"The hyperparameters cannot be sent. {words}", faults)
    return dict(values)


def _is_finite(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, float) or math.isfinite(value)
