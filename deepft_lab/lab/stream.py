"""What goes to subscribers: events, versions, and what has changed. Resumable by a cursor, without gap or double.

A cursor names how far each job was read: `job:seq~job:seq`. The hub's lock guards the subscribers and the views of the
jobs, so a new subscriber's first state and the messages after it fit together. Delivering never blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from deepft_lab.errors import InvalidRequest
from deepft_lab.events import EventReader
from deepft_lab.records import FINISHED, Caller, Event, Message, ModelVersion, StreamQuery

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

Deliver = Callable[[Message], None]

GATHER_SECONDS = 0.05  # changes of one kind within this time become one message
ROLE_SECONDS = 1.0  # how long a role that was asked of the database is believed

_encode = msgspec.json.Encoder().encode


class Subscriber:
    """One open stream."""

    def __init__(self, lab: Lab, caller: Caller, job: str | None, deliver: Deliver) -> None:
        self.caller = caller
        self.job = job
        self.cursor: dict[str, int] = {}
        self._lab = lab
        self._deliver = deliver
        self._roles: dict[tuple[str, str], tuple[float, bool]] = {}

    def may_see(self, owner: str, app: str) -> bool:
        """Asked at each delivery; who owns the app needs no look into the database."""
        if self.caller.administrator or self.caller.user == owner:
            return True
        asked, allowed = self._roles.get((owner, app), (0.0, False))
        if time.monotonic() - asked > ROLE_SECONDS:
            allowed = self._lab.role(self.caller, owner, app) is not None
            self._roles[owner, app] = (time.monotonic(), allowed)
        return allowed

    def send(self, kind: Any, data: bytes) -> None:
        cursor = "~".join(f"{job}:{seq}" for job, seq in self.cursor.items())
        self._deliver(Message(cursor, kind, data))


class Hub:
    """All subscribers. `lock` also guards the jobs' views."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._subscribers: list[Subscriber] = []
        self._changes: set[tuple[str, str, str]] = set()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call with the lock held. The answer ends the subscription."""
        self._subscribers.append(subscriber)
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell_changes, name="deepft-changes", daemon=True)
            self._thread.start()

        def close() -> None:
            with self.lock:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return close

    def event(self, version: ModelVersion, event: Event) -> None:
        """Call with the lock held, in the order of `seq`."""
        data = event_data(version, event)
        for subscriber in self._subscribers:
            if subscriber.job in (None, version.job) and subscriber.may_see(version.owner, version.app):
                subscriber.cursor[version.job] = event.seq
                subscriber.send("event", data)

    def version(self, version: ModelVersion) -> None:
        with self.lock:
            data = _encode(version)
            for subscriber in self._subscribers:
                if subscriber.job in (None, version.job) and subscriber.may_see(version.owner, version.app):
                    if version.state in FINISHED:
                        subscriber.cursor.pop(version.job, None)
                    subscriber.send("version", data)

    def changed(self, owner: str, app: str, what: str) -> None:
        """`what`: apps, inputs, concepts, datasets, models or versions."""
        with self.lock:
            if self._subscribers:
                self._changes.add((owner, app, what))
                self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _tell_changes(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()  # before the look at what there is, so that nothing said meanwhile is missed
            if self._closed:
                return
            time.sleep(GATHER_SECONDS)
            with self.lock:
                changes, self._changes = sorted(self._changes), set()
                for owner, app, what in changes:
                    data = _encode({"owner": owner, "app": app, "what": what})
                    for subscriber in self._subscribers:
                        # A deleted app has no roles left to ask for: its owner hears of it all the same.
                        if subscriber.job is None and subscriber.may_see(owner, app):
                            subscriber.send("changed", data)


def subscribe(lab: Lab, caller: Caller, query: StreamQuery, deliver: Deliver) -> Callable[[], None]:
    """Says hello, sends the unfinished versions and what the cursor has missed, then everything as it comes."""
    subscriber = Subscriber(lab, caller, query.job, deliver)
    after = read_cursor(query.after)
    named = [job for job in after if query.job in (None, job)]
    if query.job is not None and query.job not in named:
        named.append(query.job)
    # The long part of reading what was missed happens before the lock is taken; below only the rest is read.
    missed: dict[str, tuple[ModelVersion, EventReader, list[Event]]] = {}
    for job in named:
        version = lab.jobs.find(job)
        if version is None or version.state == "deleted" or not subscriber.may_see(version.owner, version.app):
            continue
        reader = EventReader(lab.job_folder(job) / "events.jsonl")
        missed[job] = (version, reader, reader.read() if job in after else [])
    with lab.hub.lock:
        live = [
            version
            for version in lab.jobs.unfinished_records()
            if query.job in (None, version.job) and subscriber.may_see(version.owner, version.app)
        ]
        for version in live:
            subscriber.cursor[version.job] = after.get(version.job, version.last_seq)
        ended = [job for job in missed if job not in subscriber.cursor]
        for job in ended:
            if job in after:
                subscriber.cursor[job] = after[job]
        subscriber.send("hello", b"{}")
        for version in live:
            subscriber.send("version", _encode(version))
        for job, (version, reader, events) in missed.items():
            if job not in after:
                continue
            published = next((v.last_seq for v in live if v.job == job), None)
            for event in events + reader.read():
                if event.seq > after[job] and (published is None or event.seq <= published):
                    subscriber.cursor[job] = event.seq
                    subscriber.send("event", event_data(version, event))
        for job in ended:
            subscriber.cursor.pop(job, None)
            final = lab.jobs.find(job)
            if final is not None:
                subscriber.send("version", _encode(final))
        return lab.hub.add(subscriber)


def read_cursor(text: str) -> dict[str, int]:
    """Raises InvalidRequest."""
    found: dict[str, int] = {}
    for pair in filter(None, text.split("~")):
        job, _, seq = pair.partition(":")
        if not job or not seq.isdecimal():
            raise InvalidRequest(f"after={text[:80]!r} is no cursor; give the id of the last message that was read.")
        found[job] = int(seq)
    return found


def event_data(version: ModelVersion, event: Event) -> bytes:
    return _encode(
        {
            "job": version.job,
            "owner": version.owner,
            "app": version.app,
            "model": version.model,
            "version": version.id,
            "event": event,
        }
    )
