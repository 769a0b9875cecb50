"""A list of records that shows itself as a table in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from deepft_lab.client import shown

T = TypeVar("T")

COLUMNS = {
    "Template": ("id", "name", "type", "good_for", "duration"),
    "Concept": ("name", "positives", "negatives"),
    "Dataset": ("id", "inputs", "versions"),
    "DatasetVersion": ("id", "dataset", "inputs", "concepts"),
    "Input": ("id", "name", "width", "height", "datasets", "labels", "regions", "metadata"),
    "Usage": ("user", "app", "model", "version", "attempt", "started", "seconds", "gpu_hours", "cost"),
    "App": ("id", "owner", "inputs", "concepts", "datasets", "models"),
    "Model": ("id", "type", "template", "versions", "concepts"),
    "ModelVersion": ("model", "id", "state", "progress", "metrics", "reason"),
    "Event": ("seq", "attempt", "step", "kind", "data"),
}
TIMES = frozenset({"started", "ended", "created", "time"})


class Table(list[T]):
    """A plain list, with a title and a good look."""

    def __init__(self, items: Iterable[T], title: str) -> None:
        super().__init__(items)
        self.title = title

    def _repr_html_(self) -> str:
        records: list[Any] = [getattr(item, "record", item) for item in self[: shown.ROWS]]
        if not records:
            return shown.table(f"{self.title}: none", (), ())
        known = COLUMNS.get(type(records[0]).__name__)
        columns = known or tuple(field.name for field in msgspec.structs.fields(type(records[0])))
        rows = [[_cell(name, getattr(record, name)) for name in columns] for record in records]
        return shown.table(f"{self.title}: {len(self)}", columns, rows, len(self) - len(records))


def _cell(name: str, value: Any) -> Any:
    if name in TIMES and isinstance(value, float):
        return shown.when(value)
    if name == "labels":
        return [label.concept if label.positive else f"not {label.concept}" for label in value]
    if name == "regions":
        counts = Counter(region.concept or "any" if not region.ignored else "ignored" for region in value)
        return [f"{concept} x {count}" if count > 1 else concept for concept, count in sorted(counts.items())]
    if isinstance(value, dict):
        return [f"{key}: {shown.words(item)}" for key, item in value.items()]
    return value
