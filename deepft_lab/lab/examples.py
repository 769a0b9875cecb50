"""Inputs with their labels and regions, as training needs them: read from the store, without anything of SQL left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, select

from deepft_lab.lab import region_rows
from deepft_lab.manifest import Entry
from deepft_lab.records import Region
from deepft_lab.store import tables as t

# What of the regions is read: nothing, their boxes alone, or all with polygons and masks.
Depth = Literal["none", "boxes", "whole"]


class Example(msgspec.Struct):
    """An input. `labels` says 1 or 0 of the concepts that a person has decided on."""

    id: str
    name: str
    sha256: str
    width: int
    height: int
    labels: dict[str, int]
    regions: list[Region] = []
    undrawn: list[str] = []  # concepts that a label says are there, and that no region shows

    def entry(self) -> Entry:
        """Regions without ids and in an order of their own, so that the same content gives the same bytes."""
        regions = sorted((msgspec.structs.replace(region, id=0) for region in self.regions), key=_order)
        return Entry(self.id, self.sha256, self.width, self.height, self.labels, regions)

    def positives(self) -> list[str]:
        return [concept for concept, label in self.labels.items() if label]


def gather(
    connection: Connection,
    app: int,
    *,
    dataset: int | None = None,
    concepts: Sequence[str] | None = None,
    regions: Depth = "none",
) -> list[Example]:
    """All inputs of a dataset, or else those that bear one of the concepts: by a label, or, where regions are read, by
    a region that is not ignored. `concepts` also limits labels and regions; an ignored region may be of none."""
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
    found_regions = {} if regions == "none" else _regions(connection, chosen, wanted, regions)
    found = []
    for row in connection.execute(chosen.order_by(t.inputs.c.id)):
        of_input = found_regions.get(row.key, [])
        bears = row.key in labels if regions == "none" else any(_has_extent(region) for region in of_input)
        if dataset is None and not bears:
            continue
        found.append(Example(row.id, row.name, row.sha256, row.width, row.height, labels.get(row.key, {}), of_input))
    return found


def _regions(connection: Connection, chosen: Any, wanted: set[str] | None, depth: Depth) -> dict[int, list[Region]]:
    of = chosen.with_only_columns(t.inputs.c.key)
    standing = region_rows.columns(depth == "whole", shapes=depth == "whole")
    standing = standing.where(t.regions.c.input.in_(of), t.regions.c.removed.is_(None))
    found: dict[int, list[Region]] = {}
    for row in connection.execute(standing):
        if wanted is None or row.name in wanted or (row.name is None and row.ignored):
            found.setdefault(row.input, []).append(region_rows.record(row))
    return found


def _has_extent(region: Region) -> bool:
    return region.kind != "point" and not region.ignored


def _order(region: Region) -> Any:
    mask = region.mask
    pixels = ("",) if mask is None else (mask.counts, mask.height, mask.width)
    return region.concept, region.kind, region.box, region.polygons, pixels, region.ignored
