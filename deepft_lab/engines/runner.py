"""The first process of a job: `python -m deepft_lab.engines.runner JOB_FOLDER`.

Leads a session of its own and adopts every orphan below it, so the job lives on when the server is killed. It starts
`accelerate launch`, which starts the ranks; when the launcher ends, or on SIGTERM, it kills whatever still carries the
job's id and writes exit.json. It imports next to nothing, so it is up at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from deepft_lab import spec as job_folder
from deepft_lab.engines import processes
from deepft_lab.engines.base import Allocation

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
LOG_LINES = 12  # of the log, as the message of exit.json
WORKER = "deepft_lab.worker"

# Activations of a step are given back to the kernel and faulted in again at the next, which costs a CPU as much time
# as the network itself. With these settings glibc keeps them.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30), "MALLOC_TOP_PAD_": str(64 * 2**20)}

# A thread that has nothing to do sleeps. Spinning, the default, makes a job ten times slower when anything else runs.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}


def main(folder: Path) -> int:
    """Runs the job of a folder to its end. Returns 0; how the job went stands in exit.json."""
    started = time.time()
    lead()
    write_identity(folder, started)
    spec = job_folder.read(folder / "spec.json", job_folder.JobSpec)
    return attend(spec, folder, started, lambda: _launch(spec, folder))


def lead() -> None:
    """Makes this process the head of a session to which every orphan below it comes."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # by the launcher too, which inherits it: only ranks listen to it


def write_identity(folder: Path, started: float) -> None:
    job_folder.write(folder / "runner.json", {"process": processes.identity(os.getpid()), "started": started})


def attend(
    spec: job_folder.JobSpec, folder: Path, started: float, launch: Callable[[], int],
    collect: Callable[[], None] = lambda: None,
) -> int:  # fmt: skip
    """Starts the launcher by `launch`, which gives its pid, sees the job to its end and writes exit.json.

    `collect` is called when every process has ended, and brings what they printed elsewhere into the log.
    """
    told_to_end: list[int] = []

    def end(number: int, frame: object) -> None:
        told_to_end.append(number)
        _kill(spec.job)

    signal.signal(signal.SIGTERM, end)
    kills_before = _memory_kills()
    launcher = launch()
    if told_to_end:  # before there was anything to kill
        _kill(spec.job)
    status = _wait(launcher)
    processes.kill_carriers(spec.job, reap=True)
    collect()

    code = os.waitstatus_to_exitcode(status)
    tail = _tail(folder / "log.txt")
    ended_by = int(signal.SIGTERM) if told_to_end else -code if code < 0 else _signal_in(tail) if code else None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    ending = job_folder.Exit(
        code=code if code >= 0 else None,
        signal=ended_by,
        out_of_memory=not told_to_end and _memory_kills() > kills_before,
        started=started,
        ended=time.time(),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        message="" if code == 0 or told_to_end else "\n".join(tail),
    )
    job_folder.write(folder / "exit.json", ending)
    return 0


def command(spec: job_folder.JobSpec, folder: Path) -> list[str]:
    """`accelerate launch` with everything stated, so that no default of the user's own changes the run."""
    options: list[str] = []
    if spec.ranks > 1:
        # On CPUs too: `--cpu --num_processes 2` starts one process without a word.
        options += ["--multi_gpu", "--main_process_port", "0"]
    return launch_command(str(folder / "accelerate.yaml"), str(folder), options)


def launch_command(settings: str, argument: str, options: Sequence[str] = ()) -> list[str]:
    """`accelerate launch` of the worker by a file of settings; `argument` is the worker's."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", settings, *options]
    return [*launcher, "-m", WORKER, argument]


def launcher_settings(place: job_folder.JobSpec | Allocation) -> dict[str, object]:
    """The content of accelerate.yaml."""
    gpus = bool(place.gpus)
    return {
        "compute_environment": "LOCAL_MACHINE",
        "debug": False,
        "distributed_type": "MULTI_GPU" if place.ranks > 1 else "NO",
        "downcast_bf16": "no",
        "gpu_ids": "all",  # CUDA_VISIBLE_DEVICES says which
        "machine_rank": 0,
        "main_training_function": "main",
        "mixed_precision": "no",  # the worker chooses: bf16 where the GPU has it
        "num_machines": 1,
        "num_processes": place.ranks,
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": not gpus and place.ranks == 1,
    }


def environment(spec: job_folder.JobSpec) -> dict[str, str]:
    """The job's environment: its id, its threads, its GPUs."""
    return variables(spec, spec.job)


def variables(place: job_folder.JobSpec | Allocation, job: str) -> dict[str, str]:
    """The environment of a job at a place."""
    found = {
        **os.environ,
        processes.VARIABLE: job,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # nvidia-smi's, by which GPUs were given
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, place.gpus)),
        "ACCELERATE_USE_CPU": str(not place.gpus).lower(),
        "PYTHONUNBUFFERED": "1",
        **ALLOCATOR,
        **WAITING,
        **thread_counts(place.threads),
    }
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        found.pop(name, None)  # of a launcher that the server itself may stand under
    return found


def thread_counts(threads: int) -> dict[str, str]:
    """What the numerical libraries read; always stated, since a launcher's default is one thread."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


def _launch(spec: job_folder.JobSpec, folder: Path) -> int:
    """Starts the launcher with its output in log.txt; returns its pid."""
    arguments = command(spec, folder)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    pid = os.posix_spawn(arguments[0], arguments, environment(spec), file_actions=actions)
    os.close(log)
    return pid


def _wait(launcher: int) -> int:
    """The launcher's wait status. Orphans that come to us meanwhile are reaped."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == launcher:
            return status


def _kill(job: str) -> None:
    processes.kill_carriers(job, seconds=2.0)


def _tail(log: Path) -> list[str]:
    """The last lines of the log that say something."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-LOG_LINES:]


def _signal_in(lines: list[str]) -> int | None:
    """A rank's signal is known to the launcher alone, which prints its name."""
    named = [name for line in lines for name in re.findall(r"\bSIG[A-Z]{2,}\b", line)]
    return int(getattr(signal, named[-1])) if named and hasattr(signal, named[-1]) else None


def _memory_kills() -> int:
    """How often the kernel has killed for memory in this control group; 0 where that cannot be read."""
    total = 0
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "":
                total += _count(Path("/sys/fs/cgroup") / group.lstrip("/") / "memory.events")
            elif "memory" in controllers.split(","):
                for place in (group.lstrip("/"), ""):
                    total += _count(Path("/sys/fs/cgroup/memory") / place / "memory.oom_control")
    return total


def _count(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


@contextlib.contextmanager
def failing_in_words(folder: Path, wanted: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """What a runner cannot do for lack of room or of a file is told in exit.json, where that is still `wanted`."""
    try:
        yield
    except (OSError, msgspec.MsgspecError) as error:
        if wanted():
            ending = job_folder.Exit(code=1, message=f"The runner failed: {error}")
            job_folder.write(folder / "exit.json", ending)
        raise


if __name__ == "__main__":
    job = Path(sys.argv[1]).absolute()
    with failing_in_words(job):
        sys.exit(main(job))
