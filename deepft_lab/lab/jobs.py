"""The queue and its jobs: starts them in order, follows what they say, collects how they end.

Two threads: one reads the events of running jobs every tenth of a second, one asks the engine and starts what waits.
The truth is the database (what was asked) and the job folders (what became of it), so both can be read again after the
server was killed: no job starts twice, no event is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import RowMapping, update

from deepft_lab import spec
from deepft_lab.engines.base import Allocation
from deepft_lab.errors import Conflict, DeepFTError
from deepft_lab.lab import ledger, outcome, versions
from deepft_lab.lab.live import LiveJob, note
from deepft_lab.lab.progress import Progress, apply
from deepft_lab.records import FINISHED, ModelVersion
from deepft_lab.store import tables as t

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

FOLLOW_SECONDS = 0.1
POLL_SECONDS = 0.5
VERSION_SECONDS = 0.5  # between two messages of a version while only steps come
LOST_SECONDS = 3.0  # how long a runner may take to appear that was started just before the server was killed

_FRESH = {  # of a version that is queued again
    "state": "queued", "started": None, "ended": None, "reason": "", "handle": None, "allocation": None,
    "outcome": None,
}  # fmt: skip

logger = logging.getLogger("deepft_lab")


class Jobs:
    """The unfinished jobs, in the order of the queue."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._unfinished: dict[str, LiveJob] = {}
        self._stopping = threading.Event()
        self._wake_follower = threading.Event()
        self._wake_starter = threading.Event()
        self._threads: list[threading.Thread] = []

    # -- life --

    def load(self) -> None:
        """Reads the unfinished versions and what their jobs have said so far."""
        with self._lab.database.reading() as connection:
            unfinished = versions.rows().where(t.versions.c.state.not_in(FINISHED)).order_by(t.versions.c.key)
            rows = connection.execute(unfinished).mappings().all()
        for row in rows:
            self._unfinished[row["job"]] = live = LiveJob(row, self._lab.job_folder(row["job"]))
            self._follow(live)

    def start(self) -> None:
        for name, loop in (("deepft-events", self._follow_all), ("deepft-jobs", self._tend_all)):
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Ends the threads and leaves the jobs running."""
        self._stopping.set()
        self._wake_follower.set()
        self._wake_starter.set()
        for thread in self._threads:
            thread.join()

    @property
    def unfinished(self) -> list[LiveJob]:
        with self._lab.hub.lock:
            return list(self._unfinished.values())

    # -- what others ask --

    def add(self, row: RowMapping) -> None:
        """A version that was queued."""
        self._queue(self._take(row), "queued")

    def wake(self) -> None:
        """Looks for places at once."""
        self._wake_starter.set()

    def _take(self, row: RowMapping) -> LiveJob:
        return LiveJob(row, self._lab.job_folder(row["job"]))

    def _queue(self, live: LiveJob, how: str) -> None:
        note(live.folder, how)
        with self._lab.hub.lock:
            self._unfinished[live.job] = live
            self._lab.hub.version(self._record(live))
        self._wake_starter.set()

    def stop(self, row: RowMapping) -> None:
        """Asks a running job to stop and keep its best. Raises Conflict."""
        live = self._unfinished.get(row["job"])
        if live is None:
            versions.refuse_unless_running(row, row["state"])
            return
        with live.lock:
            versions.refuse_unless_running(live.row, live.row["state"])
            if not live.gone:
                (live.folder / "stop").touch()
                live.stop_asked = True
        with self._lab.hub.lock:
            self._lab.hub.version(self._record(live))

    def resume(self, row: RowMapping) -> None:
        """Queues the next attempt of a failed version, in its own job folder. Raises Conflict."""
        folder, name, attempt = self._lab.job_folder(row["job"]), row["id"], row["attempt"] + 1
        if row["state"] != "failed":
            raise Conflict(f"Only a failed version can be resumed; {name} is {row['state']}.")
        if not outcome.resumable(folder):
            raise Conflict(f"{name} has no checkpoint to go on from ({folder / spec.CHECKPOINT}). Train again.")
        with self._lab.database.writing() as connection:
            mine = (t.versions.c.job == row["job"]) & (t.versions.c.attempt == row["attempt"])
            mine &= t.versions.c.state == "failed"
            if not connection.execute(update(t.versions).where(mine).values(_FRESH | {"attempt": attempt})).rowcount:
                raise Conflict(f"{name} is resumed already.")
            _next_attempt(folder, attempt)
        queued = self._row(row["job"])
        if queued is not None:
            live = self._take(queued)
            for event in live.new_events():  # what was said before is known to whoever asked for it
                apply(live.view, event)
            live.begin_again()
            self._queue(live, "resumed")

    def cancel(self, job: str) -> None:
        """Ends a job in whatever state it is, marks its version as deleted and removes its files."""
        live = self._unfinished.get(job)
        if live is not None:
            with live.lock:
                if not live.gone:
                    if not live.waits:
                        note(live.folder, "cancelled")
                        self._lab.engine.cancel(live.handle or "", live.folder)
                    self._follow(live)
                    ended = outcome.settle(live.folder, live.view)
                    ended.state, ended.reason = "deleted", ""
                    self._close(live, ended)
        self._mark_deleted(job)
        self._lab.remove_job_folder(job)

    def record(self, row: RowMapping) -> ModelVersion:
        """The version as it is now: live where its job is unfinished."""
        if row["state"] not in FINISHED:
            with self._lab.hub.lock:
                live = self._unfinished.get(row["job"])
                if live is not None:
                    return self._record(live)
            # It may have ended since the row was read.
            row = self._row(row["job"]) or row
        view = msgspec.convert(row["outcome"], Progress) if row["outcome"] else Progress()
        resumable = row["state"] == "failed" and outcome.resumable(self._lab.job_folder(row["job"]))
        return versions.build(row, view, state=row["state"], queue_place=None, stopping=False, resumable=resumable)

    def find(self, job: str) -> ModelVersion | None:
        row = self._row(job)
        return self.record(row) if row else None

    def unfinished_records(self) -> list[ModelVersion]:
        with self._lab.hub.lock:
            return [self._record(live) for live in self._unfinished.values()]

    def cpu_seconds(self, job: str) -> float:
        live = self._unfinished.get(job)
        return live.view.cpu_seconds if live else 0.0

    # -- following --

    def _follow_all(self) -> None:
        while not self._stopping.is_set():
            running = [live for live in self.unfinished if not live.waits]
            for live in running:
                try:
                    self._follow(live)
                except Exception:  # a border: one job's broken file must not silence the others
                    logger.exception("The events of job %s cannot be read", live.job)
            if running:
                self._stopping.wait(FOLLOW_SECONDS)
            else:
                self._wake_follower.wait()
                self._wake_follower.clear()

    def _follow(self, live: LiveJob) -> None:
        """Takes in what a job has said since the last time, and tells the subscribers."""
        with live.reading:
            events = [event for event in live.new_events() if event.seq > live.view.last_seq]
            if not events:
                return
            with self._lab.hub.lock:
                version = self._record(live)
                for event in events:
                    apply(live.view, event)
                    self._lab.hub.event(version, event)
                now = time.monotonic()
                if any(event.kind != "step" for event in events) or now - live.told > VERSION_SECONDS:
                    live.told = now
                    self._lab.hub.version(self._record(live))
        if live.view.said_end:
            self._wake_starter.set()

    # -- starting and collecting --

    def _tend_all(self) -> None:
        while not self._stopping.is_set():
            try:
                self._tend()
            except Exception:  # a border: a full disk or an engine that fails now may work a moment later
                logger.exception("The queue could not go on; it tries again")
                self._stopping.wait(POLL_SECONDS)
            live = self.unfinished
            ending = any(job.view.said_end for job in live)
            busy = bool(live) or self._lab.quotes.open
            self._wake_starter.wait(FOLLOW_SECONDS if ending else POLL_SECONDS if busy else None)
            self._wake_starter.clear()  # before the next look, so that nothing queued meanwhile is missed

    def _tend(self) -> None:
        for live in self.unfinished:
            if not live.waits:
                self._look(live)
        taken = [live.allocation for live in self.unfinished if not live.waits]
        blocked = False
        for live in self.unfinished:
            if not live.waits:
                continue
            place = self._lab.engine.allocate(live.row["num_gpus"], [*taken, *self._lab.quotes.taken])
            if place is None and self._lab.quotes.taken:
                self._lab.quotes.give_way()
                place = self._lab.engine.allocate(live.row["num_gpus"], taken)
            if place is None:
                blocked = True
                break  # whoever waits longest is next, so nothing overtakes
            self._start(live, place)
            taken.append(place)
        self._lab.quotes.tend(taken, blocked=blocked)

    def _look(self, live: LiveJob) -> None:
        """Asks the engine whether a job still runs, and collects it when it does not."""
        now = time.monotonic()
        if now - live.polled < (FOLLOW_SECONDS if live.view.said_end else POLL_SECONDS) * 0.9:
            return
        live.polled = now
        with live.lock:
            if live.gone:
                return
            if live.handle is None and not self._find_again(live):
                return
            if self._lab.engine.poll(live.handle or "", live.folder):
                return
            self._follow(live)
            ended = outcome.settle(live.folder, live.view)
            if not ended.exit_seen:
                self._lab.engine.cancel(live.handle or "", live.folder)  # what a killed runner may have left
            part = outcome.smaller_part(live.folder) if ended.full_memory and not live.stop_asked else 0
            if part:
                self._begin_again(live, ended, part)
            else:
                self._close(live, ended)

    def _begin_again(self, live: LiveJob, ended: outcome.Outcome, part: int) -> None:
        """Memory was full: the job goes on from its last checkpoint in smaller parts, in its place of the queue.

        Each time the parts are half as large, so this ends. The job's lock is held.
        """
        attempt, cpu_seconds = live.row["attempt"], live.view.cpu_seconds
        now = ended.ended or time.time()
        with self._lab.database.writing() as connection:
            cpu_seconds = cpu_seconds if ended.cpu_seconds is None else ended.cpu_seconds
            ledger.close_row(connection, live.job, attempt, ended=now, cpu_seconds=cpu_seconds)
            mine = t.versions.c.job == live.job
            connection.execute(update(t.versions).where(mine).values(_FRESH | {"attempt": attempt + 1}))
            _next_attempt(live.folder, attempt + 1, micro_batch=part)
        note(live.folder, "memory full", micro_batch=part)
        live.begin_again()
        self._refresh(live)
        with self._lab.hub.lock:
            self._lab.hub.version(self._record(live))
        self._wake_starter.set()

    def _find_again(self, live: LiveJob) -> bool:
        """A job that was being started when the server was killed: adopts it, or starts it if no engine ever did."""
        begun = any((live.folder / name).exists() for name in ("runner.json", "exit.json", "events.jsonl"))
        if begun or self._lab.engine.poll("", live.folder):
            live.handle = ""  # engines find a job by its folder too
            return True
        if time.monotonic() - live.found > LOST_SECONDS:
            self._submit(live)
        return False

    def _start(self, live: LiveJob, place: Allocation) -> None:
        with live.lock:
            if live.gone:
                return
            try:
                job: spec.JobSpec = spec.read(live.folder / "spec.json", spec.JobSpec)
            except (FileNotFoundError, msgspec.MsgspecError) as error:
                reason = f"Its folder {live.folder} was removed or damaged while it waited ({error}). Train again."
                self._close(live, outcome.Outcome(state="failed", reason=reason))
                return
            job = msgspec.structs.replace(job, ranks=place.ranks, threads=place.threads, gpus=list(place.gpus))
            spec.write(live.folder / "spec.json", job)
            now = time.time()
            changes = {"state": "starting", "started": now, "allocation": msgspec.to_builtins(place)}
            names = {"user": job.user, "owner": job.owner, "app": job.app, "model": job.model, "version": job.version}
            with self._lab.database.writing() as connection:
                mine = t.versions.c.job == live.job
                connection.execute(update(t.versions).where(mine).values(changes))
                ledger.open_row(
                    connection,
                    {**names, "job": live.job, "attempt": live.row["attempt"]},
                    started=now,
                    gpus=len(place.gpus),
                    prices=self._lab.prices,
                )
            self._refresh(live)
            self._submit(live)
        self._wake_follower.set()
        with self._lab.hub.lock:
            self._tell_queue()

    def _submit(self, live: LiveJob) -> None:
        try:
            live.handle = self._lab.engine.submit(live.folder)
        except Exception as error:  # a border: the engine's
            words = error.message if isinstance(error, DeepFTError) else f"{type(error).__name__}: {error}"
            logger.warning("Job %s could not be started: %s", live.job, words)
            self._close(live, outcome.Outcome(state="failed", reason=f"The job could not be started. {words}"))
            return
        note(live.folder, "started", handle=live.handle)
        with self._lab.database.writing() as connection:
            mine = t.versions.c.job == live.job
            connection.execute(update(t.versions).where(mine).values(handle=live.handle))

    def _close(self, live: LiveJob, ended: outcome.Outcome) -> None:
        """Writes down how a job ended. Its lock is held."""
        now = ended.ended or time.time()
        cpu_seconds = live.view.cpu_seconds if ended.cpu_seconds is None else ended.cpu_seconds
        changes = {
            "state": ended.state,
            "ended": now,
            "reason": ended.reason,
            "outcome": msgspec.to_builtins(live.view),
        }
        with self._lab.database.writing() as connection:
            connection.execute(update(t.versions).where(t.versions.c.job == live.job).values(changes))
            ledger.close_row(connection, live.job, live.row["attempt"], ended=now, cpu_seconds=cpu_seconds)
        live.gone = True
        row = self._row(live.job)
        with self._lab.hub.lock:
            self._unfinished.pop(live.job, None)
            if row is not None:
                version = self.record(row)
                self._lab.hub.version(version)
                self._lab.hub.changed(version.owner, version.app, "versions")
            self._tell_queue()
        self._wake_starter.set()
        if live.handle:  # who has seen one end trains another
            self._lab.expect_training()

    def _mark_deleted(self, job: str) -> None:
        """For a version that had ended before."""
        with self._lab.database.writing() as connection:
            finished = (t.versions.c.job == job) & (t.versions.c.state != "deleted")
            changed = connection.execute(update(t.versions).where(finished).values(state="deleted")).rowcount
        row = self._row(job) if changed else None
        if row is not None:
            self._lab.hub.version(self.record(row))

    # -- small things --

    def _row(self, job: str) -> RowMapping | None:
        with self._lab.database.reading() as connection:
            return connection.execute(versions.rows().where(t.versions.c.job == job)).mappings().first()

    def _refresh(self, live: LiveJob) -> None:
        row = self._row(live.job)
        if row is not None:
            with self._lab.hub.lock:
                live.row = row

    def _record(self, live: LiveJob) -> ModelVersion:
        """The hub's lock is held."""
        place = None
        if live.waits:
            waiting = [job for job, other in self._unfinished.items() if other.waits]
            place = waiting.index(live.job) + 1 if live.job in waiting else None
        state = "queued" if live.waits else live.view.state
        return versions.build(
            live.row,
            live.view,
            state=state,
            queue_place=place,
            stopping=live.stop_asked or live.view.stopping,
            resumable=state == "failed" and outcome.resumable(live.folder),
        )

    def _tell_queue(self) -> None:
        """The places of those that wait have changed, and the state of the one that started."""
        for live in self._unfinished.values():
            if live.waits or live.view.state == "starting":
                self._lab.hub.version(self._record(live))


def _next_attempt(folder: Path, attempt: int, **changes: Any) -> None:
    """Makes a job folder ready for another attempt; checkpoints and events stay."""
    job: spec.JobSpec = spec.read(folder / "spec.json", spec.JobSpec)
    spec.write(folder / "spec.json", msgspec.structs.replace(job, attempt=attempt, **changes))
    for left in ("exit.json", "result.json", "runner.json", "stop"):  # of the attempt before
        (folder / left).unlink(missing_ok=True)


def running_by_gpu(jobs: Jobs) -> dict[int, str]:
    """Which job has which GPU."""
    return {gpu: live.job for live in jobs.unfinished if not live.waits for gpu in live.allocation.gpus}
