"""What is no app's: who calls, the machine, templates, the end of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from deepft_lab import catalog, params
from deepft_lab._version import __version__
from deepft_lab.lab.jobs import running_by_gpu
from deepft_lab.records import Caller, CheckedParams, CheckParams, Count, Machine, Me, Shutdown, Template, TemplateList
from deepft_lab.training import recipes

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab


def me(lab: Lab, caller: Caller) -> Me:
    return Me(
        user=caller.user,
        administrator=caller.administrator,
        version=__version__,
        store=str(lab.path),
        owner_of_store=True,  # a server that does not own its store forwards the question to the one that does
    )


def machine(lab: Lab, caller: Caller) -> Machine:
    found = lab.engine.machine()
    jobs = lab.jobs.unfinished
    by_gpu = running_by_gpu(lab.jobs)
    return msgspec.structs.replace(
        found,
        gpus=[msgspec.structs.replace(gpu, job=by_gpu.get(gpu.index)) for gpu in found.gpus],
        running=sum(not live.waits for live in jobs),
        waiting=sum(live.waits for live in jobs),
    )


def templates(lab: Lab, caller: Caller) -> TemplateList:
    """The catalog, with what is recommended on this machine first within each type."""
    listed = lab.catalog.list()
    return msgspec.structs.replace(listed, templates=recommended_here(lab, listed.templates))


def recommended_here(lab: Lab, templates: list[Template]) -> list[Template]:
    """Where there is no GPU, a type's template for such machines is the recommended one."""
    types = {template.type for template in templates if template.without_gpu}
    if not types or lab.engine.machine().gpus:
        return templates
    found = [
        msgspec.structs.replace(template, recommended=template.without_gpu) if template.type in types else template
        for template in templates
    ]
    return sorted(found, key=catalog.order)


def check_params(lab: Lab, caller: Caller, *, template: str, body: CheckParams) -> CheckedParams:
    """What the form shows while a person types: every fault, the learning rate of a step, the steps."""
    lab.expect_training()
    found = lab.catalog.get(template)
    values, faults = recipes.check(found, body.values)
    gpus = values.get("num_gpus")
    ranks = gpus if isinstance(gpus, int) and gpus > 0 else 1
    steps = params.steps_per_epoch(values, body.examples, ranks)
    epochs = values.get("num_epochs")
    return CheckedParams(
        values=values,
        faults=faults,
        effective_lrate=params.effective_lrate(values, ranks),
        steps_per_epoch=steps,
        total_steps=steps * epochs if steps and isinstance(epochs, int) and epochs > 0 else None,
    )


def shutdown(lab: Lab, caller: Caller, *, body: Shutdown) -> Count:
    """Asks the server, by `lab.on_shutdown`, to end once no job runs. Answers how many jobs are still to end."""
    lab.on_shutdown()
    return Count(count=len(lab.jobs.unfinished))
