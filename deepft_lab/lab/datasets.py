"""Datasets and their frozen versions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select

from deepft_lab import manifest
from deepft_lab.errors import Conflict
from deepft_lab.lab.access import find, find_app
from deepft_lab.lab.examples import gather
from deepft_lab.lab.names import check_id
from deepft_lab.records import Caller, CreateDataset, Dataset, DatasetVersion
from deepft_lab.store import tables as t

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

HELD_OUT = {"dev", "eval", "evaluation", "holdout", "test", "testing", "val", "valid", "validate", "validation"}


def datasets(lab: Lab, caller: Caller, *, owner: str, app: str) -> list[Dataset]:
    with lab.database.reading() as connection:
        return _records(connection, find_app(connection, owner, app)["key"])


def create_dataset(lab: Lab, caller: Caller, *, owner: str, app: str, body: CreateDataset) -> Dataset:
    """Raises InvalidRequest for the id, Conflict where it is taken."""
    check_id("a dataset", body.id)
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        taken = select(t.datasets.c.key).where(t.datasets.c.app == key, t.datasets.c.id == body.id)
        if connection.execute(taken).first():
            raise Conflict(f"There is a dataset {body.id!r} in this app already. Use it, or choose another id.")
        make_dataset(connection, key, body.id)
        record = next(record for record in _records(connection, key) if record.id == body.id)
    lab.hub.changed(owner, app, "datasets")
    return record


def freeze_dataset(lab: Lab, caller: Caller, *, owner: str, app: str, dataset: str) -> DatasetVersion:
    """Its id is the hash of its content: the same content gives the same version."""
    with lab.database.reading() as connection:
        key = find_app(connection, owner, app)["key"]
        dataset_key = find(connection, t.datasets, key, "dataset", dataset)["key"]
        found = gather(connection, key, dataset=dataset_key, regions="whole")
    if not found:
        raise Conflict(f"The dataset {dataset!r} has no inputs, so there is nothing to freeze.")
    labelled = {concept for example in found for concept in example.labels}
    within = {region.concept for example in found for region in example.regions if region.concept}
    concepts = sorted(labelled | within)
    content = manifest.dump(concepts, (example.entry() for example in found))
    version = keep_version(lab, caller, app=key, dataset=dataset, concepts=concepts, inputs=len(found), content=content)
    lab.hub.changed(owner, app, "datasets")
    return version


def dataset_versions(lab: Lab, caller: Caller, *, owner: str, app: str, dataset: str) -> list[DatasetVersion]:
    """Newest first."""
    with lab.database.reading() as connection:
        key = find_app(connection, owner, app)["key"]
        find(connection, t.datasets, key, "dataset", dataset)
        v = t.dataset_versions
        statement = select(v).where(v.c.app == key, v.c.dataset == dataset).order_by(v.c.key.desc())
        return [_version(row) for row in connection.execute(statement).mappings()]


# -- for the other use-cases --------------------------------------------------------------------


def make_dataset(connection: Connection, app: int, dataset: str) -> int:
    """The key of the dataset, which is created where it is not there."""
    found = connection.execute(
        select(t.datasets.c.key).where(t.datasets.c.app == app, t.datasets.c.id == dataset)
    ).scalar()
    if found is not None:
        return found
    row = {"app": app, "id": dataset, "created": time.time()}
    return connection.execute(insert(t.datasets).values(row)).inserted_primary_key[0]  # type: ignore[index]


def keep_version(
    lab: Lab, caller: Caller, *, app: int, dataset: str, concepts: list[str], inputs: int, content: bytes
) -> DatasetVersion:
    """Stores a manifest among the blobs, and its row where it is new."""
    v = t.dataset_versions
    with lab.database.writing() as connection:
        id = lab.blobs.write(content)
        same = select(v).where(v.c.app == app, v.c.dataset == dataset, v.c.id == id)
        if connection.execute(same).first() is None:
            row = {
                "app": app,
                "dataset": dataset,
                "id": id,
                "inputs": inputs,
                "concepts": concepts,
                "author": caller.user,
                "created": time.time(),
            }
            connection.execute(insert(v).values(row))
        return _version(connection.execute(same).mappings().one())


def validation_datasets(connection: Connection, app: int) -> set[str]:
    """Datasets that are for validation: by their name, or because a version was validated on them."""
    names = set(connection.execute(select(t.datasets.c.id).where(t.datasets.c.app == app)).scalars())
    v = t.dataset_versions
    used = (
        select(v.c.dataset)
        .distinct()
        .join(t.versions, t.versions.c.validation_version == v.c.id)
        .where(v.c.app == app, v.c.dataset != "")
    )
    return {name for name in names if name.lower() in HELD_OUT} | set(connection.execute(used).scalars())


def _records(connection: Connection, app: int) -> list[Dataset]:
    living = (
        select(t.dataset_inputs.c.dataset, func.count().label("inputs"))
        .join(t.inputs, t.inputs.c.key == t.dataset_inputs.c.input)
        .where(t.inputs.c.app == app, t.inputs.c.deleted.is_(None))
        .group_by(t.dataset_inputs.c.dataset)
    )
    inputs = {row.dataset: row.inputs for row in connection.execute(living)}
    v = t.dataset_versions
    frozen = select(v.c.dataset, func.count().label("versions")).where(v.c.app == app).group_by(v.c.dataset)
    versions = {row.dataset: row.versions for row in connection.execute(frozen)}
    rows = connection.execute(select(t.datasets).where(t.datasets.c.app == app).order_by(t.datasets.c.id)).mappings()
    return [
        Dataset(
            id=row["id"],
            inputs=inputs.get(row["key"], 0),
            created=row["created"],
            versions=versions.get(row["id"], 0),
        )
        for row in rows
    ]


def _version(row) -> DatasetVersion:
    return DatasetVersion(
        id=row["id"],
        dataset=row["dataset"],
        inputs=row["inputs"],
        concepts=row["concepts"],
        created=row["created"],
    )
