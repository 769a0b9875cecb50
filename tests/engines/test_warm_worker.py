"""Processes that are started before there is a job: real ones. Each start costs seconds, so one serves several ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from real_job import LONG, Job

from deepft_lab import spec
from deepft_lab.engines import processes, spares
from deepft_lab.engines.base import Allocation
from deepft_lab.engines.local import LocalEngine, cores

READY = 120.0  # seconds within which a spare must have imported everything, on a busy machine


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    monkeypatch.setattr(spares, "LEAST_MEMORY", 0)
    made = LocalEngine(tmp_path, spare_seconds=600)
    yield made
    made.close()


@pytest.fixture
def job(tmp_path: Path, engine: LocalEngine) -> Iterator[Callable[..., Job]]:
    made: list[Job] = []

    def make(**options: Any) -> Job:
        identity = f"warm{len(made)}{os.getpid()}"
        made.append(Job(tmp_path / identity, engine, job=identity, threads=cores(), **options))
        return made[-1]

    yield make
    for one in made:
        engine.cancel("", one.folder)


def wait(what: Callable[[], Any], seconds: float = READY) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def warm(engine: LocalEngine) -> list[int]:
    """The pids of a spare that is ready: runner, launcher, worker."""
    engine.prepare([])
    wait(engine.spares.ready)
    return pids(engine)


def pids(engine: LocalEngine) -> list[int]:
    spare = engine.spares._spare
    assert spare is not None
    found = sorted(processes.of_spare(spare.name), key=lambda pid: int(processes.identity(pid).split(":")[1]))
    assert found[0] == spare.process.pid
    return found


def runner_of(handle: str) -> int:
    return int(handle.partition(":")[0])


def test_a_job_that_a_warm_worker_took_leaves_what_a_cold_one_leaves_to_the_bit(
    engine: LocalEngine, job: Callable[..., Job]
) -> None:
    kept = warm(engine)
    assert len(kept) == 3
    first, second = job(num_epochs=2), job(num_epochs=2)
    (first.folder / "log.txt").write_text("of an attempt before\n")
    asked = time.time()
    handle = engine.submit(first.folder)
    assert runner_of(handle) == kept[0]  # the very processes that waited
    assert sorted(processes.carriers(first.spec.job)) == sorted(kept)
    assert engine.poll(handle, first.folder) and engine.poll("", first.folder)
    first.wait(lambda: not engine.poll(handle, first.folder))
    assert not engine.spares.ready()

    cold = engine.submit(second.folder)
    second.wait(lambda: not engine.poll(cold, second.folder))
    for one in (first, second):
        ending = one.ending()
        assert (ending.code, ending.signal, ending.out_of_memory, ending.message) == (0, None, False, "")
        assert ending.cpu_seconds > 1
        assert spec.read(one.folder / "result.json", spec.Result).outcome == "trained"
    assert asked <= first.ending().started < first.ending().ended
    weights = [(one.folder / "model" / "model.safetensors").read_bytes() for one in (first, second)]
    assert weights[0] == weights[1]
    kinds = [
        [event.kind for event in one.reader.read() if event.kind not in ("preparing", "step", "quote")]
        for one in (first, second)
    ]
    assert kinds[0] == kinds[1]
    log = (first.folder / "log.txt").read_text()
    assert log.startswith("of an attempt before\n") and "epoch 2" in log
    names = [sorted(path.name for path in one.folder.iterdir()) for one in (first, second)]
    assert names[0] == names[1]


def test_a_warm_job_carries_its_id_and_ends_within_seconds_even_when_its_folder_is_gone(
    engine: LocalEngine, job: Callable[..., Job]
) -> None:
    kept = warm(engine)
    one = job(num_epochs=LONG)
    handle = engine.submit(one.folder)
    one.wait(lambda: one.events("step"))
    carried = [f"DEEPFT_JOB={one.spec.job}".encode() in Path(f"/proc/{pid}/environ").read_bytes() for pid in kept]
    assert carried == [True, False, True]
    assert sorted(processes.carriers(one.spec.job)) == sorted(kept)  # the launcher too: it is of the same spare
    shutil.rmtree(one.folder)
    assert engine.poll(handle, one.folder) and engine.poll("", one.folder)
    begun = time.monotonic()
    engine.cancel(handle, one.folder)
    wait(lambda: not any(processes.identity(pid) for pid in kept), 5 - (time.monotonic() - begun))


def test_a_killed_warm_worker_is_told_as_that_of_any_job(engine: LocalEngine, job: Callable[..., Job]) -> None:
    kept = warm(engine)
    one = job(num_epochs=LONG)
    handle = engine.submit(one.folder)
    one.wait(lambda: one.events("step"))
    assert one.ranks() == [kept[2]]
    os.kill(kept[2], signal.SIGKILL)
    one.wait(lambda: not engine.poll(handle, one.folder), seconds=10)
    assert (one.ending().code, one.ending().signal) == (1, signal.SIGKILL)
    assert "SIGKILL" in (one.folder / "log.txt").read_text()  # the launcher's words


@pytest.mark.parametrize(("place", "how"), [(0, "KILL"), (1, "KILL"), (2, "KILL"), (0, "STOP"), (2, "STOP")])
def test_a_spare_that_fails_at_the_handover_leads_to_the_usual_start(
    engine: LocalEngine, job: Callable[..., Job], place: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spares, "ANSWER_SECONDS", 2.0)
    kept = warm(engine)
    one = job(num_epochs=1)
    os.kill(kept[place], getattr(signal, f"SIG{how}"))
    if how == "KILL":
        wait(lambda: not processes.identity(kept[place]), 10)
    handle = engine.submit(one.folder)
    assert runner_of(handle) not in kept
    wait(lambda: not any(processes.identity(pid) for pid in kept), 2)  # nobody is left who could begin it again
    one.wait(lambda: not engine.poll(handle, one.folder))
    assert spec.read(one.folder / "result.json", spec.Result).outcome == "trained"
    assert [event.kind for event in one.reader.read()].count("started") == 1


def test_a_job_need_not_wait_until_its_worker_is_warm(engine: LocalEngine, job: Callable[..., Job]) -> None:
    engine.prepare([])
    kept = engine.spares._spare.process.pid if engine.spares._spare else 0
    one = job(num_epochs=1)
    handle = engine.submit(one.folder)
    assert runner_of(handle) == kept
    one.wait(lambda: not engine.poll(handle, one.folder))
    assert spec.read(one.folder / "result.json", spec.Result).outcome == "trained"

    engine.prepare([])
    two = job(num_epochs=LONG)
    handle = engine.submit(two.folder)
    assert engine.poll("", two.folder)
    engine.cancel(handle, two.folder)  # while it still imports
    assert processes.carriers(two.spec.job) == []
    assert two.ending().signal == signal.SIGTERM


SERVER = """
import sys, time
from pathlib import Path
from deepft_lab.engines import spares
from deepft_lab.engines.local import LocalEngine
spares.LEAST_MEMORY = 0
engine = LocalEngine(sys.argv[1], spare_seconds=600)
engine.prepare([])
while not engine.spares.ready():
    time.sleep(0.02)
print(engine.spares._spare.name, flush=True)
if len(sys.argv) > 2:
    print(engine.submit(Path(sys.argv[2])), flush=True)
time.sleep(600)
"""


def test_a_server_that_is_killed_leaves_no_spare_but_the_job_that_one_has_taken(
    engine: LocalEngine, job: Callable[..., Job]
) -> None:
    def killed(*arguments: str) -> list[str]:
        command = [sys.executable, "-c", SERVER, str(engine.store_path), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            said = [server.stdout.readline().strip() for _ in range(1 + len(arguments))]
            if not arguments:
                assert len(processes.of_spare(said[0])) == 3
            server.kill()
        return said

    (idle,) = killed()
    wait(lambda: not processes.of_spare(idle), 10)

    one = job(num_epochs=2)
    taken, handle = killed(str(one.folder))
    assert engine.poll(handle, one.folder) and len(processes.of_spare(taken)) == 3
    one.wait(lambda: not engine.poll(handle, one.folder))
    assert spec.read(one.folder / "result.json", spec.Result).outcome == "trained"
    assert one.ending().code == 0


def test_a_spare_ends_by_itself_after_its_time_and_another_may_be_made(engine: LocalEngine) -> None:
    engine.spares.seconds = 0.2
    engine.prepare([])
    name = engine.spares._spare.name if engine.spares._spare else ""
    wait(engine.spares.missing, 20)  # missing at once: it has not failed, it was not needed
    assert not processes.of_spare(name)


def test_a_spare_is_not_made_where_it_would_be_in_the_way(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    if not engine.gpus():
        engine.prepare([Allocation(ranks=1, threads=cores())])  # a CPU trains
    monkeypatch.setattr(spares, "LEAST_MEMORY", 2**60)
    engine.prepare([])
    off = LocalEngine(engine.store_path)
    off.prepare([])
    assert engine.spares._spare is None and off.spares._spare is None


def test_a_job_that_needs_something_else_is_not_given_to_a_spare_which_ends(
    engine: LocalEngine, job: Callable[..., Job]
) -> None:
    one = job(num_epochs=1)
    fitting = msgspec.structs.replace(one.spec, gpus=[gpu.index for gpu in engine.gpus()][:1])
    engine.prepare([])
    spare = engine.spares._spare
    assert spare is not None and spare.suits(fitting, spare.environment)
    for change in ({"ranks": 2}, {"threads": cores() + 1}, {"gpus": [70]}):
        assert not spare.suits(msgspec.structs.replace(fitting, **change), spare.environment)
    assert not spare.suits(fitting, {**spare.environment, "OMP_DYNAMIC": "true"})
    assert engine.spares.take(msgspec.structs.replace(fitting, ranks=2), one.folder, spare.environment) is None
    assert processes.of_spare(spare.name) == [] and engine.spares.missing()


def test_a_spare_that_cannot_work_is_not_made_again_and_again(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    place = Allocation(ranks=1, threads=1)
    broken = {**os.environ, "PYTHONHOME": "/nowhere"}
    engine.spares.prepare(place, broken)
    spare = engine.spares._spare
    assert spare is not None
    spare.process.wait(30)
    assert not engine.spares.missing()
    engine.spares.prepare(place, broken)
    assert engine.spares._spare is None
    assert "The worker that was kept ready has ended" in caplog.text


def test_a_process_takes_the_id_of_its_job_in_place() -> None:
    code = (
        "import os, pathlib, subprocess, sys; from deepft_lab.engines import processes;"
        "processes.carry('a-job'); print(processes.carriers('a-job'));"
        "print(subprocess.run(['printenv', 'DEEPFT_JOB'], capture_output=True).stdout.decode());"
        "print(b'DEEPFT_JOB=a-job' in pathlib.Path('/proc/self/environ').read_bytes().split(b'\\0'));"
        "processes.carry('x' * 100)"
    )
    environment = {**os.environ, processes.VARIABLE: processes.NOBODY}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["[]", "a-job", "True"]
    assert "cannot become one of job 'xxx" in done.stderr
