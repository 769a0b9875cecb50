"""Where a run stands: written after an epoch, on a clock and at signals. Killed, it goes on from there, to the bit.

`checkpoints/last.pt` holds the network, the optimizer, the scaler, the averaged network and the fields of :class:`Run`.
No random state is in it: what is drawn depends on seed, epoch and step alone (`data.py`, `gradients.seed_step`), and
learning rates are a function of the step. Tensors and plain values only, so it is read without running any code.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from deepft_lab.errors import DeepFTError
from deepft_lab.spec import CHECKPOINT
from deepft_lab.training import checkpoints
from deepft_lab.training.averaging import Average
from deepft_lab.training.task import Figures

FORMAT = 1
LAST = CHECKPOINT
EVERY = 60.0  # seconds of training between two checkpoints ...
SHARE = 0.01  # ... and more where writing one took more than this share of them
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclasses.dataclass
class Run:
    """The numbers of a run. `step` counts from the start of training, `in_epoch` from that of `epoch`."""

    step: int = 0
    epoch: int = 1
    in_epoch: int = 0
    total_loss: float = 0.0  # of the steps of this epoch
    best: list[float] | None = None
    best_epoch: int = 0
    metrics: Figures = dataclasses.field(default_factory=dict)
    metrics_by_concept: dict[str, Figures] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0  # of all attempts
    micro_batch: int = 0  # the largest part of a batch that fitted; 0: not known
    ranks: int = 1


class States:
    """Reads and writes the state of one job; the first rank alone writes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LAST
        self.begun = self.written = time.monotonic()
        self.cost = 0.0  # seconds that the last one took
        self.best_epoch = 0  # that the last one names
        self.before = 0.0  # seconds of earlier attempts
        self.tried = False  # whether one has been read, or writing one was tried

    def read(self, ranks: int) -> tuple[Run, dict[str, Any]] | None:
        """The run as the attempt before left it, and its tensors; None where there is none. Raises DeepFTError."""
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
            run = Run(**content.pop("run"))
        except Exception as error:  # UnpicklingError, RuntimeError, EOFError, TypeError, ...
            raise DeepFTError(
                f"The checkpoint {self.path} cannot be read: {error}. Remove it to start anew."
            ) from error
        if run.ranks != ranks:
            raise DeepFTError(
                f"The checkpoint {self.path} is of {run.ranks} processes and cannot be gone on from by {ranks}: "
                f"batches would be others. Train with num_gpus = {run.ranks}, or remove it to start anew."
            )
        self.best_epoch, self.before, self.tried = run.best_epoch, run.seconds, True
        checkpoints.forget(self.folder, {run.best_epoch})
        return run, content

    @property
    def seconds(self) -> float:
        """How long the job has run, all attempts together."""
        return self.before + time.monotonic() - self.begun

    @property
    def due(self) -> bool:
        return time.monotonic() - self.written >= max(EVERY, self.cost / SHARE)

    def write(
        self, run: Run, model: nn.Module, optimizer: Any, accelerator: Accelerator, average: Average | None
    ) -> str:
        """Writes the state whole. Returns why it could not where there is no room: then the one before stays."""
        begun = time.monotonic()
        self.tried = True
        run.seconds = self.seconds
        content = {
            "format": FORMAT,
            "run": dataclasses.asdict(run),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
            "average": None if average is None else average.model.state_dict(),
        }
        neighbour = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self.path.parent.mkdir(exist_ok=True)
            with neighbour.open("wb", buffering=0) as file:
                sink = _Sink(file)
                try:
                    torch.save(content, sink)  # type: ignore[arg-type]
                except RuntimeError as error:  # torch's own word where a write failed
                    raise sink.error or error from error
                os.fsync(file.fileno())
            neighbour.replace(self.path)
        except OSError as error:
            neighbour.unlink(missing_ok=True)
            if error.errno not in _NO_ROOM:
                raise
            self.written = time.monotonic()  # not at each step from now on
            return f"The disk is full ({self.path.parent})"
        self.written = time.monotonic()
        self.cost = self.written - begun
        self.best_epoch = run.best_epoch
        checkpoints.forget(self.folder, {run.best_epoch})
        return ""


class _Sink:
    """A file that remembers why it could not be written: torch says only that it could not."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        whole = len(left)
        try:
            while left:
                left = left[self.file.write(left) :]
        except OSError as error:
            self.error = error
            raise
        return whole

    def flush(self) -> None:
        self.file.flush()


def restore(
    content: dict[str, Any], model: nn.Module, optimizer: Any, accelerator: Accelerator, average: Average | None
) -> None:
    """Puts the tensors of a state back where they were. Nothing of the file, which the next state replaces, is kept."""
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(_own(content["optimizer"]))  # it would take tensors as they are, mapped from the file
    if accelerator.scaler is not None and content["scaler"]:
        accelerator.scaler.load_state_dict(content["scaler"])
    if average is not None and content["average"] is not None:
        average.model.load_state_dict(content["average"])


def _own(value: Any) -> Any:
    """The same with copies of all tensors."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if isinstance(value, list) else value


class Remaining:
    """The batches of an epoch that are left: an order without its first ones. Set `first`, then iterate."""

    def __init__(self, order: Any) -> None:
        self.order, self.first = order, 0

    def __len__(self) -> int:
        return len(self.order) - self.first

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.order), self.first, None)
