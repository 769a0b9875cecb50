"""Inputs with their labels, as training needs them: read from the store, without anything of SQL left."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select

from deepft_lab.manifest import Entry
from deepft_lab.store import tables as t


class Example(msgspec.Struct):
    """An input. `labels` says 1 or 0 of the concepts that a person has decided on."""

    id: str
    name: str
    sha256: str
    width: int
    height: int
    labels: dict[str, int]

    def entry(self) -> Entry:
        return Entry(self.id, self.sha256, self.width, self.height, self.labels)

    def positives(self) -> list[str]:
        return [concept for concept, label in self.labels.items() if label]


def gather(
    connection: Connection, app: int, *, dataset: int | None = None, concepts: Sequence[str] | None = None
) -> list[Example]:
    """All inputs of a dataset, or else those that bear a label of the concepts. `concepts` also limits the labels."""
    labelled = (
        select(t.labels.c.input, t.labels.c.positive, t.concepts.c.name)
        .join(t.concepts, t.concepts.c.key == t.labels.c.concept)
        .where(t.concepts.c.app == app)
    )
    chosen = select(t.inputs).where(t.inputs.c.app == app, t.inputs.c.deleted.is_(None))
    if dataset is not None:
        members = select(t.dataset_inputs.c.input).where(t.dataset_inputs.c.dataset == dataset)
        labelled = labelled.where(t.labels.c.input.in_(members))
        chosen = chosen.where(t.inputs.c.key.in_(members))
    wanted = None if concepts is None else set(concepts)
    labels: dict[int, dict[str, int]] = {}
    for row in connection.execute(labelled):
        if wanted is None or row.name in wanted:
            labels.setdefault(row.input, {})[row.name] = int(row.positive)
    found = []
    for row in connection.execute(chosen.order_by(t.inputs.c.id)):
        if dataset is None and row.key not in labels:
            continue
        found.append(Example(row.id, row.name, row.sha256, row.width, row.height, labels.get(row.key, {})))
    return found
