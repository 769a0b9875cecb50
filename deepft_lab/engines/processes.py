"""The processes of a job, found by what they carry. Linux: everything is read from /proc.

A job's processes inherit the variable DEEPFT_JOB. A process group would not do: elastic starts each rank in a session
of its own. A process is known by pid, start time and boot id, so a pid that was given again is not mistaken for it.

Processes that were started ahead (`spares.py`) carry DEEPFT_SPARE, the same for all of one spare. Runner and worker
take the id of their job over their own; what stands between them is the job's because its spare is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from deepft_lab.errors import DeepFTError

VARIABLE = "DEEPFT_JOB"
SPARE = "DEEPFT_SPARE"
NOBODY = "-" * 64  # the id of a spare that has no job yet: room for that of its job
_PROC = Path("/proc")


def identity(pid: int) -> str:
    """`pid:start:boot`, where start is in clock ticks since the boot. Empty where no such process lives."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    if fields[0] in ("Z", "X"):
        return ""
    return f"{pid}:{fields[19]}:{boot_id()}"


def alive(known: str) -> bool:
    """True while the process of an `identity` lives."""
    pid = known.partition(":")[0]
    return pid.isdigit() and identity(int(pid)) == known


def boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def carriers(job: str) -> list[int]:
    """Pids of the living processes that carry the job's id or belong to its spare, without the caller."""
    wanted = f"{VARIABLE}={job}".encode()
    found: list[int] = []
    spares: set[bytes] = set()
    others: list[tuple[int, bytes]] = []
    for pid, variables in _environments():
        spare = next((variable for variable in variables if variable.startswith(f"{SPARE}=".encode())), b"")
        if wanted in variables:
            found.append(pid)
            spares.add(spare)
        elif spare:
            others.append((pid, spare))
    found += [pid for pid, spare in others if spare in spares]
    return [pid for pid in found if pid != os.getpid()]


def of_spare(spare: str) -> list[int]:
    """Pids of the living processes of a spare, whatever job they have, without the caller."""
    wanted = f"{SPARE}={spare}".encode()
    return [pid for pid, variables in _environments() if wanted in variables and pid != os.getpid()]


def carry(job: str) -> None:
    """Gives this process, started ahead with `NOBODY`, the id of its job. Raises DeepFTError where that cannot be.

    /proc shows the block of variables that a process began with, so the id is written there, over the old one.
    """
    library = ctypes.CDLL(None)
    library.getenv.restype = ctypes.c_void_p
    address, room = library.getenv(VARIABLE.encode()), len(os.environ.get(VARIABLE, ""))
    written = job.encode()
    if not address or not written or len(written) > room:
        raise DeepFTError(f"A process with {VARIABLE}={os.environ.get(VARIABLE)!r} cannot become one of job {job!r}.")
    ctypes.memmove(address, written.ljust(room, b"\0"), room)
    os.environ[VARIABLE] = job  # for its children
    if f"{VARIABLE}={job}".encode() not in (_PROC / "self/environ").read_bytes().split(b"\0"):
        raise DeepFTError(f"/proc does not show that this process has become one of job {job!r}.")


def kill_carriers(job: str, seconds: float = 4.0, reap: bool = False) -> list[int]:
    """Kills every process that carries the job's id, again until none is left. Returns those left after `seconds`.

    `reap`: the caller is their parent or subreaper and takes their exit status, so that none stays as a zombie.
    """
    return _kill(lambda: carriers(job), seconds, reap=reap)


def kill_spare(spare: str, seconds: float = 4.0) -> list[int]:
    """As :func:`kill_carriers`, every process of a spare."""
    return _kill(lambda: of_spare(spare), seconds)


def reap_children() -> dict[int, int]:
    """Takes the exit status of every child that has ended: {pid: wait status}."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def _kill(living: Callable[[], list[int]], seconds: float, *, reap: bool = False) -> list[int]:
    deadline = time.monotonic() + seconds
    while True:
        left = living()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if reap:
            reap_children()
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    """The variables that each living process began with, but for other users' and those that are gone meanwhile."""
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            try:
                yield int(entry.name), (_PROC / entry.name / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
