"""events.jsonl: what a job says, one JSON object a line, written by the worker's first rank alone.

Kinds and their data:
    started     ranks, device, precision, threads, train, validation, epochs, steps_per_epoch, steps, lrate,
                best_metric, stored_side (pixels; null: whole pictures), decoded (pictures that the cache did not have),
                gathering and settling (seconds of decoding, of what is computed once), micro_batch,
                weights {file, sha256} (of the pretrained file)
    preparing   what (in words), share (0..1): now and then before `started`, where it takes seconds
    step        epoch, loss, lrate, images_per_second, seconds_left, memory (bytes, without the pages of cached pictures
                that the system may drop), gpu_memory, gpu_utilisation, cpu
    epoch       epoch, train_loss, metrics {name: value}, metrics_by_concept {concept: {name: value}}, best, seconds
    preview     epoch, images (records.Preview: the same validation images each time), seconds
    checkpoint  epoch, path, seconds
    quote       seconds, memory (bytes a rank), gpu_memory, micro_batch, source (probe or run), warm_up (seconds of
                compiling; only there where the network is compiled). Of a job that only measures, source is sample, and
                there are steps, epochs, parts {start, decoding, training, evaluation: seconds}, cpu_seconds and
                cpu_taken (of the ranks alone: what the job would take, what measuring took)
    measuring   share (0..1): how far a job is that only measures
    warning     message
    stopping    reason
    resumed     from_step
    finished    metrics, metrics_by_concept, best_epoch
    failed      reason, traceback

`seq` counts from 1 without gaps over all attempts. A resumed worker cuts a torn last line, goes on counting and says
`resumed{from_step}`: :func:`fold` then drops the later steps of the attempts before. One that found no checkpoint says
`resumed{from_step: 0}` and begins anew, with `started`; one that goes on does not say `started` again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from deepft_lab.records import Event

_ENDINGS = ("stopping", "finished", "failed")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class EventWriter:
    """Appends events to a file. Each line is flushed, so a reader sees it at once."""

    def __init__(self, path: str | Path, attempt: int = 1) -> None:
        self.attempt = attempt
        self.seq = cut_torn_line(path)
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115 - lives as long as the writer

    def write(self, kind: str, step: int = 0, **data: Any) -> Event:
        """Appends one event and gives it back. Raises OSError, and leaves no torn line, where there is no room."""
        event = Event(seq=self.seq + 1, attempt=self.attempt, step=step, time=time.time(), kind=kind, data=data)
        left = _encode(event) + b"\n"
        begin = self._file.seek(0, os.SEEK_END)
        try:
            while left:  # a disk that is nearly full takes only a part of it
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(begin)
            raise
        self.seq = event.seq
        return event

    def close(self) -> None:
        self._file.close()


class EventReader:
    """Follows a file that grows. Each call of `read` gives the complete lines since the last."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._offset = 0

    def read(self) -> list[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        end = content.rfind(b"\n") + 1
        self._offset += end
        return [_decode(line) for line in content[:end].splitlines() if line]


def cut_torn_line(path: str | Path) -> int:
    """Cuts an incomplete last line, which a killed writer may leave, and gives the last sequence number (0: none)."""
    path = Path(path)
    if not path.exists():
        return 0
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
    lines = content[:end].splitlines()
    return _decode(lines[-1]).seq if lines else 0


def fold(events: Iterable[Event]) -> list[Event]:
    """The view without doubles: at each `resumed{from_step}`, what was said before of later steps is dropped.

    From step 0 nothing of what was said before stays; how an earlier attempt ended never does.
    """
    folded: list[Event] = []
    for event in events:
        if event.kind == "resumed":
            from_step = int(event.data.get("from_step", 0))
            folded = [e for e in folded if 0 < from_step >= e.step and e.kind not in _ENDINGS]
        folded.append(event)
    return folded
