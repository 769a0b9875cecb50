"""Training: settle every choice, freeze what it trains on, write the job folder whole, and queue it."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from deepft_lab import manifest, params, spec
from deepft_lab._version import __version__
from deepft_lab.errors import Conflict, InvalidParams, WeightsNotFound
from deepft_lab.lab import origins, selection
from deepft_lab.lab.access import find, find_app
from deepft_lab.lab.datasets import keep_version
from deepft_lab.lab.examples import Depth, Example, gather
from deepft_lab.lab.region_selection import USABLE, mark, select_regions
from deepft_lab.lab.split import default_seed
from deepft_lab.lab.versions import find_version
from deepft_lab.lab.versions import version as version_record
from deepft_lab.records import Caller, CreateQuote, Fault, ModelVersion, Train
from deepft_lab.store import tables as t
from deepft_lab.store.blobs import full_disk_in_words
from deepft_lab.training import recipes
from deepft_lab.training.recipes.transfer import WEIGHTS, on_base

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

VALIDATION_FRACTION = 0.2  # held out where the template says nothing
MAX_FRACTION = 0.9


class Settled(NamedTuple):
    """A training whose every choice is made: its job, but for the version's number, and what the job's folder holds."""

    job: spec.JobSpec
    frozen: list[tuple[bytes, int, str]]  # manifests of training and validation, their inputs, and whose versions
    models: dict[str, Path | None]  # model folders that it begins from, by their names in the job folder
    warnings: list[str]


def train(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, body: Train) -> ModelVersion:
    """Raises InvalidParams with every fault at once, WeightsNotFound before anything is queued."""
    with lab.database.reading() as connection:
        app_key = find_app(connection, owner, app)["key"]
        row = find(connection, t.models, app_key, "model", model)
    settled = settle(lab, caller, owner, app, dict(row), body)
    for content, inputs, dataset in settled.frozen:
        keep_version(
            lab, caller, app=app_key, dataset=dataset, concepts=settled.job.concepts, inputs=inputs, content=content
        )
    job_spec, folder = settled.job, lab.job_folder(settled.job.job)
    template, values = job_spec.template, job_spec.values
    try:
        with lab.database.writing() as connection:
            number = _next_number(connection, row["key"])
            job_spec = msgspec.structs.replace(job_spec, version=f"v{number}")
            write_folder(folder, job_spec, settled)
            version_row = {
                "model": row["key"],
                "id": job_spec.version,
                "job": job_spec.job,
                "template": template.id,
                "template_hash": template.hash,
                "values": values,
                "concepts": job_spec.concepts,
                "dataset": body.dataset,
                "train_version": job_spec.train_version,
                "validation_version": job_spec.validation_version,
                "description": body.description,
                "author": caller.user,
                "created": time.time(),
                "state": "queued",
                "attempt": 1,
                "num_gpus": num_gpus(values),
                "reason": "",
                "warnings": settled.warnings,
            }
            connection.execute(insert(t.versions).values(version_row))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with lab.database.reading() as connection:
        queued = find_version(connection, owner, app, model, job_spec.version)
    lab.jobs.add(queued)
    lab.hub.changed(owner, app, "versions")
    lab.hub.changed(owner, app, "datasets")
    return version_record(lab, caller, owner=owner, app=app, model=model, version=job_spec.version)


def settle(
    lab: Lab, caller: Caller, owner: str, app: str, row: Mapping[str, Any], body: Train | CreateQuote
) -> Settled:
    """Every choice of a training. `row`: id, type, template, values and concepts of a model, which need not be stored.

    Raises InvalidParams with every fault at once, and WeightsNotFound. Writes nothing.
    """
    model = row["id"]
    with lab.database.reading() as connection:
        app_key = find_app(connection, owner, app)["key"]
        template = lab.catalog.get(row["template"])
        known = params.known(template.fields, row["values"])
        gone = sorted(row["values"].keys() - known.keys())
        values, faults = recipes.check(template, known)
        given = values.get("seed")
        seed = given if isinstance(given, int) and given >= 0 else default_seed(owner, app, model)
        chosen, concepts = _choose(connection, app_key, row, body, values, seed)
        selection.warn_of_few(chosen, template, concepts)
        chosen.warnings += [
            f"{name} = {row['values'][name]!r} is left out: {template.id} has no such field any more." for name in gone
        ]
        base = origins.base(lab, connection, owner, app, model, values, faults)
        resumed = origins.resumed(lab, connection, owner, app, row, values, faults)
        if resumed is not None and not faults:
            plan = recipes.plan(template.recipe, template.type, values)
            origins.check_network(resumed, plan, values["resume_from"], faults)
    faults += chosen.faults
    if faults:
        words = "; ".join(f"{fault.field} = {fault.value!r}: {fault.reason}" for fault in faults)
        raise InvalidParams(f"The model {model!r} cannot be trained so. {words}", faults)
    try:
        weights = lab.catalog.find_weights(template, values)
    except WeightsNotFound:
        if base is None and resumed is None:
            raise
        weights = None  # the version that it begins from brings its own

    def freeze(examples: list[Example]) -> bytes:
        return manifest.dump(concepts, (example.entry() for example in examples))

    # A part of a dataset is no version of it: it is kept without the dataset's name.
    held_out = not isinstance(body.validation, str)
    part = held_out and bool(chosen.validation)
    training, validation = freeze(chosen.training), freeze(chosen.validation) if chosen.validation else b""
    frozen = [(training, len(chosen.training), "" if part else body.dataset or "")]
    if validation:
        frozen.append((validation, len(chosen.validation), "" if held_out else str(body.validation)))
    used = template if base is None else on_base(template, base)
    job = uuid.uuid4().hex[:16]
    folder = lab.job_folder(job)
    job_spec = spec.JobSpec(
        job=job,
        owner=owner,
        app=app,
        model=model,
        version="",
        user=caller.user,
        type=row["type"],
        template=used,
        values=values,
        concepts=concepts,
        exclusive=chosen.exclusive,
        train_version=manifest.identify(training),
        validation_version=manifest.identify(validation) if validation else None,
        blobs=str(lab.blobs.folder.absolute()),
        cache=str(lab.cache_path),
        stored_side=recipes.kept_side(recipes.plan(used.recipe, used.type, values), values),
        cache_bytes=lab.cache_bytes,
        weights=str(folder / "base" / WEIGHTS) if base is not None else None if weights is None else str(weights),
        base=None if base is None else str(folder / "base"),
        resume_model=None if resumed is None else str(folder / "resume"),
        seed=seed,
        code_version=__version__,
    )
    return Settled(job_spec, frozen, {"base": base, "resume": resumed}, chosen.warnings)


def _choose(
    connection: Connection,
    app: int,
    model: Mapping[str, Any],
    body: Train | CreateQuote,
    values: Mapping[str, Any],
    seed: int,
) -> tuple[selection.Selection, list[str]]:
    """The inputs, split and labelled, with every fault of the choice."""
    every = select(t.concepts.c.name).where(t.concepts.c.app == app).order_by(t.concepts.c.name)
    known = list(connection.execute(every).scalars())
    concepts = sorted(known if model["concepts"] is None else model["concepts"])
    faults: list[Fault] = []
    by_regions = model["type"] in USABLE
    regions: Depth = "none" if not by_regions else "boxes" if model["type"] == "visual-detector" else "whole"
    if not concepts:
        faults.append(Fault("concepts", [], "The app has no concepts yet. Label some inputs first."))

    def members(field: str, dataset: str | None) -> list[Example]:
        if dataset is None:
            return gather(connection, app, concepts=concepts, regions=regions)
        key = select(t.datasets.c.key).where(t.datasets.c.app == app, t.datasets.c.id == dataset)
        found = connection.execute(key).scalar()
        if found is None:
            names = select(t.datasets.c.id).where(t.datasets.c.app == app).order_by(t.datasets.c.id)
            known = ", ".join(connection.execute(names).scalars()) or "none"
            faults.append(Fault(field, dataset, f"There is no dataset {dataset!r} in this app. Known are: {known}."))
            return []
        examples = gather(connection, app, dataset=found, concepts=concepts, regions=regions)
        if not examples:
            faults.append(Fault(field, dataset, f"The dataset {dataset!r} has no inputs."))
        return examples

    validation = None
    held = values.get("validation")  # the template's own field; a fault of it is reported with the other values
    fraction = float(held) if isinstance(held, (int, float)) else VALIDATION_FRACTION
    if isinstance(body.validation, str):
        validation = members("validation", body.validation)
        if body.validation == body.dataset:
            reason = "Training and validation on the same dataset measure nothing. Choose another, or a fraction."
            faults.append(Fault("validation", body.validation, reason))
            validation = []
    elif body.validation is not None:
        fraction = float(body.validation)
        if not 0 <= fraction <= MAX_FRACTION:
            reason = f"The fraction that is held out lies between 0 and {MAX_FRACTION:g}."
            faults.append(Fault("validation", body.validation, reason))
    if faults:
        return selection.Selection(training=[], validation=[], faults=faults, warnings=[]), concepts
    source = members("dataset", body.dataset)
    if faults:
        return selection.Selection(training=[], validation=[], faults=faults, warnings=[]), concepts
    unused: list[str] = []
    unlocated = 0
    if by_regions:
        source, unlocated = mark(source, model["type"])
        validation = None if validation is None else mark(validation, model["type"])[0]
    if model["concepts"] is None:
        concepts, unused = _bear(source + (validation or []), concepts)
    names = (body.dataset or "", body.validation if isinstance(body.validation, str) else "")
    common: dict[str, Any] = {
        "type": model["type"],
        "concepts": concepts,
        "source": source,
        "validation": validation,
        "fraction": fraction,
        "seed": seed,
        "names": names,
    }
    if by_regions:
        chosen = select_regions(**common)
        chosen.warnings += [f"No input has a region to train on of the concept {name!r}: left out." for name in unused]
        if unlocated:
            chosen.warnings.append(
                f"{'1 input is' if unlocated == 1 else f'{unlocated} inputs are'} labelled with a concept that no "
                "region shows: what is not drawn there teaches nothing. Draw its regions, or take the label off."
            )
        return chosen, concepts
    chosen = selection.select(**common, exclusivity=_exclusivity(values))
    chosen.warnings += [f"No input is positive for the concept {name!r}: left out." for name in unused]
    return chosen, concepts


def _bear(examples: list[Example], concepts: list[str]) -> tuple[list[str], list[str]]:
    """Concepts that an input is positive for, and the others: who means all concepts does not mean the empty ones.

    Where no input is positive for any, they all stay, so that the faults name them.
    """
    found = {concept for example in examples for concept in example.positives()}
    if not found:
        return concepts, []
    for example in examples:
        example.labels = {concept: label for concept, label in example.labels.items() if concept in found}
    return [c for c in concepts if c in found], [c for c in concepts if c not in found]


def _exclusivity(values: Mapping[str, Any]) -> Any:
    """A softmax (`logreg` = 0) needs concepts that exclude each other; otherwise the field says, or the inputs do."""
    return "true" if values.get("logreg") == 0 else values.get("concepts_mutually_exclusive", "auto")


def num_gpus(values: Mapping[str, Any]) -> int:
    wanted = values.get("num_gpus")
    return wanted if isinstance(wanted, int) and wanted > 0 else 1


def _next_number(connection: Connection, model: int) -> int:
    changed = connection.execute(
        update(t.models).where(t.models.c.key == model).values(last_version=t.models.c.last_version + 1)
    )
    if not changed.rowcount:
        raise Conflict("The model was deleted meanwhile.")
    return connection.execute(select(func.max(t.models.c.last_version)).where(t.models.c.key == model)).scalar_one()


def write_folder(folder: Path, job: spec.JobSpec, settled: Settled) -> None:
    """A folder is there whole or not at all: it is filled under another name.

    Models of other versions are linked into it: the job keeps them even if those versions are deleted.
    """
    filling = folder.with_name(f".{folder.name}")
    with full_disk_in_words(folder.parent):
        try:
            filling.mkdir(mode=0o700)
            spec.write(filling / "spec.json", job)
            for name, (content, _, _) in zip(("train.jsonl", "validation.jsonl"), settled.frozen, strict=False):
                spec.write_whole(filling / name, content)
            for name, model in settled.models.items():
                if model is not None:
                    origins.keep(model, filling / name)
            filling.rename(folder)
        except BaseException:
            shutil.rmtree(filling, ignore_errors=True)
            raise
