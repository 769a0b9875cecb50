"""Real jobs on this machine: runner, launcher, ranks. Each start costs seconds, so a run serves several assertions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_job import LONG, Job

from deepft_lab import spec
from deepft_lab.engines import processes


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    made: list[Job] = []

    def make(**options: Any) -> Job:
        made.append(Job(tmp_path / f"job{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.engine.cancel("", one.folder)


def test_a_job_outlives_the_server_that_started_it(job: Callable[..., Job]) -> None:
    one = job(num_epochs=2)
    code = (
        "import sys, time; from pathlib import Path; from deepft_lab.engines.local import LocalEngine;"
        "print(LocalEngine().submit(Path(sys.argv[1])), flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(one.folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server, server.stdout:
        handle = server.stdout.readline().strip()
        server.kill()
    assert one.engine.poll(handle, one.folder)
    assert one.engine.poll("", one.folder)  # found by its folder, where the handle was lost too
    one.wait(lambda: not one.engine.poll(handle, one.folder))
    ending, result = one.ending(), spec.read(one.folder / "result.json", spec.Result)
    assert (ending.code, ending.signal, ending.out_of_memory) == (0, None, False)
    assert ending.cpu_seconds > 1
    assert ending.started < ending.ended
    assert result.outcome == "trained"
    assert (one.folder / "model" / "model.json").exists()
    assert "epoch 2" in (one.folder / "log.txt").read_text()
    assert "use_cpu: true" in (one.folder / "accelerate.yaml").read_text()
    started = one.events("started")[0].data
    assert started["threads"] == one.spec.threads and started["ranks"] == 1


def test_a_killed_worker_ends_its_job_within_ten_seconds_and_leaves_nothing(job: Callable[..., Job]) -> None:
    one = job(num_epochs=LONG)
    handle = one.engine.submit(one.folder)
    one.wait(lambda: one.events("step"))
    os.kill(one.ranks()[0], signal.SIGKILL)
    one.wait(lambda: not one.engine.poll(handle, one.folder), seconds=10)
    ending = one.ending()
    assert ending.code == 1
    assert ending.signal == signal.SIGKILL
    assert "SIGKILL" in ending.message
    assert processes.carriers(one.spec.job) == []


def test_a_killed_runner_leaves_ranks_that_cancel_finds(job: Callable[..., Job]) -> None:
    one = job(num_epochs=LONG)
    handle = one.engine.submit(one.folder)
    one.wait(lambda: one.events("step"))
    os.kill(int(handle.split(":")[0]), signal.SIGKILL)
    assert one.engine.poll(handle, one.folder)
    begun = time.monotonic()
    one.engine.cancel(handle, one.folder)
    assert time.monotonic() - begun < 5
    assert processes.carriers(one.spec.job) == []
    assert not one.engine.poll(handle, one.folder)


def test_two_ranks_train_as_one_stop_when_asked_and_are_gone_when_cancelled(job: Callable[..., Job]) -> None:
    one = job(num_epochs=LONG, ranks=2, num_gpus=2)
    handle = one.engine.submit(one.folder)
    one.wait(lambda: len(one.events("epoch")) >= 1)
    assert len(one.ranks()) == 2
    started = one.events("started")[0].data
    assert (started["ranks"], started["steps_per_epoch"], started["threads"]) == (2, 2, one.spec.threads)
    assert started["lrate"] == pytest.approx(1e-4 * 4 * 2)
    (one.folder / "stop").touch()
    one.wait(lambda: not one.engine.poll(handle, one.folder), seconds=60)
    result = spec.read(one.folder / "result.json", spec.Result)
    assert result.outcome == "trained"
    assert result.metrics_by_concept["red"]["positives"] == 2  # all four were gathered, each once
    assert one.events("stopping") and one.events("finished")

    two = job(num_epochs=LONG, ranks=2, num_gpus=2)
    handle = two.engine.submit(two.folder)
    two.wait(lambda: two.events("step"))
    assert len(two.ranks()) == 2
    begun = time.monotonic()
    two.engine.cancel(handle, two.folder)
    assert time.monotonic() - begun < 5
    assert processes.carriers(two.spec.job) == []
    assert two.ending().signal == signal.SIGTERM


def test_an_exception_in_the_worker_is_told_in_words(job: Callable[..., Job]) -> None:
    one = job(num_epochs=3)
    (one.folder / "train.jsonl").write_bytes(b'{"format": 99, "concepts": []}\n')
    handle = one.engine.submit(one.folder)
    one.wait(lambda: not one.engine.poll(handle, one.folder))
    assert one.ending().code == 1
    assert "format 99" in spec.read(one.folder / "result.json", spec.Result).reason
    assert "format 99" in one.events("failed")[0].data["reason"]
