"""The first process of a job that was started ahead: `python -m deepft_lab.engines.spare_runner THREADS GPUS SECONDS`.

It starts `accelerate launch` of a worker that imports what jobs need and then waits. Standard input is the server's
end of the line (`handover.py`): when a job comes, this is its runner from there on, as if started by `runner.py`; when
none comes within SECONDS, or the server is gone, it ends with all that is below it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from deepft_lab import spec as job_folder
from deepft_lab.engines import handover, processes, runner
from deepft_lab.engines.base import Allocation
from deepft_lab.errors import DeepFTError

ANSWER_SECONDS = 1.0  # for a worker that has nothing to do but to answer


class Spare:
    """What waits: this process, the launcher and the worker, and the lines between them."""

    def __init__(self, place: Allocation) -> None:
        self.server = socket.socket(fileno=os.dup(0))
        self.words = os.dup(1)  # a file of the server's, with what was printed before there was a job
        self.worker, workers_end = handover.pair()
        self.ready = self.taken = False
        with workers_end, tempfile.TemporaryFile() as settings:
            settings.write(msgspec.json.encode(runner.launcher_settings(place)))  # JSON is YAML too
            settings.flush()
            os.set_inheritable(settings.fileno(), True)
            arguments = runner.launch_command(f"/dev/fd/{settings.fileno()}", "--wait")
            self.launcher = os.posix_spawn(
                arguments[0], arguments, runner.variables(place, processes.NOBODY),
                file_actions=[(os.POSIX_SPAWN_DUP2, workers_end.fileno(), 0)],
            )  # fmt: skip

    def wait(self, seconds: float) -> handover.Order | None:
        """The job to take; None where there will be none: the server is gone, or time is over. Raises DeepFTError."""
        deadline = time.monotonic() + seconds
        while True:
            waiting = [self.server, self.worker]
            heard, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
            if not heard:
                return None
            if self.worker in heard:
                self.hear()
            if self.server in heard:
                message = handover.receive(self.server)
                order = handover.decode(message) if message else None
                return order if order and time.monotonic() < order.until else None

    def hear(self) -> None:
        """The worker's word that it is ready. Raises DeepFTError where it has ended."""
        if handover.receive(self.worker) != handover.READY:
            raise DeepFTError("The worker that was started ahead has ended.")
        self.ready = True
        with contextlib.suppress(OSError):  # a server that is gone is seen where it is listened to
            self.server.send(handover.READY)

    def hand(self, order: handover.Order) -> int:
        """Gives the job to the worker and says that it is taken. Returns the launcher's pid. Raises DeepFTError.

        A worker that still imports gets the job when it is ready. What becomes of it then becomes of the job.
        """
        if not processes.identity(self.launcher):
            raise DeepFTError("The launcher that was started ahead has ended.")
        at_once = self.ready
        if at_once:
            self.worker.send(handover.encode(order))
            self.worker.settimeout(ANSWER_SECONDS)
            if handover.receive(self.worker) != handover.TAKEN:
                raise DeepFTError("The worker that was started ahead did not take the job.")
        handover.print_to_log(Path(order.folder))
        self.taken = True
        with contextlib.suppress(OSError):  # the job outlives a server that is killed now
            self.server.send(handover.TAKEN)
        self.server.close()
        handover.read_nothing()
        if not at_once and handover.receive(self.worker) == handover.READY:
            with contextlib.suppress(ConnectionError):
                self.worker.send(handover.encode(order))
        return self.launcher

    def collect(self, folder: Path) -> None:
        """Brings what the launcher said, and what was said before there was a job, into the job's log."""
        size = os.fstat(self.words).st_size
        with contextlib.suppress(OSError), (folder / "log.txt").open("ab") as log:
            log.write(os.pread(self.words, size, 0))


def main(place: Allocation, seconds: float) -> int:
    """Returns 0 where a job was seen to its end, or none came."""
    runner.lead()
    spare = Spare(place)
    try:
        order = spare.wait(seconds)
        return 0 if order is None else _run(spare, order)
    except (OSError, msgspec.MsgspecError, DeepFTError) as error:
        if spare.taken:
            raise
        print(error, file=sys.stderr)  # the server starts the job in the usual way
        return 1
    finally:
        processes.kill_spare(os.environ[processes.SPARE])


def _run(spare: Spare, order: handover.Order) -> int:
    folder, started = Path(order.folder), time.time()

    def launch() -> int:
        runner.write_identity(folder, started)
        return spare.hand(order)

    processes.carry(order.job)
    spec = job_folder.read(folder / "spec.json", job_folder.JobSpec)
    with runner.failing_in_words(folder, lambda: spare.taken):
        return runner.attend(spec, folder, started, launch, lambda: spare.collect(folder))


if __name__ == "__main__":
    gpus = [int(gpu) for gpu in sys.argv[2].split(",") if gpu]
    sys.exit(main(Allocation(ranks=1, threads=int(sys.argv[1]), gpus=gpus), float(sys.argv[3])))
