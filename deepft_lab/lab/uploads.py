"""Uploads: settings first, then one file at a time. The same file twice is one input."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from deepft_lab.errors import BadImage, NotFound
from deepft_lab.lab.access import find_app
from deepft_lab.lab.datasets import make_dataset
from deepft_lab.lab.inputs import find_input, merge_metadata, put_in_dataset, split_warnings
from deepft_lab.lab.labels import make_concepts, put_labels
from deepft_lab.lab.names import base_name, check_id, clean_concept, clean_concepts, last_folder
from deepft_lab.records import Caller, CreateUpload, Upload, UploadedFile, UploadQuery
from deepft_lab.store import tables as t
from deepft_lab.store.blobs import hash_file

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

ID_DIGITS = 24  # of the SHA-256


def create_upload(lab: Lab, caller: Caller, *, owner: str, app: str, body: CreateUpload) -> Upload:
    """Creates the dataset and the concepts that the settings name, where they are not there."""
    if body.dataset is not None:
        check_id("a dataset", body.dataset)
    settings = msgspec.structs.replace(body, concepts=clean_concepts(body.concepts))
    id = uuid.uuid4().hex
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        if not settings.dry_run:
            if settings.dataset is not None:
                make_dataset(connection, key, settings.dataset)
            make_concepts(connection, key, settings.concepts)
        row = {
            "id": id,
            "app": key,
            "settings": msgspec.to_builtins(settings),
            "author": caller.user,
            "created": time.time(),
        }
        connection.execute(insert(t.uploads).values(row))
    if not settings.dry_run and (settings.dataset or settings.concepts):
        lab.hub.changed(owner, app, "datasets")
        lab.hub.changed(owner, app, "concepts")
    return Upload(id=id, settings=settings)


def upload_file(
    lab: Lab, caller: Caller, *, owner: str, app: str, upload: str, query: UploadQuery, path: Path
) -> UploadedFile:
    """Takes the file at `path` over: it is gone afterwards, whatever comes of it. Raises StoreFull and NotFound;
    a file that is no picture is an answer of outcome `error`."""
    path = Path(path)
    try:
        return _take(lab, caller, owner, app, upload, query.name, path)
    finally:
        path.unlink(missing_ok=True)


def _take(lab: Lab, caller: Caller, owner: str, app: str, upload: str, path_name: str, path: Path) -> UploadedFile:
    name = base_name(path_name)
    with lab.database.reading() as connection:
        key = find_app(connection, owner, app)["key"]
        settings = _settings(connection, key, upload)
    concepts, warnings = list(settings.concepts), []
    if settings.concepts_from_folders:
        folder = last_folder(path_name)
        if folder is None:
            warnings.append("The file lies in no folder, so it gets no concept from one.")
        else:
            concepts.append(clean_concept(folder))
    sha256, size = hash_file(path)
    id = sha256[:ID_DIGITS]
    with lab.database.reading() as connection:
        known = _find(connection, key, id)
    info: dict[str, Any] = {}
    if known is None:
        try:
            width, height, image_format, plain = lab.pictures.probe(path)
        except BadImage as error:
            return UploadedFile(name=name, outcome="error", reason=error.message)
        info = {"width": width, "height": height, "format": image_format, "plain": plain}
    outcome: Literal["added", "duplicate"]
    if settings.dry_run:
        outcome = "added" if known is None or known["deleted"] else "duplicate"
        return UploadedFile(name=name, outcome=outcome, input=id, warnings=warnings)

    new_blob = False
    try:
        with lab.database.writing() as connection:
            key = find_app(connection, owner, app)["key"]
            known = _find(connection, key, id)
            if known is None and not info:
                raise NotFound(f"The input {id} was removed while {name!r} was uploaded. Upload it again.")
            # Inside the write lock, so that no one who deletes an app takes the file away between.
            new_blob = lab.blobs.adopt(path, sha256)
            if known is None:
                row = {
                    "app": key,
                    "id": id,
                    "sha256": sha256,
                    "name": name,
                    "bytes": size,
                    "created": time.time(),
                    "author": caller.user,
                    "metadata": {},
                    **info,
                }
                connection.execute(insert(t.inputs).values(row))
                outcome = "added"
            elif known["deleted"]:
                connection.execute(update(t.inputs).where(t.inputs.c.key == known["key"]).values(deleted=None))
                outcome = "added"
            else:
                outcome = "duplicate"
            warnings += _apply(connection, caller, key, find_input(connection, key, id), settings, concepts)
    except BaseException:
        if new_blob:
            lab.blobs.remove(sha256)
        raise
    for what in ("inputs", *(["datasets"] if settings.dataset else []), *(["concepts"] if concepts else [])):
        lab.hub.changed(owner, app, what)
    return UploadedFile(name=name, outcome=outcome, input=id, warnings=warnings)


def _apply(
    connection: Connection, caller: Caller, app: int, row: RowMapping, settings: CreateUpload, concepts: list[str]
) -> list[str]:
    """The upload's settings on one input, new or not."""
    if settings.metadata:
        merge_metadata(connection, row, settings.metadata)
    if concepts:
        put_labels(connection, caller, app=app, inputs=[row["key"]], actions=dict.fromkeys(concepts, "positive"))
    if settings.dataset is None:
        return []
    put_in_dataset(connection, app, settings.dataset, [row["key"]])
    return split_warnings(connection, app, [row["key"]])


def _settings(connection: Connection, app: int, upload: str) -> CreateUpload:
    found = select(t.uploads.c.settings).where(t.uploads.c.id == upload, t.uploads.c.app == app)
    settings = connection.execute(found).scalar()
    if settings is None:
        raise NotFound(f"There is no upload {upload!r} in this app. Begin one first.")
    return msgspec.convert(settings, CreateUpload)


def _find(connection: Connection, app: int, id: str) -> RowMapping | None:
    return connection.execute(select(t.inputs).where(t.inputs.c.app == app, t.inputs.c.id == id)).mappings().first()
