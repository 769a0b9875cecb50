"""How a job ended, in words: from result.json, its last events, exit.json and the log."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import msgspec

from deepft_lab import spec
from deepft_lab.lab.progress import Progress
from deepft_lab.records import State

LOG_TAIL = 16 * 1024  # bytes of the log that may tell why
LAST_LINES = 6
LEAST_ROOM = 64 * 1024  # bytes; with less the runner cannot write its last file


class Outcome(msgspec.Struct, kw_only=True):
    """`full_memory`: it failed since memory was full, as its worker said or the system, which ended it."""

    state: State
    reason: str = ""
    ended: float | None = None
    cpu_seconds: float | None = None
    exit_seen: bool = False
    full_memory: bool = False


def settle(folder: Path, view: Progress) -> Outcome:
    """Reads the folder of a job none of whose processes live any more. Puts the result's figures into `view`."""
    ending: spec.Exit | None = _read(folder / "exit.json", spec.Exit)
    result: spec.Result | None = _read(folder / "result.json", spec.Result)
    state: State = "trained" if result is not None and result.outcome == "trained" else "failed"
    outcome = Outcome(state=state, exit_seen=ending is not None)
    if ending is not None:
        outcome.ended = ending.ended or None
        outcome.cpu_seconds = ending.cpu_seconds or None
    if result is not None:
        view.metrics = result.metrics or view.metrics
        view.metrics_by_concept = result.metrics_by_concept or view.metrics_by_concept
        view.best_epoch = result.best_epoch if result.best_epoch is not None else view.best_epoch
        view.warnings += [warning for warning in result.warnings if warning not in view.warnings]
    if state == "failed":
        killed = result is None and ending is not None and ending.out_of_memory
        outcome.full_memory = killed or (result is not None and result.full_memory)
        outcome.reason = (result.reason if result else "") or view.reason or _reason(folder, ending)
    return outcome


def resumable(folder: Path) -> bool:
    """True where another attempt goes on from a checkpoint."""
    return (folder / spec.CHECKPOINT).is_file()


def smaller_part(folder: Path) -> int:
    """Half of what the job computed at a time, for an attempt that takes less memory; 0 where nothing is less."""
    told: spec.InParts | None = _read(folder / spec.MEMORY, spec.InParts)
    job: spec.JobSpec | None = _read(folder / "spec.json", spec.JobSpec)
    if told is None or job is None:  # it ended before its first batch, which is nothing that smaller ones would mend
        return 0
    part = min(told.micro_batch, job.micro_batch or told.micro_batch)
    return -(-part // 2) if part > 1 else 0


def _reason(folder: Path, ending: spec.Exit | None) -> str:
    way_out = "Resume it: its checkpoint is kept." if resumable(folder) else "Train again."
    if not folder.is_dir():
        return f"Its folder {folder} was removed while it ran. Train again."
    if ending is None:
        if _full(folder):
            return f"The disk is full ({folder}): how the job ended could not be written down. Make room. {way_out}"
        return (
            "The job was ended from outside, its runner with it: the machine was restarted, or someone killed it. "
            + way_out
        )
    if ending.out_of_memory:
        return (
            "The job ran out of memory and the system ended it. Choose a smaller batch_size or image_size, "
            "a smaller network, or a machine with more memory."
        )
    if ending.signal:
        name = _signal_name(ending.signal)
        reason = f"The job was ended by the signal {name}"
        if ending.signal == signal.SIGKILL:
            return f"{reason}: someone killed it, or the machine ran out of memory. {way_out}"
        return reason + _last_words(folder, ending)
    if ending.code:
        return f"The job ended with code {ending.code}" + _last_words(folder, ending)
    return "The job ended without a result" + _last_words(folder, ending)


def _full(folder: Path) -> bool:
    """True where the runner said in the log that there was no room, or there is none now."""
    said = any("No space left on device" in line or "Disk quota exceeded" in line for line in _tail(folder / "log.txt"))
    try:
        return said or shutil.disk_usage(folder).free < LEAST_ROOM
    except OSError:
        return said


def _last_words(folder: Path, ending: spec.Exit) -> str:
    """The exception and the lines before it, where the log or the runner tells them."""
    lines = ending.message.splitlines() or _tail(folder / "log.txt")
    words = [line for line in lines if line.strip()][-LAST_LINES:]
    return ":\n" + "\n".join(words) if words else ", and its log says nothing."


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _read(path: Path, kind: type[Any]) -> Any:
    """None where the file is missing, or not what it should be (a full disk, a killed writer)."""
    try:
        return spec.read(path, kind)
    except (OSError, msgspec.MsgspecError):
        return None
