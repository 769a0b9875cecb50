"""A job whose memory was full goes on from its checkpoint with half of a batch at a time, until it fits or is one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from desk import ANN, Desk
from small_engine import SmallEngine

from deepft_lab import spec
from deepft_lab.lab import Lab

OpenLab = Callable[..., Lab]

# A worker that computes eight images at a time, and less where it is told to.
SCRIPT = """
part = min(8, job.micro_batch or 8)
(folder / "checkpoints").mkdir(exist_ok=True)
{told}
say("started", epochs=1, steps=10) if job.attempt == 1 else say("resumed", 3, from_step=3)
say("step", 4, epoch=1)
if part > {fits}:
    {full}
else:
    say("finished", 10)
    result(outcome="trained", metrics={{"accuracy": 0.5}})
"""
TOLD = "spec.write(folder / spec.MEMORY, spec.InParts(part))"
KILLED = "spec.write(folder / 'exit.json', spec.Exit(code=1, out_of_memory=True)); os._exit(0)"
SAID = "say('failed', 4, reason='Full.'); result(outcome='failed', reason='Full.', full_memory=True)"


def ready(lab: Lab) -> Desk:
    desk = Desk(lab).create()
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.new_model()
    return desk


def script(*, fits: int, full: str = KILLED, told: str = TOLD) -> str:
    return SCRIPT.format(fits=fits, full=full, told=told)


@pytest.mark.parametrize("full", [KILLED, SAID])
def test_it_is_halved_until_it_fits_and_nobody_sees_it_fail(open_lab: OpenLab, full: str) -> None:
    desk = ready(open_lab(script(fits=2, full=full)))
    states: list[str] = []
    told = desk.lab.hub.version

    def noted(version: object) -> None:
        states.append(version.state)  # type: ignore[attr-defined]
        told(version)  # type: ignore[arg-type]

    desk.lab.hub.version = noted  # type: ignore[method-assign]
    version = desk.wait(desk.begin_training())
    assert (version.state, version.attempt, version.reason) == ("trained", 3, "")
    assert "failed" not in states and states[-1] == "trained"
    folder = desk.lab.job_folder(version.job)
    assert spec.read(folder / "spec.json", spec.JobSpec).micro_batch == 2
    notes = [json.loads(line) for line in (folder / "engine.jsonl").read_text().splitlines()]
    assert [note["micro_batch"] for note in notes if note["what"] == "memory full"] == [4, 2]
    rows = desk.lab.usage(ANN)
    assert sorted(row.attempt for row in rows) == [1, 2, 3] and all(row.ended for row in rows)
    assert not desk.lab.busy


def test_a_single_image_that_does_not_fit_ends_it_in_words(open_lab: OpenLab) -> None:
    desk = ready(open_lab(script(fits=0)))
    version = desk.wait(desk.begin_training())
    assert (version.state, version.attempt) == ("failed", 4) and "out of memory" in version.reason
    assert spec.read(desk.lab.job_folder(version.job) / "spec.json", spec.JobSpec).micro_batch == 1


def test_memory_that_is_full_before_the_first_batch_is_not_tried_again(open_lab: OpenLab) -> None:
    desk = ready(open_lab(script(fits=2, told="pass")))
    version = desk.wait(desk.begin_training())
    assert (version.state, version.attempt) == ("failed", 1)


def test_it_keeps_its_place_before_those_that_wait(open_lab: OpenLab) -> None:
    desk = ready(open_lab(engine=SmallEngine(script(fits=4))))
    first, second = desk.begin_training(), desk.begin_training()
    ended = desk.wait(second)
    assert desk.version(model="m", version=first.id).ended <= ended.started
    assert [desk.version(model="m", version=one.id).attempt for one in (first, second)] == [2, 2]
