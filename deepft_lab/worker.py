"""The main of a rank: `python -m deepft_lab.worker JOB_FOLDER | --wait`, started by `accelerate launch`.

The first rank writes events.jsonl and result.json. Whatever goes wrong ends as a reason in words. SIGTERM ends it, and
SIGUSR1 has it write its state and go on, each after the step in hand.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from deepft_lab import spec as job_folder
from deepft_lab.errors import DeepFTError
from deepft_lab.events import EventWriter

TRACE_LINES = 20
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FROM_A_LOADER = re.compile(r"^Caught \w+ in DataLoader .*\n\S+: ", re.DOTALL)  # torch's, before the words


def main(folder: Path) -> int:
    """Trains; returns the exit code. `result.json` is there afterwards in any case but a kill."""
    rank = int(os.environ.get("RANK", "0"))
    spec = job_folder.read(folder / "spec.json", job_folder.JobSpec)
    events = EventWriter(folder / "events.jsonl", spec.attempt) if rank == 0 else None
    try:
        return _run(spec, folder, rank, events)
    finally:
        if events is not None:
            events.close()


def _run(spec: job_folder.JobSpec, folder: Path, rank: int, events: EventWriter | None) -> int:
    waiting: list[tuple[str, int, dict[str, Any]]] = []  # events for which there was no room

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if events is None:
            return
        _print(kind, step, data)
        waiting.append((kind, step, data))
        try:
            while waiting:
                kind, step, data = waiting[0]
                events.write(kind, step, **data)
                del waiting[0]
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            waiting[:] = [event for event in waiting if event[0] != "step"]  # of these the next ones tell enough

    try:
        from deepft_lab.training.loop import train  # torch: seconds, and it may fail
        from deepft_lab.training.quoting import measure
        from deepft_lab.training.signals import listening

        with listening():
            result = (measure if spec.quote else train)(spec, folder, say)
    except Exception as error:  # the border: everything ends as words
        traceback.print_exc()
        if _lost_another(error) and not (folder / "result.json").exists():
            return 1  # how that one ended is what the job ended by, and the runner sees it
        lines = traceback.format_exc().splitlines()[-TRACE_LINES:]
        result = job_folder.Result(outcome="failed", reason=in_words(error, spec, rank), full_memory=_is_full(error))
        if (folder / "result.json").exists():
            first = job_folder.read(folder / "result.json", job_folder.Result)
            if not first.reason.endswith(result.reason):  # the cause; this rank only missed the one that failed
                result = first
        say("failed", reason=result.reason, traceback="\n".join(lines))
    if rank == 0 or (result.outcome == "failed" and not (folder / "result.json").exists()):
        _leave(folder, result)
    return 0 if result.outcome == "trained" else 1


def _leave(folder: Path, result: job_folder.Result) -> None:
    """Writes result.json. The checkpoints of a trained job go only then: killed before, it is gone on with."""
    if result.outcome != "trained":
        job_folder.write(folder / "result.json", result)
        return
    from deepft_lab.training import checkpoints

    try:
        job_folder.write(folder / "result.json", result)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        checkpoints.clear(folder)  # which makes room
        job_folder.write(folder / "result.json", result)
    checkpoints.clear(folder)


def _lost_another(error: Exception) -> bool:
    """True where a rank waited for one that the system has ended; one that fails leaves its reason before."""
    return isinstance(error, RuntimeError) and "gloo" in str(error) and "by peer" in str(error)


def _is_full(error: Exception) -> bool:
    memory = sys.modules.get("deepft_lab.training.memory")  # torch itself may be what failed
    return memory is not None and memory.is_full(error)


def in_words(error: Exception, spec: job_folder.JobSpec, rank: int = 0) -> str:
    """Why the job failed, and what to do next."""
    if isinstance(error, DeepFTError):
        reason = FROM_A_LOADER.sub("", error.message).strip()
    elif type(error).__name__ == "OutOfMemoryError":
        reason = (
            f"The GPU's memory is full with batch_size = {spec.values.get('batch_size')} and "
            f"image_size = {spec.values.get('image_size')}. Take a smaller batch_size."
        )
    elif isinstance(error, MemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error):
        reason = f"The machine's memory is full. Take a smaller batch_size than {spec.values.get('batch_size')}."
    elif isinstance(error, OSError) and error.errno in NO_ROOM:
        reason = f"The disk is full ({error.filename or 'in the job folder'}). Make room and train again."
    else:
        reason = f"{type(error).__name__}: {error}"
    return reason if rank == 0 else f"Rank {rank}: {reason}"


def _print(kind: str, step: int, data: dict[str, Any]) -> None:
    """One line of the log for what a person reads there."""
    if kind == "started":
        print(
            f"{data['train']} inputs to train on, {data['validation']} to validate on; {data['epochs']} epochs of "
            f"{data['steps_per_epoch']} steps at a learning rate of {data['lrate']:g}; "
            f"{data['ranks']} x {data['device']}, {data['precision']}, {data['threads']} threads",
            flush=True,
        )
    elif kind == "epoch":
        figures = "  ".join(f"{name} {value:.4f}" for name, value in data["metrics"].items() if value is not None)
        best = "  best" if data["best"] else ""
        print(
            f"epoch {data['epoch']}: train loss {data['train_loss']:.4f}  {figures}  ({data['seconds']:.1f} s){best}",
            flush=True,
        )
    elif kind in ("warning", "stopping", "failed"):
        print(f"{kind}: {data.get('message') or data.get('reason')}", flush=True)
    elif kind == "finished":
        print(f"finished after step {step}; the best is epoch {data['best_epoch']}", flush=True)


def _awaited() -> Path:
    """The folder of a job for which this process was started ahead."""
    from deepft_lab.engines import handover
    from deepft_lab.training import ahead

    ahead.prepare()
    return handover.wait()


def end(code: int) -> NoReturn:
    """Ends this process without Python's own ending, which with torch takes a second.

    And threads of gloo live as long as the network's wrapper: one that lets go of a tensor while Python ends aborts
    the process, and a run of several ranks that was over would have failed.
    """
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main(_awaited() if sys.argv[1] == "--wait" else Path(sys.argv[1]).absolute()))
