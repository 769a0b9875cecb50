"""Models: a type, concepts, a template and the values that were given. The template's defaults complete the values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from deepft_lab import params
from deepft_lab.errors import Conflict, InvalidParams, NotFound
from deepft_lab.lab.access import find, find_app
from deepft_lab.lab.names import check_id, clean_concepts
from deepft_lab.lab.system import recommended_here
from deepft_lab.records import MODEL_TYPES, Caller, Count, CreateModel, CreateQuote, Fault, Model, Template, UpdateModel
from deepft_lab.store import tables as t
from deepft_lab.training import recipes

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab


def models(lab: Lab, caller: Caller, *, owner: str, app: str) -> list[Model]:
    with lab.database.reading() as connection:
        key = find_app(connection, owner, app)["key"]
        rows = connection.execute(select(t.models).where(t.models.c.app == key).order_by(t.models.c.id)).mappings()
        return [_record(lab, connection, owner, app, row) for row in rows.all()]


def model(lab: Lab, caller: Caller, *, owner: str, app: str, model: str) -> Model:
    with lab.database.reading() as connection:
        row = find(connection, t.models, find_app(connection, owner, app)["key"], "model", model)
        return _record(lab, connection, owner, app, row)


def create_model(lab: Lab, caller: Caller, *, owner: str, app: str, body: CreateModel) -> Model:
    """Raises InvalidParams with every fault, Conflict where the id is taken."""
    check_id("a model", body.id)
    template = _template(lab, body.type, body.template)
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        taken = select(t.models.c.key).where(t.models.c.app == key, t.models.c.id == body.id)
        if connection.execute(taken).first():
            raise Conflict(
                f"There is a model {body.id!r} in this app already. Choose another id, or train that one again."
            )
        concepts = None if body.concepts is None else clean_concepts(body.concepts)
        _refuse(template, [*_concept_faults(connection, key, concepts), *recipes.check(template, body.values)[1]])
        row = {
            "app": key,
            "id": body.id,
            "type": body.type,
            "description": body.description,
            "concepts": concepts,
            "template": template.id,
            "values": body.values,
            "author": caller.user,
            "created": time.time(),
            "last_version": 0,
        }
        connection.execute(insert(t.models).values(row))
        record = _record(lab, connection, owner, app, find(connection, t.models, key, "model", body.id))
    lab.hub.changed(owner, app, "models")
    lab.expect_training()
    return record


def plan(lab: Lab, connection: Connection, app: int, body: CreateQuote) -> tuple[Template, list[str] | None]:
    """Template and concepts of a model that is not there. Raises InvalidParams with every fault."""
    template = _template(lab, body.type, body.template)
    concepts = None if body.concepts is None else clean_concepts(body.concepts)
    _refuse(template, [*_concept_faults(connection, app, concepts), *recipes.check(template, body.values)[1]])
    return template, concepts


def update_model(lab: Lab, caller: Caller, *, owner: str, app: str, model: str, body: UpdateModel) -> Model:
    """A new template keeps the given values that it knows too and allows. Versions stay as they were trained."""
    with lab.database.writing() as connection:
        key = find_app(connection, owner, app)["key"]
        row = find(connection, t.models, key, "model", model)
        template = _template(lab, row["type"], body.template or row["template"])
        given = params.known(template.fields, row["values"])
        if template.id != row["template"]:
            wrong = {fault.field.partition(".")[0] for fault in recipes.check(template, given)[1]}
            given = {name: value for name, value in given.items() if name not in wrong}
        given |= body.values
        concepts = row["concepts"] if body.concepts is None else clean_concepts(body.concepts)
        _refuse(template, [*_concept_faults(connection, key, concepts), *recipes.check(template, given)[1]])
        changes = {
            "template": template.id,
            "values": given,
            "concepts": concepts,
            "description": row["description"] if body.description is None else body.description,
        }
        connection.execute(update(t.models).where(t.models.c.key == row["key"]).values(changes))
        record = _record(lab, connection, owner, app, find(connection, t.models, key, "model", model))
    lab.hub.changed(owner, app, "models")
    lab.expect_training()
    return record


def delete_model(lab: Lab, caller: Caller, *, owner: str, app: str, model: str) -> Count:
    """Cancels its jobs and removes its versions with their files. Answers how many versions went."""

    def jobs(connection: Connection, key: int) -> dict[str, str]:
        rows = select(t.versions.c.job, t.versions.c.state).where(t.versions.c.model == key)
        return {row.job: row.state for row in connection.execute(rows)}

    with lab.database.reading() as connection:
        key = find(connection, t.models, find_app(connection, owner, app)["key"], "model", model)["key"]
        found = jobs(connection, key)
    for job in found:
        lab.jobs.cancel(job)
    with lab.database.writing() as connection:
        late = [job for job in jobs(connection, key) if job not in found]
        connection.execute(delete(t.models).where(t.models.c.key == key))
    for job in late:
        lab.jobs.cancel(job)
    for job in [*found, *late]:
        lab.remove_job_folder(job)
    lab.hub.changed(owner, app, "models")
    return Count(count=sum(state != "deleted" for state in found.values()) + len(late))


def complete_values(template: Template, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values with the template's defaults."""
    return recipes.check(template, given)[0]


def _template(lab: Lab, type: str, wanted: str | None) -> Template:
    """The template by id or alias, or the recommended one of the type. Raises InvalidParams."""
    if type not in MODEL_TYPES:
        reason = f"There is no model type {type!r}. Known are {', '.join(MODEL_TYPES)}."
        raise InvalidParams(reason, [Fault("type", type, reason)])
    of_type = [template for template in lab.catalog.list().templates if template.type == type]
    if wanted is None:
        if not of_type:
            reason = f"There is no template for {type} here."
            raise InvalidParams(reason, [Fault("type", type, reason)])
        return recommended_here(lab, of_type)[0]
    try:
        template = lab.catalog.get(wanted, type)
    except NotFound as error:
        raise InvalidParams(error.message, [Fault("template", wanted, error.message)]) from None
    if template.type != type:
        names = ", ".join(template.id for template in of_type) or "none"
        reason = f"It is a template for {template.type}. For {type} there are: {names}."
        raise InvalidParams(f"The template {wanted!r} does not fit: {reason}", [Fault("template", wanted, reason)])
    return template


def _concept_faults(connection: Connection, app: int, concepts: list[str] | None) -> list[Fault]:
    if concepts is None:
        return []
    known = set(connection.execute(select(t.concepts.c.name).where(t.concepts.c.app == app)).scalars())
    names = ", ".join(sorted(known)[:20]) or "none"
    return [
        Fault("concepts", name, f"There is no concept {name!r} in this app. Known are: {names}.")
        for name in concepts
        if name not in known
    ]


def _refuse(template: Template, faults: list[Fault]) -> None:
    if faults:
        words = "; ".join(f"{fault.field} = {fault.value!r}: {fault.reason}" for fault in faults)
        raise InvalidParams(f"The model cannot be set up with {template.id}. {words}", faults)


def _record(lab: Lab, connection: Connection, owner: str, app: str, row: RowMapping) -> Model:
    try:
        values = complete_values(lab.catalog.get(row["template"]), row["values"])
    except NotFound:  # its file is gone; what was given is still known
        values = row["values"]
    v = t.versions
    counted = select(func.count()).select_from(v).where(v.c.model == row["key"], v.c.state != "deleted")
    return Model(
        owner=owner,
        app=app,
        id=row["id"],
        type=row["type"],
        description=row["description"],
        concepts=row["concepts"],
        template=row["template"],
        values=values,
        created=row["created"],
        versions=connection.execute(counted).scalar_one(),
    )
