"""The stream: at once, bounded, resumable."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from harness import TOKEN, JupyterServer
from serving import signed_in, small_model, wait_for

from deepft_lab.records import Message
from deepft_lab.server import streams


@contextmanager
def opened(server: JupyterServer, **query: str) -> Iterator[Iterator[tuple[str, str, Any]]]:
    with signed_in(server) as http, http.stream("GET", "deepft/api/events", params=query) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        yield messages(response.iter_lines())


def messages(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """(id, kind, data) of each message."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
            continue
        if "event" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
        fields = {}


def test_a_change_comes_to_every_open_stream(server: JupyterServer, lab: Any) -> None:
    with opened(server) as first, opened(server) as second:
        assert next(first)[1] == next(second)[1] == "hello"
        lab.create_app("streamed")
        for stream in (first, second):
            kind, data = next((kind, data) for _, kind, data in stream if data.get("app") == "streamed")
            assert (kind, data["owner"]) == ("changed", lab.user)


def test_a_cursor_that_is_none_is_refused(http: httpx.Client) -> None:
    response = http.get("deepft/api/events", params={"after": "nonsense"})
    assert response.status_code == 400
    assert response.json()["error"] == "InvalidRequest"


def test_the_server_forgets_a_stream_whose_reader_has_gone(server: JupyterServer) -> None:
    def connections() -> int:
        import psutil

        assert server.process is not None
        found = psutil.Process(server.process.pid).net_connections("tcp")
        return sum(connection.status == "ESTABLISHED" for connection in found)

    before = connections()
    with opened(server) as stream:
        next(stream)
        assert connections() == before + 1
    assert wait_for(lambda: connections() <= before)


def message(number: int, size: int = 10) -> Message:
    return Message(str(number), "event", b"x" * size)


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_subscriber_that_does_not_read_is_bounded_and_keeps_what_came_first(size: int) -> None:
    async def scenario() -> None:
        subscription = streams.Subscription()
        for number in range(streams.WAITING_MESSAGES + 5):
            subscription.deliver(message(number, size))
        assert subscription.overflowed
        taken = subscription.take()
        assert sum(len(each.data) for each in taken) <= streams.WAITING_BYTES
        assert [each.id for each in taken] == [str(number) for number in range(len(taken))], "no gap before the cut"

    asyncio.run(scenario())


def test_delivering_from_another_thread_wakes_the_stream() -> None:
    async def scenario() -> None:
        subscription = streams.Subscription()
        await asyncio.to_thread(subscription.deliver, message(1))
        await asyncio.wait_for(subscription.wait(60), 5)
        assert [each.id for each in subscription.take()] == ["1"]

    asyncio.run(scenario())


def test_events_resume_after_the_cursor_without_gap_or_double(server: JupyterServer, lab: Any, tmp_path: Any) -> None:
    model = small_model(lab.create_app("resumed"), tmp_path, epochs=3)
    cursor, seen = "", []
    version = model.train(dataset="all", validation=0.25)
    with opened(server) as stream:
        for id, kind, data in stream:
            cursor = id
            if kind == "event" and data["job"] == version.record.job:
                seen.append(data["event"]["seq"])
                if len(seen) == 2:
                    break
    version.wait(timeout=120)
    with signed_in(server) as http:
        for headers, query in (({}, {"after": cursor}), ({"Last-Event-ID": cursor}, {})):
            rest = []
            with http.stream("GET", "deepft/api/events", params=query, headers=headers) as response:
                for _, kind, data in messages(response.iter_lines()):
                    if kind == "event":
                        rest.append(data["event"]["seq"])
                    if kind == "version" and data["job"] == version.record.job and data["state"] == "trained":
                        break
            assert seen + rest == [event.seq for event in version.events()]
    assert TOKEN not in server.log()
