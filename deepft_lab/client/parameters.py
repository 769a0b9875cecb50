"""Parameter files: the set-up of a model as YAML, to keep beside code, to edit, and to take from other services.

    model.save_params("params.yaml")
    app.create_model("again", params="params.yaml", num_epochs=20)

Files of Clarifai's SDK are read too (`train_params` with its names of templates; `dataset_id`, `inference_params`).
What means something else here, or nothing, is told by a warning each (counterparts.py).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deepft_lab import spec
from deepft_lab.client import counterparts
from deepft_lab.client.values import sendable
from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault

if TYPE_CHECKING:
    from deepft_lab.client.model import Model

ParameterFile = str | os.PathLike[str] | Mapping[str, Any]

_OURS = ("type", "template", "concepts", "values")
_THEIRS = (
    "dataset_id",
    "dataset_version_id",
    "concepts",
    "train_params",
    "inference_params",
    "concepts_mutually_exclusive",
    "resume_from_model",
)
_MOST = 1_000_000  # bytes


class Parameters(NamedTuple):
    """What a file says. None: nothing."""

    type: str | None = None
    template: str | None = None
    concepts: list[str] | None = None
    values: dict[str, Any] = {}


def read(source: ParameterFile | None, beside: Collection[str] = ()) -> Parameters:
    """The set-up that a file holds, or a mapping as a file would. Raises InvalidParams with every fault.

    `beside`: hyperparameters that are given besides the file, and so need no counterpart of what it says of them.
    """
    if source is None:
        return Parameters()
    name, document = _document(source)
    if not isinstance(document, Mapping):
        raise _refusal(name, [Fault("params", type(document).__name__, f"It is a mapping of {', '.join(_OURS)}.")])
    faults: list[Fault] = []
    theirs = "train_params" in document
    known = _THEIRS if theirs else _OURS
    for key in document:
        if key not in known:
            faults.append(Fault(str(key), document[key], f"There is no such key here. Known are: {', '.join(known)}."))
    values = document.get("train_params" if theirs else "values") or {}
    if not isinstance(values, Mapping):
        faults.append(Fault("train_params" if theirs else "values", values, "It is a mapping of names to values."))
        values = {}
    values = {str(key): value for key, value in values.items() if not (theirs and value is None)}  # null: no default
    template = values.pop("template", None) if theirs else document.get("template")
    kind, concepts = document.get("type"), document.get("concepts") or None
    notes: list[str] = []
    if theirs:
        values |= _from_above(document, values)
        kind = counterparts.type_of(template, values)
        values, notes, wrong = counterparts.of(template, values, beside)
        faults += wrong
        notes += _of_no_model(document)
    faults += [Fault(key, value, "It is a text.") for key, value in (("type", kind), ("template", template))
               if not isinstance(value, str | None)]  # fmt: skip
    if concepts is not None and not (isinstance(concepts, list) and all(isinstance(each, str) for each in concepts)):
        faults.append(
            Fault("concepts", concepts, "It is a list of names; write those that look like numbers in quotes.")
        )
    if faults:
        raise _refusal(name, faults)
    for note in notes:
        warnings.warn(note, stacklevel=3)  # at the line of whoever called create_model or update_params
    return Parameters(kind, template, concepts, sendable(values))


def write(path: str | os.PathLike[str], model: Model) -> Path:
    """Writes type, template, concepts and every value of a model."""
    import yaml

    record = model.refresh().record
    head = (
        f"# The model {model.app.id}/{model.id} of DeepFT Lab: app.create_model(NAME, params=FILE) makes one like it.\n"
        "# concepts: null takes all of the app.\n"
    )
    document = {"type": record.type, "template": record.template, "concepts": record.concepts, "values": record.values}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    written = Path(path)
    spec.write_whole(written, (head + text).encode())
    return written


def _from_above(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside `train_params` in Clarifai's files and is a value here."""
    above = {name: document.get(name) for name in ("concepts_mutually_exclusive", "resume_from_model")}
    return {name: value for name, value in above.items() if value is not None and name not in values}


def _of_no_model(document: Mapping[str, Any]) -> list[str]:
    """Notes on what Clarifai's files say and belongs to no model here."""
    notes = []
    if dataset := document.get("dataset_id"):
        notes.append(
            f"dataset_id: {dataset} is no part of a model here: train with model.train(dataset={str(dataset)!r})."
        )
    chosen = {key: value for key, value in (document.get("inference_params") or {}).items() if value}
    if chosen:
        notes.append(f"inference_params are left out: {', '.join(map(str, chosen))}. They are chosen when predicting.")
    return notes


def _document(source: ParameterFile) -> tuple[str, Any]:
    if isinstance(source, Mapping):
        return "the mapping", source
    from deepft_lab.training.recipes import configuration_text

    path = Path(source)
    try:
        size = path.stat().st_size
        if size > _MOST:
            raise _refusal(str(path), [Fault("params", str(path), f"It has {size:,} bytes: at most {_MOST:,}.")])
        return str(path), configuration_text.plain(path.read_bytes())
    except OSError as error:
        raise _refusal(str(path), [Fault("params", str(path), f"It cannot be read: {error.strerror}.")]) from None
    except ValueError as error:
        raise _refusal(str(path), [Fault("params", str(path), f"It is no YAML that can be used: {error}")]) from None


def _refusal(name: str, faults: list[Fault]) -> InvalidParams:
    words = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
    return InvalidParams(f"The parameters of {name} cannot be used. {words}", faults)
