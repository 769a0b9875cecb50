"""Processes that are started before there is a job, so that its first step comes within a second.

    spares = Spares(seconds=900)
    spares.prepare(place, environment)                     # when somebody is about to train
    spares.take(spec, folder, environment)                 # the process of the job's runner, or None: start it yourself

There is one spare at a time. It is not forked from anything: a worker that has imported all that jobs need waits below
a launcher and a runner of its own, serves one job, and is that job's worker until its end. A spare is taken only where
the job would get the very environment that it was started with; on any doubt it is killed, and the job starts in the
usual way.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from deepft_lab import host
from deepft_lab.engines import handover, processes
from deepft_lab.engines.base import Allocation
from deepft_lab.errors import DeepFTError
from deepft_lab.spec import JobSpec

LEAST_MEMORY = 4 * 2**30  # bytes that must be available: a spare holds 0.7 GiB for nothing but speed
FRESH_SECONDS = 1.5  # how old a job may be when the spare reads of it; a server started again begins it itself after 3
ANSWER_SECONDS = 4.0  # for the spare's answer, its worker's included
REST_SECONDS = 300.0  # after a spare that ended of itself

logger = logging.getLogger("deepft_lab")


class Spares:
    """Keeps at most one spare. Safe to call from several threads. `seconds`: how long one waits; 0: there is none."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._spare: Spare | None = None
        self._not_before = 0.0
        self._lock = threading.Lock()

    def missing(self) -> bool:
        """True where a spare is wanted and there is none."""
        with self._lock:
            return bool(self.seconds) and self._living() is None and time.monotonic() >= self._not_before

    def ready(self) -> bool:
        """True where a spare has imported everything."""
        with self._lock:
            spare = self._living()
            return spare is not None and spare.ready()

    def prepare(self, place: Allocation, environment: Mapping[str, str]) -> None:
        """Starts a spare for a place of one rank, where memory allows it."""
        if not self.missing() or host.free_memory() < LEAST_MEMORY:
            return
        with self._lock:
            try:
                self._spare = self._spare or Spare(place, environment, self.seconds)
            except OSError as error:  # no more processes, files or memory: a job's own start says so if it lasts
                self._not_before = time.monotonic() + REST_SECONDS
                logger.warning("No worker can be kept ready: %s", error)

    def take(self, spec: JobSpec, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        """Hands a job to the spare. Returns its runner, or None: then there is no spare, and the job has not begun.

        Raises DeepFTError where a spare that did not answer cannot be ended.
        """
        with self._lock:
            spare, self._spare = self._living(), None
        if spare is None:
            return None
        if spare.suits(spec, environment) and spare.take(spec, folder):
            return spare.process
        left = spare.end()
        if left:
            raise DeepFTError(f"Processes {left} that were started ahead could not be ended. Train again.")
        (folder / "runner.json").unlink(missing_ok=True)
        return None

    def close(self) -> None:
        """Ends the spare, and makes no other."""
        with self._lock:
            spare, self._spare, self.seconds = self._spare, None, 0.0
        if spare is not None:
            spare.end()

    def _living(self) -> Spare | None:
        """The spare, unless it has ended. The lock is held."""
        if self._spare is not None and self._spare.process.poll() is not None:
            if self._spare.process.returncode:
                logger.warning("The worker that was kept ready has ended: %s", self._spare.last_words())
                self._not_before = time.monotonic() + REST_SECONDS
            self._spare.end()
            self._spare = None
        return self._spare


class Spare:
    """One runner with its launcher and its worker, and the line to it: when that closes, they end."""

    def __init__(self, place: Allocation, environment: Mapping[str, str], seconds: float) -> None:
        self.name, self.place, self.environment = uuid.uuid4().hex, place, dict(environment)
        self._ready = False
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the spare
        self._line, end = handover.pair()
        gpus = ",".join(map(str, place.gpus))
        with end:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deepft_lab.engines.spare_runner", str(place.threads), gpus, str(seconds)],
                stdin=end.fileno(),
                stdout=self._words,
                stderr=self._words,
                env={**environment, processes.VARIABLE: processes.NOBODY, processes.SPARE: self.name},
                start_new_session=True,
            )

    def ready(self) -> bool:
        with contextlib.suppress(OSError):  # nothing yet
            self._ready = self._ready or self._line.recv(handover.LENGTH, socket.MSG_DONTWAIT) == handover.READY
        return self._ready

    def suits(self, spec: JobSpec, environment: Mapping[str, str]) -> bool:
        """True where the job would be started in the same way."""
        return (
            Allocation(ranks=spec.ranks, threads=spec.threads, gpus=list(spec.gpus)) == self.place
            and environment == self.environment
        )

    def take(self, spec: JobSpec, folder: Path) -> bool:
        """Hands the job over. False where the spare does not say that it has it."""
        until = time.monotonic() + FRESH_SECONDS
        order = handover.Order(job=spec.job, folder=str(folder.absolute()), until=until)
        try:
            self._line.settimeout(ANSWER_SECONDS)
            self._line.send(handover.encode(order))
            while (said := self._line.recv(handover.LENGTH)) == handover.READY:
                pass
        except OSError:  # gone, or too slow
            return False
        if said != handover.TAKEN:
            return False
        self._line.close()
        self._words.close()
        return True

    def end(self) -> list[int]:
        """Kills its processes; returns those that stay."""
        self._line.close()
        left = processes.kill_spare(self.name)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self._words.close()
        return left

    def last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")
