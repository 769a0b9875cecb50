"""The processes of a job, found by what they carry. Linux: everything is read from /proc.

A job's processes inherit the variable DEEPFT_JOB. A process group would not do: elastic starts each rank in a session
of its own. A process is known by pid, start time and boot id, so a pid that was given again is not mistaken for it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

VARIABLE = "DEEPFT_JOB"
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
    """Pids of the living processes that carry the job's id, without the caller."""
    wanted = f"{VARIABLE}={job}".encode()
    own = os.getpid()
    found = []
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        try:
            environment = (_PROC / entry.name / "environ").read_bytes()
        except OSError:  # another user's, or gone meanwhile
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def kill_carriers(job: str, seconds: float = 4.0, reap: bool = False) -> list[int]:
    """Kills every process that carries the job's id, again until none is left. Returns those left after `seconds`.

    `reap`: the caller is their parent or subreaper and takes their exit status, so that none stays as a zombie.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = carriers(job)
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
