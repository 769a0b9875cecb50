"""The stream: hello, the state, what was missed, and then everything once and in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import pytest
from desk import ANN, Desk
from small_engine import TRAINS, WAITS
from test_jobs import ready, training

from deepft_lab.errors import InvalidRequest
from deepft_lab.lab import Lab
from deepft_lab.lab.stream import read_cursor
from deepft_lab.records import Caller, CreateDataset, Message, StreamQuery
from deepft_lab.store import tables as t

OpenLab = Callable[..., Lab]


class Listener:
    """Collects what one stream says."""

    def __init__(self, lab: Lab, caller: Caller = ANN, **query: str) -> None:
        self.messages: list[Message] = []
        self._came = threading.Condition()
        self.close = lab.subscribe(caller, StreamQuery(**query), self._deliver)

    def _deliver(self, message: Message) -> None:
        with self._came:
            self.messages.append(message)
            self._came.notify_all()

    def of(self, kind: str) -> list[dict]:
        return [msgspec.json.decode(message.data) for message in list(self.messages) if message.kind == kind]

    def events(self) -> list[int]:
        return [message["event"]["seq"] for message in self.of("event")]

    def until(self, met: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        with self._came:
            while not met():
                assert self._came.wait(deadline - time.monotonic()), [m.kind for m in self.messages]


def ended(listener: Listener) -> Callable[[], bool]:
    return lambda: any(version["state"] in ("trained", "failed", "deleted") for version in listener.of("version"))


def test_a_stream_says_hello_and_then_all_events_in_order(open_lab: OpenLab) -> None:
    desk = ready(open_lab(TRAINS))
    listener = Listener(desk.lab)
    assert [message.kind for message in listener.messages] == ["hello"]
    version = desk.begin_training()
    listener.until(ended(listener))
    assert listener.events() == list(range(1, 9))
    first = listener.of("event")[0]
    assert (first["job"], first["app"], first["model"], first["version"]) == (version.job, "insects", "m", "v1")
    states = [message["state"] for message in listener.of("version")]
    assert states[0] == "queued" and states[-1] == "trained" and "starting" in states
    assert ("insects", "versions") in {(message["app"], message["what"]) for message in listener.of("changed")}


def test_a_cursor_resumes_without_gap_or_double(open_lab: OpenLab) -> None:
    desk = ready(open_lab(WAITS))
    listener = Listener(desk.lab)
    version = desk.begin_training()
    seen: list[int] = []
    for _ in range(4):
        listener.until(lambda: len(listener.events()) >= 3)  # noqa: B023
        listener.close()
        seen += listener.events()
        cursor = listener.messages[-1].id
        time.sleep(0.15)  # events are missed meanwhile
        listener = Listener(desk.lab, after=cursor)
    desk.stop_version(model="m", version=version.id)
    listener.until(ended(listener))
    seen += listener.events()
    assert seen == list(range(1, desk.version(model="m", version="v1").last_seq + 1))


def test_a_cursor_of_a_job_that_has_ended_gets_the_rest_and_its_end(open_lab: OpenLab) -> None:
    desk = ready(open_lab(TRAINS))
    version = desk.wait(desk.begin_training())
    listener = Listener(desk.lab, after=f"{version.job}:5")
    assert listener.events() == [6, 7, 8]
    listener.until(ended(listener))  # the database knows the end a moment before the stream says it
    assert [message.id for message in listener.messages][-1] == "", "an ended job leaves the cursor"
    later = Listener(desk.lab, after=listener.messages[-1].id)
    assert [message.kind for message in later.messages] == ["hello"]


def test_the_stream_of_one_job_says_nothing_of_others(open_lab: OpenLab) -> None:
    desk = ready(open_lab(TRAINS))
    first = desk.wait(desk.begin_training())
    listener = Listener(desk.lab, job=first.job)
    assert {version["id"] for version in listener.of("version")} == {"v1"}
    everything = Listener(desk.lab, job=first.job, after=f"{first.job}:0")
    assert everything.events() == list(range(1, 9))
    desk.wait(desk.begin_training())
    desk.create_dataset(body=CreateDataset(id="d"))
    time.sleep(0.2)
    # The end of v1 may come a moment after the database knew it, and so a second time.
    assert {version["id"] for version in listener.of("version")} == {"v1"} and not listener.of("changed")


def test_on_subscribing_each_unfinished_version_comes_once(open_lab: OpenLab) -> None:
    desk = ready(open_lab(WAITS))
    running, waiting = desk.begin_training(), desk.begin_training()
    desk.wait(running, training)
    listener = Listener(desk.lab)
    first = [message.kind for message in listener.messages[:3]]
    assert first == ["hello", "version", "version"]
    assert [version["id"] for version in listener.of("version")][:2] == ["v1", "v2"]
    known = read_cursor(listener.messages[0].id)
    assert set(known) == {running.job, waiting.job} and known[waiting.job] == 0
    listener.until(lambda: len(listener.events()) >= 2)
    assert listener.events()[0] == known[running.job] + 1


def test_nobody_sees_an_app_that_is_not_theirs_and_a_right_that_ends_ends_the_stream(open_lab: OpenLab) -> None:
    desk = ready(open_lab(WAITS))
    bob = Caller(user="bob")
    stranger = Listener(desk.lab, bob)
    with desk.lab.database.writing() as connection:
        connection.execute(t.app_members.insert().values(app=1, user="bob", role="viewer"))
    member = Listener(desk.lab, bob)
    version = desk.begin_training()
    member.until(lambda: len(member.events()) > 2)
    assert stranger.of("event") and stranger.of("event")[0]["event"]["seq"] >= 1, (
        "a right that was given counts at once"
    )
    with desk.lab.database.writing() as connection:
        connection.execute(t.app_members.delete())
    desk.wait(version, lambda v: v.seconds_used > 0)
    time.sleep(1.3)  # a role is believed for a second
    heard = len(member.messages)
    time.sleep(0.4)
    assert len(member.messages) == heard
    other = Listener(desk.lab, Caller(user="eve"), after=f"{version.job}:0")
    assert [message.kind for message in other.messages] == ["hello"]


def test_many_changes_become_few_messages(desk: Desk) -> None:
    listener = Listener(desk.lab)
    desk.photos("ant", 30)
    listener.until(lambda: any(message["what"] == "concepts" for message in listener.of("changed")))
    time.sleep(0.2)
    assert 1 <= len([message for message in listener.of("changed") if message["what"] == "inputs"]) < 25
    listener.close()
    heard = len(listener.messages)
    desk.photos("bee", 1)
    time.sleep(0.2)
    assert len(listener.messages) == heard


def test_a_text_that_is_no_cursor_is_refused(lab: Lab) -> None:
    for wrong in ("x", "job:", ":3", "job:-1", "job:1~x"):
        with pytest.raises(InvalidRequest, match="no cursor"):
            lab.subscribe(ANN, StreamQuery(after=wrong), lambda message: None)
