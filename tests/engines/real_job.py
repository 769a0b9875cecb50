"""A real job of the engine, and what tests ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import job_folders
from coloured import coloured

from deepft_lab import spec
from deepft_lab.engines import processes
from deepft_lab.engines.local import LocalEngine
from deepft_lab.events import EventReader
from deepft_lab.records import Event

LONG = 600  # epochs of a run that is ended from outside
STARTED = 120.0  # seconds within which a job must have made its first step, on a busy machine
VALUES = {"pretrained_weights": "None", "image_size": 32, "batch_size": 4, "per_item_lrate": 1e-4, "warmup_iters": 0}


class Job:
    """A job folder and what the tests ask of it."""

    def __init__(self, folder: Path, engine: LocalEngine | None = None, **options: Any) -> None:
        self.folder = folder
        self.spec = job_folders.make(folder, coloured(16), coloured(4, first=500), **{**VALUES, **options})
        self.engine = engine or LocalEngine(folder)
        self.reader, self.seen = EventReader(folder / "events.jsonl"), list[Event]()

    def events(self, kind: str) -> list[Event]:
        self.seen += self.reader.read()
        return [event for event in self.seen if event.kind == kind]

    def ranks(self) -> list[int]:
        """Pids of the worker processes, without runner and launcher."""
        found = []
        for pid in processes.carriers(self.spec.job):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"deepft_lab.worker" in words and b"accelerate.commands.launch" not in words:
                found.append(pid)
        return found

    def wait(self, what: Callable[[], Any], seconds: float = STARTED) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := what()):
            log = self.folder / "log.txt"
            assert time.monotonic() < deadline, log.read_text() if log.exists() else "no log"
            time.sleep(0.05)
        return found

    def ending(self) -> spec.Exit:
        return spec.read(self.folder / "exit.json", spec.Exit)
