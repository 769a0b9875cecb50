"""A job that waits or runs, as the server holds it in memory."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from deepft_lab.engines.base import Allocation
from deepft_lab.events import EventReader
from deepft_lab.lab.progress import Progress
from deepft_lab.records import Event

logger = logging.getLogger("deepft_lab")


class LiveJob:
    """A job that waits or runs. `lock` is held while it is started, stopped, collected or cancelled."""

    def __init__(self, row: RowMapping, folder: Path) -> None:
        self.row = row
        self.folder = folder
        self.view = Progress()
        self.handle: str | None = row["handle"]
        self.lock = threading.Lock()
        self.reading = threading.Lock()
        self.gone = False  # ended or deleted; what still holds it must leave it alone
        self.stop_asked = (folder / "stop").exists()
        self.polled = 0.0
        self.told = 0.0
        self.found = time.monotonic()
        self._reader = EventReader(folder / "events.jsonl")
        self._size = -1

    @property
    def job(self) -> str:
        return self.row["job"]

    @property
    def waits(self) -> bool:
        return self.row["state"] == "queued"

    @property
    def allocation(self) -> Allocation:
        given = self.row["allocation"]
        return msgspec.convert(given, Allocation) if given else Allocation(ranks=1, threads=1)

    def begin_again(self) -> None:
        """Another attempt of it is queued: what the one before said of its end is no longer so."""
        self.view.said_end, self.view.state, self.view.reason, self.view.cpu_seconds = False, "starting", "", 0.0
        self.view.preparing = ""
        self.handle, self.stop_asked = None, False

    def new_events(self) -> list[Event]:
        """Looks at the file's size first, which costs next to nothing."""
        try:
            size = (self.folder / "events.jsonl").stat().st_size
        except OSError:
            return []
        if size == self._size:
            return []
        self._size = size
        return self._reader.read()


def note(folder: Path, what: str, **more: Any) -> None:
    """A line of engine.jsonl: what the server did with the job, for whoever looks for a fault."""
    line = msgspec.json.encode({"time": time.time(), "what": what, **more}) + b"\n"
    try:
        with (folder / "engine.jsonl").open("ab") as file:
            file.write(line)
    except OSError as error:
        logger.warning("%s: %s", folder, error)
