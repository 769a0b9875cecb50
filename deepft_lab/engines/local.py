"""The engine of one machine: each job is a runner process of its own, and GPUs go to one job at a time.

A handle is the runner's identity (pid, start time, boot id), so it means the same to a server that was started again.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import yaml

from deepft_lab import spec as job_folder
from deepft_lab.engines import processes, runner
from deepft_lab.engines.base import Allocation
from deepft_lab.engines.spares import Spares
from deepft_lab.errors import DeepFTError
from deepft_lab.records import Gpu, Machine

_GRACE = 2.0  # seconds that the runner has to end its job by itself
_QUERY = "index,name,memory.total,memory.used,utilization.gpu"
_GPU_SECONDS = 2.0  # how long an answer of nvidia-smi is good for ...
_FAILED_SECONDS = 60.0  # ... and how long it rests where it failed, which may take it seconds


class LocalEngine:
    """Starts, watches and ends jobs on this machine. Safe to call from several threads.

    `spare_seconds`: how long processes that :meth:`prepare` started wait for a job. 0: it starts none.
    """

    name = "local"

    def __init__(self, store_path: str | Path = ".", spare_seconds: float = 0.0) -> None:
        self.store_path = Path(store_path)
        self.spares = Spares(spare_seconds)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._gpus: tuple[float, list[Gpu]] = (0.0, [])  # when they are asked for again, and what was said

    def machine(self) -> Machine:
        memory = psutil.virtual_memory()
        return Machine(
            engine=self.name,
            cpus=cores(),
            memory_total=memory.total,
            memory_available=memory.available,
            disk_free=shutil.disk_usage(_existing(self.store_path)).free,
            gpus=self.gpus(),
            running=0,
            waiting=0,
        )

    def allocate(self, num_gpus: int, running: Sequence[Allocation]) -> Allocation | None:
        """Free GPUs for the job alone; without GPUs, the whole machine for one job at a time.

        More than the machine has is cut to what it has; the worker warns of it.
        """
        gpus = [gpu.index for gpu in self.gpus()]
        wanted = max(num_gpus, 1)
        if not gpus:
            ranks = min(wanted, cores())
            return None if running else Allocation(ranks=ranks, threads=max(1, cores() // ranks))
        taken = {index for allocation in running for index in allocation.gpus}
        free = [index for index in gpus if index not in taken]
        wanted = min(wanted, len(gpus))
        if len(free) < wanted:
            return None
        return Allocation(ranks=wanted, threads=max(1, cores() // len(gpus)), gpus=free[:wanted])

    def submit(self, folder: Path) -> str:
        spec = job_folder.read(folder / "spec.json", job_folder.JobSpec)
        settings = yaml.safe_dump(runner.launcher_settings(spec))
        job_folder.write_whole(folder / "accelerate.yaml", settings.encode())
        for left in ("exit.json", "result.json", "stop"):  # of an attempt before
            (folder / left).unlink(missing_ok=True)
        process = self.spares.take(spec, folder, _environment()) or _start(spec, folder)
        handle = processes.identity(process.pid)
        if not handle:
            raise DeepFTError(f"The runner of job {spec.job} ended at once; {folder / 'log.txt'} says why.")
        with self._lock:
            self._children[process.pid] = process
        return handle

    def prepare(self, running: Sequence[Allocation]) -> None:
        """Starts processes that wait for a job, where one of one rank has a place: so none while a CPU trains."""
        if not self.spares.missing():
            return
        place = self.allocate(1, running)
        if place is not None:
            self.spares.prepare(place, _environment())

    def close(self) -> None:
        self.spares.close()

    def poll(self, handle: str, folder: Path) -> bool:
        self._reap()
        handle = handle or _runner_of(folder)
        if processes.alive(handle):
            return True
        job = _job(folder)
        return bool(processes.carriers(job))

    def cancel(self, handle: str, folder: Path) -> None:
        handle, job = handle or _runner_of(folder), _job(folder)
        deadline = time.monotonic() + _GRACE
        if processes.alive(handle):
            os.kill(int(handle.partition(":")[0]), signal.SIGTERM)
            while processes.alive(handle) and time.monotonic() < deadline:
                time.sleep(0.02)
                self._reap()
        left = processes.kill_carriers(job, seconds=2.5)
        self._reap()
        if left:
            raise DeepFTError(
                f"Processes {left} of job {job} could not be ended. They may wait for a disk or a driver."
            )

    def gpus(self) -> list[Gpu]:
        """What nvidia-smi says, at most every two seconds; none where there is no such program.

        Where it fails for once, what it said before stays: a job that found no GPU would train on the CPU.
        """
        with self._lock:
            asked_again, known = self._gpus
            if time.monotonic() >= asked_again:
                found = _nvidia_smi()
                rest = _FAILED_SECONDS if found is None else _GPU_SECONDS if found else math.inf
                self._gpus = (time.monotonic() + rest, known if found is None else found)
            return self._gpus[1]

    def _reap(self) -> None:
        with self._lock:
            self._children = {pid: child for pid, child in self._children.items() if child.poll() is None}


def _start(spec: job_folder.JobSpec, folder: Path) -> subprocess.Popen[bytes]:
    """The runner of a job that has no processes yet."""
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deepft_lab.engines.runner", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**_environment(), processes.VARIABLE: spec.job},
            start_new_session=True,
        )


def _environment() -> dict[str, str]:
    return {**os.environ, **import_path()}


def cores() -> int:
    """CPU cores that this process may use, a container's quota considered."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return count if quota == "max" else max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return count


def _nvidia_smi() -> list[Gpu] | None:
    """None where the program fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        arguments = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
        answer = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    gpus, mebibyte = [], 2**20
    for row in csv.reader(answer.splitlines(), skipinitialspace=True):
        if len(row) != len(_QUERY.split(",")) or not row[0].isdigit():
            continue
        index, name, total, used, utilisation = row
        share = _number(utilisation)
        gpus.append(
            Gpu(
                index=int(index),
                name=name,
                memory_total=int(_number(total) or 0) * mebibyte,
                memory_used=int(_number(used) or 0) * mebibyte,
                utilisation=None if share is None else share / 100,
                job=None,
            )
        )
    return [gpu for gpu in gpus if _ours(gpu.index)]


def _number(text: str) -> float | None:
    """None for `[N/A]`, which a GPU that shares the machine's memory says of it."""
    return float(text) if text.replace(".", "", 1).isdigit() else None


def _ours(index: int) -> bool:
    """False where the server was started with CUDA_VISIBLE_DEVICES, a list of indexes, and this one is not in it."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return True
    visible = [entry.strip() for entry in listed.split(",") if entry.strip()]
    by_index = all(entry.lstrip("-").isdigit() for entry in visible)
    return str(index) in visible if by_index else True


class _JobOfFolder(msgspec.Struct):
    job: str


class _RunnerOfFolder(msgspec.Struct):
    process: str


def _job(folder: Path) -> str:
    """The job's id; where its folder was removed or damaged, the name that the lab gave the folder: the same."""
    try:
        return job_folder.read(folder / "spec.json", _JobOfFolder).job
    except (OSError, msgspec.MsgspecError):
        return folder.name


def _runner_of(folder: Path) -> str:
    """The runner's identity as it wrote it: for a job whose handle was lost."""
    try:
        return job_folder.read(folder / "runner.json", _RunnerOfFolder).process
    except (OSError, msgspec.MsgspecError):
        return ""


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def import_path() -> dict[str, str]:
    """So that the job finds this package when the server runs from a checkout that is not installed."""
    package = str(Path(__file__).parent.parent.parent)
    paths = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{package}{os.pathsep}{paths}" if paths else package}
