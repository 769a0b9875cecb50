"""What is asked of a running job: to stop and keep the best, to save itself, to end. All ranks hear it at one step."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator

_EVERY = 10  # steps between two talks of ranks on GPUs, which cost a wait each; on CPUs each step

caught: set[int] = set()  # signals that came while :func:`listening`


class Asked(NamedTuple):
    stop: bool = False  # by the file `stop`: keep the best
    late: bool = False  # by the clock: the time limit is over
    save: bool = False  # by the clock, or by SIGUSR1: write a checkpoint and go on
    end: bool = False  # by SIGTERM: write a checkpoint and end


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """While it lasts SIGTERM and SIGUSR1 are heard at the next step. Does nothing outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught.clear()
    before = {number: signal.signal(number, _catch) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _catch(number: int, frame: object) -> None:
    caught.add(number)


def asked(folder: Path, accelerator: Accelerator, step: int, *, late: bool, due: bool) -> Asked:
    """What is asked after this step. `late` and `due` are the first rank's word on its clock."""
    ended, told = signal.SIGTERM in caught, signal.SIGUSR1 in caught
    caught.discard(signal.SIGUSR1)
    stop = os.path.exists(folder / "stop")  # noqa: PTH110 - a third of Path.exists, at every step
    if accelerator.num_processes == 1:
        return Asked(stop, late, due or told, ended)
    if accelerator.device.type == "cuda" and step % _EVERY:
        if told:
            caught.add(signal.SIGUSR1)
        return Asked()
    first = accelerator.is_main_process
    words = [first and stop, first and late, (first and due) or told, ended]
    said = torch.tensor([float(word) for word in words], device=accelerator.device)
    return Asked(*(count > 0 for count in accelerator.reduce(said, "sum").tolist()))
