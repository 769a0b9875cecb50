"""Quotes: what a training would take, before it is begun.

A quote is a job without a version. Its folder holds the whole training and says `quote` in its spec, so the worker
trains a sample of the inputs for some seconds and says what all of them would take (`training/quoting.py`). It has the
machine for itself, since beside another job it would measure both: it waits for a place like any job, gives way to
every training, and is over when nobody asks for it any more. All of it ends with the server.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deepft_lab import spec
from deepft_lab.engines.base import Allocation
from deepft_lab.errors import NotFound
from deepft_lab.events import EventReader
from deepft_lab.lab import ledger, models, outcome, training
from deepft_lab.lab.access import find, find_app
from deepft_lab.lab.progress import Progress, apply
from deepft_lab.records import Caller, CreateQuote, Event, Quote
from deepft_lab.store import tables as t

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

KEPT = 64  # quotes that are remembered
KEPT_SECONDS = 1800.0  # and how long one is given as the answer: the machine and the cache of pictures change
FORGOTTEN_SECONDS = 120.0  # without a question, after which one that is not done is given up
LONGEST_SECONDS = 600.0  # of measuring
_LEFT = ("events.jsonl", "exit.json", "result.json", "runner.json", "stop", "log.txt")  # by one that gave way


def create_quote(lab: Lab, caller: Caller, *, owner: str, app: str, body: CreateQuote) -> Quote:
    """Raises as a training would: InvalidParams with every fault at once, WeightsNotFound."""
    row: dict[str, Any]
    with lab.database.reading() as connection:
        key = find_app(connection, owner, app)["key"]
        if body.template is None and body.model:
            row = dict(find(connection, t.models, key, "model", body.model))
        else:
            template, concepts = models.plan(lab, connection, key, body)
            row = {"id": body.model, "type": body.type, "template": template.id, "values": body.values}
            row |= {"key": None, "concepts": concepts}
    return lab.quotes.ask(training.settle(lab, caller, owner, app, row, body))


def quote(lab: Lab, caller: Caller, *, owner: str, app: str, quote: str) -> Quote:
    return lab.quotes.find(owner, app, quote).record


def delete_quote(lab: Lab, caller: Caller, *, owner: str, app: str, quote: str) -> Quote:
    """One that is done stays known to who asks the same."""
    return lab.quotes.cancel(lab.quotes.find(owner, app, quote))


class Asked:
    """A quote that somebody asked for."""

    def __init__(self, settled: training.Settled, folder: Path, question: str) -> None:
        self.job, self.folder, self.question = settled.job, folder, question
        self.record = Quote(id=self.job.job, owner=self.job.owner, app=self.job.app, state="waiting")
        self.asked = self.created = self.begun = time.monotonic()
        self.place: Allocation | None = None
        self.handle = ""
        self.events = EventReader(folder / "events.jsonl")
        self.said: list[Event] = []

    @property
    def open(self) -> bool:
        return self.record.state in ("waiting", "measuring")

    def set(self, **changes: Any) -> None:
        self.record = msgspec.structs.replace(self.record, **changes)


class Quotes:
    """The quotes of this server's life. The thread of the jobs tends them, so both find places in turn."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.RLock()
        self._known: dict[str, Asked] = {}  # by id, the oldest first

    # -- what others ask --

    def ask(self, settled: training.Settled) -> Quote:
        """The quote of a training; the one of before where the same was asked lately."""
        question = _question(settled)
        with self._lock:
            for asked in self._known.values():
                fresh = asked.open or (asked.record.state == "done" and time.monotonic() - asked.created < KEPT_SECONDS)
                if asked.question == question and fresh:
                    asked.asked = time.monotonic()
                    return asked.record
            folder = self._lab.job_folder(settled.job.job)
            training.write_folder(folder, msgspec.structs.replace(settled.job, quote=True), settled)
            asked = self._known[settled.job.job] = Asked(settled, folder, question)
            asked.set(reason=self._why())
            for old in [one for one in self._known.values() if not one.open][: max(0, len(self._known) - KEPT)]:
                del self._known[old.record.id]
        self._lab.jobs.wake()
        return asked.record

    def find(self, owner: str, app: str, id: str) -> Asked:
        """Raises NotFound."""
        with self._lock:
            asked = self._known.get(id)
            if asked is None or (asked.job.owner, asked.job.app) != (owner, app):
                raise NotFound(f"There is no quote {id!r} in this app, or it is long ago. Ask for it again.")
            asked.asked = time.monotonic()
            return asked

    def cancel(self, asked: Asked) -> Quote:
        with self._lock:
            if asked.open:
                self._end(asked, state="cancelled", reason="")
            return asked.record

    def forget(self, owner: str, app: str) -> None:
        """Ends those of an app that is deleted; nobody asks for them any more."""
        with self._lock:
            for asked in [one for one in self._known.values() if (one.job.owner, one.job.app) == (owner, app)]:
                self.cancel(asked)
                del self._known[asked.record.id]

    def close(self) -> None:
        with self._lock:
            for asked in self._known.values():
                self.cancel(asked)

    # -- what the thread of the jobs does --

    @property
    def open(self) -> bool:
        """Some wait or are measured."""
        with self._lock:
            return any(asked.open for asked in self._known.values())

    @property
    def taken(self) -> list[Allocation]:
        """The places of those that are measured."""
        with self._lock:
            return [asked.place for asked in self._known.values() if asked.place is not None]

    def give_way(self) -> None:
        """Ends what is measured, to begin anew when there is a place: a training never waits for a quote."""
        with self._lock:
            for asked in self._known.values():
                if asked.place is not None:
                    self._lab.engine.cancel(asked.handle, asked.folder)
                    shutil.rmtree(asked.folder / "sample", ignore_errors=True)
                    for name in _LEFT:
                        (asked.folder / name).unlink(missing_ok=True)
                    asked.place, asked.said, asked.events = None, [], EventReader(asked.folder / "events.jsonl")
                    asked.set(state="waiting", progress=0.0)

    def tend(self, taken: Sequence[Allocation], *, blocked: bool) -> None:
        """Collects, gives up and begins. `taken`: the places of trainings; `blocked`: one of them waits."""
        with self._lock:
            waiting = []
            for asked in [asked for asked in self._known.values() if asked.open]:
                if time.monotonic() - asked.asked > FORGOTTEN_SECONDS:
                    self._end(asked, state="cancelled", reason="Nobody asked for it any more.")
                elif asked.place is not None:
                    self._look(asked)
                else:
                    waiting.append(asked)
            for asked in waiting:
                place = None
                if not blocked:
                    place = self._lab.engine.allocate(training.num_gpus(asked.job.values), [*taken, *self.taken])
                if place is None:
                    asked.set(reason=self._why())
                else:
                    self._begin(asked, place)

    # -- underneath; the lock is held --

    def _begin(self, asked: Asked, place: Allocation) -> None:
        job = msgspec.structs.replace(
            asked.job, quote=True, ranks=place.ranks, threads=place.threads, gpus=list(place.gpus)
        )
        try:
            spec.write(asked.folder / "spec.json", job)
            asked.handle = self._lab.engine.submit(asked.folder)
        except Exception as error:  # a border: the engine's, or the disk's
            self._end(asked, state="failed", reason=f"It could not be measured: {error}")
            return
        asked.place, asked.begun = place, time.monotonic()
        asked.set(state="measuring", reason="", ranks=place.ranks, gpus=len(place.gpus))

    def _look(self, asked: Asked) -> None:
        """Takes in what was said; when the job has ended, what it found."""
        ended = not self._lab.engine.poll(asked.handle, asked.folder)
        asked.said += asked.events.read()
        for event in asked.said:
            if event.kind == "measuring":
                asked.set(progress=max(asked.record.progress, float(event.data["share"])))
        if not ended:
            if time.monotonic() - asked.begun > LONGEST_SECONDS:
                words = f"A few steps took more than {LONGEST_SECONDS / 60:g} minutes."
                self._end(asked, state="failed", reason=f"{words} Try a smaller batch_size or image_size.")
            return
        view = Progress()
        for event in asked.said:
            apply(view, event)
        ending, place, asked.place = outcome.settle(asked.folder, view), asked.place, None
        said = next((event for event in asked.said if event.kind == "quote"), None)
        if said is None or place is None:
            self._end(asked, state="failed", reason=ending.reason or "It said nothing.")
            return
        found = _found(said, ending, len(place.gpus), self._lab.prices)
        self._end(asked, state="done", progress=1.0, **found)
        self._lab.expect_training()  # what it takes is known: now it is begun, or not

    def _end(self, asked: Asked, **changes: Any) -> None:
        if asked.place is not None:
            self._lab.engine.cancel(asked.handle, asked.folder)
        asked.place = None
        asked.said = []
        asked.set(**changes)
        self._lab.remove_job_folder(asked.job.job)

    def _why(self) -> str:
        """Why a quote waits."""
        jobs = [live for live in self._lab.jobs.unfinished if not live.waits]
        if not jobs:
            return "Another one is measured before it." if self.taken else ""
        known = [live.view.seconds_left for live in jobs if live.view.seconds_left is not None]
        words = "A training has the machine" if len(jobs) == 1 else f"{len(jobs)} trainings have the machine"
        more = f", for about {max(1, round(min(known) / 60))} min more" if known else ""
        return f"{words}{more}. This is measured after it: beside it, both would be slower."


def _question(settled: training.Settled) -> str:
    """What a quote depends on."""
    job = settled.job
    parts = [job.type, job.template.hash, job.values, job.train_version, job.validation_version, job.exclusive]
    parts += [job.weights if settled.models.get("base") is None else "", *map(str, settled.models.values())]
    parts += [job.owner, job.app]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _found(said: Event, ending: outcome.Outcome, gpus: int, prices: ledger.Prices) -> dict[str, Any]:
    """What the job said, as a quote's fields: with the end of its processes, and with what its launcher took."""
    data = said.data
    closing = max(0.0, ending.ended - said.time) if ending.ended else 0.0
    launcher = max(0.0, ending.cpu_seconds - data["cpu_taken"]) if ending.cpu_seconds else 0.0
    seconds, cpu_seconds = data["seconds"] + closing, data["cpu_seconds"] + launcher
    found = {name: data[name] for name in ("epochs", "steps", "memory", "gpu_memory", "micro_batch")}
    return {
        **found,
        "seconds": seconds,
        "parts": {**data["parts"], "start": data["parts"]["start"] + closing},
        "cpu_seconds": cpu_seconds,
        "cost": ledger.cost(prices, gpus * seconds / ledger.HOUR, cpu_seconds / ledger.HOUR),
        "currency": prices.currency,
    }
