"""What the lab asks of an engine. The job folder is the whole contract with the worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from deepft_lab.records import Machine


class Allocation(msgspec.Struct, frozen=True):
    """What a job may use: `ranks` processes, each with `threads` CPU threads, and these GPUs (none: CPU)."""

    ranks: int
    threads: int
    gpus: list[int] = []


class Engine(Protocol):
    """Starts, watches and ends jobs. Every call may block for a moment; none imports torch."""

    name: str

    def machine(self) -> Machine:
        """What there is, and what is free now. `running`, `waiting` and `Gpu.job` are filled in by the lab."""
        ...

    def allocate(self, num_gpus: int, running: Sequence[Allocation]) -> Allocation | None:
        """A place for a job beside those that run, or None: it must wait.

        On a CPU-only machine `num_gpus` is the number of ranks.
        """
        ...

    def submit(self, folder: Path) -> str:
        """Starts the job of a folder that holds its complete spec. Returns a handle: text that finds it again."""
        ...

    def prepare(self, running: Sequence[Allocation]) -> None:
        """Somebody is about to train, beside these jobs: what makes the next start quick may be done. Never fails."""
        ...

    def poll(self, handle: str, folder: Path) -> bool:
        """True while any process of the job lives. Then `exit.json` is there, unless the runner itself was killed."""
        ...

    def cancel(self, handle: str, folder: Path) -> None:
        """Ends every process of the job and returns when they are gone (within 5 s)."""
        ...

    def close(self) -> None:
        """Ends what `prepare` has started. Jobs go on."""
        ...
