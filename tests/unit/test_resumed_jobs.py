"""A failed version that has a checkpoint goes on in its own folder; folders that vanish and disks that are full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk import ANN, Desk
from test_jobs import ready, training

from deepft_lab import spec
from deepft_lab.engines import processes
from deepft_lab.engines.local import LocalEngine
from deepft_lab.errors import Conflict
from deepft_lab.lab import Lab, outcome
from deepft_lab.records import EventQuery

OpenLab = Callable[..., Lab]

# The first attempt leaves a checkpoint and waits to be killed; the second goes on from it.
GOES_ON = """
writer.attempt = job.attempt
if job.attempt == 1:
    say("started", epochs=1, steps=100)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.pt").touch()
    for step in range(1, 6):
        say("step", step, epoch=1)
    time.sleep(600)
say("resumed", 3, from_step=3)
for step in range(4, 101):
    say("step", step, epoch=1)
say("finished", 100, metrics={"accuracy": 0.5}, best_epoch=1)
result(outcome="trained", metrics={"accuracy": 0.5}, best_epoch=1)
"""


def killed(desk: Desk, version: object) -> None:
    job = spec.read(desk.lab.job_folder(version.job) / "runner.json", dict)
    os.kill(int(job["process"]), signal.SIGKILL)


def test_a_killed_version_with_a_checkpoint_says_so_and_is_resumed_in_its_folder(open_lab: OpenLab) -> None:
    desk = ready(open_lab(GOES_ON))
    version = desk.begin_training()
    desk.wait(version, training)
    with pytest.raises(Conflict, match="Only a failed version"):
        desk.resume_version(model="m", version="v1")
    killed(desk, version)
    assert "Resume it" in desk.wait(version).reason
    again = desk.resume_version(model="m", version="v1")
    assert (again.attempt, again.reason, again.ended) == (2, "", None)
    ended = desk.wait(again)
    assert (ended.state, ended.attempt, ended.step, ended.metrics) == ("trained", 2, 100, {"accuracy": 0.5})
    events = desk.events(model="m", version="v1", query=EventQuery(after=0)).events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.attempt for event in events if event.kind in ("started", "resumed")] == [1, 2]
    rows = desk.lab.usage(ANN)
    assert sorted(row.attempt for row in rows) == [1, 2] and all(row.ended for row in rows)


def test_a_version_without_a_checkpoint_is_not_resumed(open_lab: OpenLab) -> None:
    desk = ready(open_lab("raise SystemExit(3)"))
    version = desk.wait(desk.begin_training())
    assert version.state == "failed"
    with pytest.raises(Conflict, match="no checkpoint to go on from"):
        desk.resume_version(model="m", version="v1")


def test_a_resumed_version_waits_its_turn_through_a_restart_of_the_server(open_lab: OpenLab) -> None:
    lab = open_lab(GOES_ON)
    desk = ready(lab)
    first = desk.begin_training()
    desk.wait(first, training)
    killed(desk, first)
    desk.wait(first)
    other = desk.begin_training()
    desk.wait(other, training)
    assert desk.resume_version(model="m", version="v1").queue_place == 1
    killed(desk, other)
    assert desk.wait(first).state == "trained"


def test_a_full_disk_is_not_taken_for_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ended from outside" in outcome._reason(tmp_path, None)
    (tmp_path / "log.txt").write_text("OSError: [Errno 28] No space left on device: 'exit.json'\n")
    assert "disk is full" in outcome._reason(tmp_path, None)
    (tmp_path / "log.txt").unlink()
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(outcome.shutil, "disk_usage", lambda path: usage)
    assert "disk is full" in outcome._reason(tmp_path, None)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[tuple[LocalEngine, Path, subprocess.Popen[bytes]]]:
    """A process that carries the id of a job whose folder is gone."""
    folder = tmp_path / "0123456789abcdef"
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, "DEEPFT_JOB": folder.name})
    deadline = time.monotonic() + 20
    while not processes.carriers(folder.name):  # a program that has just been started shows no variables for a moment
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield LocalEngine(tmp_path), folder, process
    process.kill()
    process.wait()


def test_a_running_job_whose_folder_was_removed_is_seen_and_can_be_ended(
    sleeper: tuple[LocalEngine, Path, subprocess.Popen[bytes]],
) -> None:
    engine, folder, process = sleeper
    assert engine.poll("", folder)
    engine.cancel("", folder)
    assert process.wait(5) == -signal.SIGKILL
    assert not engine.poll("", folder)


def test_a_version_whose_running_folder_was_removed_fails_in_words_and_holds_nothing_up(open_lab: OpenLab) -> None:
    desk = ready(open_lab(GOES_ON))
    version = desk.begin_training()
    desk.wait(version, training)
    folder = desk.lab.job_folder(version.job)
    runner = int(spec.read(folder / "runner.json", dict)["process"])
    shutil.rmtree(folder)
    os.kill(runner, signal.SIGKILL)
    assert "was removed while it ran" in desk.wait(version).reason
    assert desk.delete_version(model="m", version="v1").state == "deleted"
