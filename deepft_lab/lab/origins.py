"""Versions that a training begins from: the backbone of an embedding classifier, the version that it goes on from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection

from deepft_lab.errors import NotFound
from deepft_lab.lab.versions import find_version
from deepft_lab.records import Fault
from deepft_lab.training import recipes
from deepft_lab.training.recipes import network

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

CARD = "model.json"  # what a model is, in its folder

# An embedding classifier stands on any of these; a version of its own kind has no embeddings of its own.
BACKBONES = ("visual-classifier", "visual-embedder")


def base(
    lab: Lab, connection: Connection, owner: str, app: str, model: str, values: Mapping[str, Any], faults: list[Fault]
) -> Path | None:
    """The model folder that `base_model` ("model/v3") names; None where it is empty. Adds a fault where it is wrong."""
    wanted = values.get("base_model")
    found = _find(lab, connection, owner, app, "base_model", wanted, "", BACKBONES, faults)
    if found is None or _plan(_card(found)) is not None:
        return found
    reason = f"{wanted} was trained by another release of DeepFT Lab, whose recipe is not known here: train it again."
    faults.append(Fault("base_model", wanted, reason))
    return None


def resumed(
    lab: Lab,
    connection: Connection,
    owner: str,
    app: str,
    model: Mapping[str, Any],
    values: Mapping[str, Any],
    faults: list[Fault],
) -> Path | None:
    """The model folder that `resume_from` ("v3" of this model, or "model/v3") names: a version of the same type."""
    wanted = values.get("resume_from")
    return _find(lab, connection, owner, app, "resume_from", wanted, model["id"], (model["type"],), faults)


def check_network(model_folder: Path, plan: recipes.Base, wanted: Any, faults: list[Fault]) -> None:
    """Adds a fault where the version that `resume_from` names has another network than a settled recipe.

    Only names are compared here; sizes that differ are told by the worker, which makes the network.
    """
    card = _card(model_folder)
    old = _plan(card)
    if old is None:
        return
    theirs, ours = network.names(old), network.names(plan)
    for part, name in ours.items():
        if theirs.get(part) != name:
            reason = (
                f"Its network is another: {part} {theirs.get(part, 'none')} ({card.get('template')}), here {name}. "
                "Choose a version with the same network, or leave the field empty."
            )
            faults.append(Fault("resume_from", wanted, reason))
            return


def keep(model: Path, place: Path) -> None:
    """The files of a model under another folder: links where the disk allows, copies elsewhere."""
    shutil.copytree(model, place, copy_function=_link)


def _card(model_folder: Path) -> dict[str, Any]:
    return msgspec.json.decode((model_folder / CARD).read_bytes())


def _plan(card: dict[str, Any]) -> recipes.Base | None:
    """The recipe of a model; None where another release wrote it."""
    try:
        return recipes.plan(card["recipe"], card["type"], card["values"])
    except (msgspec.ValidationError, KeyError):
        return None


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _find(
    lab: Lab,
    connection: Connection,
    owner: str,
    app: str,
    field: str,
    wanted: Any,
    default_model: str,
    types: tuple[str, ...],
    faults: list[Fault],
) -> Path | None:
    if not isinstance(wanted, str) or not wanted.strip():  # a wrong type is a fault of the values already
        return None
    model, slash, version = wanted.strip().rpartition("/")
    model = model or default_model
    if not model or not version or (slash and not wanted.strip().partition("/")[0]):
        faults.append(Fault(field, wanted, "It is a version of this app, written as model/v3."))
        return None
    try:
        row = find_version(connection, owner, app, model, version)
    except NotFound as error:
        faults.append(Fault(field, wanted, error.message))
        return None
    folder = lab.job_folder(row["job"]) / "model"
    if row["type"] not in types:
        reason = f"{model}/{version} is a {row['type']}; here a {' or '.join(types)} is needed."
    elif row["state"] != "trained":
        reason = f"{model}/{version} is {row['state']}, not trained."
    elif not (folder / CARD).is_file():
        reason = f"The files of {model}/{version} are gone ({folder})."
    else:
        return folder
    faults.append(Fault(field, wanted, reason))
    return None
