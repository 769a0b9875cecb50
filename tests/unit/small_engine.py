"""An engine whose jobs are real processes that do what a test's script says, without torch.

The script has `folder`, `job` (the spec), `say(kind, step, **data)` and `result(**fields)`. As a real runner does, the
process writes runner.json first and exit.json last, unless it is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from deepft_lab import spec
from deepft_lab.engines.base import Allocation
from deepft_lab.records import Gpu, Machine

RUNNER = """
import os, pathlib, sys, time, traceback
from deepft_lab import spec
from deepft_lab.events import EventWriter
folder = pathlib.Path(sys.argv[1])
spec.write(folder / "runner.json", {"process": str(os.getpid())})
job = spec.read(folder / "spec.json", spec.JobSpec)
with open(folder / "starts", "a") as file:
    file.write("started\\n")
begun = time.time()
writer = EventWriter(folder / "events.jsonl")
def say(kind, step=0, **data):
    return writer.write(kind, step, **data)
def result(**fields):
    spec.write(folder / "result.json", spec.Result(**fields))
cpu, code, message = 1.5, 0, ""
try:
    exec(compile(sys.argv[2], "<job>", "exec"))
except Exception:
    code, message = 1, traceback.format_exc()
ending = spec.Exit(code=code, message=message, started=begun, ended=time.time(), cpu_seconds=cpu)
spec.write(folder / "exit.json", ending)
"""

TRAINS = """
say("started", epochs=2, steps=4, steps_per_epoch=2, best_metric="accuracy")
for step in range(1, 5):
    say("step", step, epoch=(step + 1) // 2, loss=1 / step, images_per_second=10.0, seconds_left=4.0 - step)
    if step % 2 == 0:
        say("epoch", step, epoch=step // 2, metrics={"accuracy": step / 10}, best=True)
say("finished", 4, metrics={"accuracy": 0.4}, best_epoch=2)
result(outcome="trained", metrics={"accuracy": 0.4}, best_epoch=2)
"""

WAITS = """
say("started", epochs=1, steps=1000)
step = 0
while not (folder / "stop").exists():
    step += 1
    say("step", step, epoch=1)
    time.sleep(0.02)
say("stopping", step, reason="asked")
result(outcome="trained", metrics={"accuracy": 0.5})
"""


class SmallEngine:
    """One job at a time, or as many as `places` says."""

    name = "small"
    _engines: list[SmallEngine] = []

    def __init__(self, script: str = "", places: int = 1, gpus: int = 0) -> None:
        self.script = textwrap.dedent(script or TRAINS)
        self.places = places
        self.gpu_count = gpus
        self.children: list[subprocess.Popen[bytes]] = []
        self.prepared: list[list[Allocation]] = []  # what ran each time that somebody was about to train
        self.closed = False
        self._engines.append(self)

    @classmethod
    def end_all(cls) -> None:
        """Kills every process that a test has left."""
        for child in [child for engine in cls._engines for child in engine.children]:
            child.kill()
            child.wait()
        cls._engines.clear()

    def machine(self) -> Machine:
        gpus = [
            Gpu(index=i, name="small", memory_total=1, memory_used=0, utilisation=None, job=None)
            for i in range(self.gpu_count)
        ]
        return Machine(
            engine=self.name, cpus=1, memory_total=1, memory_available=1, disk_free=1, gpus=gpus, running=0, waiting=0
        )

    def allocate(self, num_gpus: int, running: Sequence[Allocation]) -> Allocation | None:
        free = [index for index in range(self.gpu_count) if not any(index in other.gpus for other in running)]
        if len(running) >= self.places or (self.gpu_count and not free):
            return None
        return Allocation(ranks=1, threads=1, gpus=free[:1])

    def prepare(self, running: Sequence[Allocation]) -> None:
        self.prepared.append(list(running))

    def close(self) -> None:
        self.closed = True

    def submit(self, folder: Path) -> str:
        child = subprocess.Popen([sys.executable, "-c", RUNNER, str(folder), self.script], start_new_session=True)
        self.children.append(child)
        return str(child.pid)

    def poll(self, handle: str, folder: Path) -> bool:
        pid = handle or self._runner(folder)
        if not pid:
            return False
        # Another lab's engine may have started it; whose child it is must reap it.
        children = [child for engine in self._engines for child in engine.children]
        own = next((child for child in children if child.pid == int(pid)), None)
        if own is not None:
            return own.poll() is None
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(pid))
            return process.status() != psutil.STATUS_ZOMBIE and str(folder) in process.cmdline()
        return False

    def cancel(self, handle: str, folder: Path) -> None:
        pid = handle or self._runner(folder)
        if pid and self.poll(pid, folder):
            os.kill(int(pid), signal.SIGKILL)
        while self.poll(pid, folder):
            time.sleep(0.01)

    @staticmethod
    def _runner(folder: Path) -> str:
        try:
            return spec.read(folder / "runner.json", dict)["process"]
        except OSError:
            return ""
