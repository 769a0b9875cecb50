"""The stream: one connection of server-sent events for all that its caller may see, resumable by cursor.

Each message carries its cursor as `id`; a client that comes again gives the last one as `after` (or `Last-Event-ID`).
A subscriber that reads too slowly gets what is waiting and is then cut off, and resumes by its cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from tornado.iostream import StreamClosedError

from deepft_lab.api import Operation
from deepft_lab.records import Message, StreamQuery
from deepft_lab.server import access, decode
from deepft_lab.server.handlers import Handler

HEARTBEAT_SECONDS = 15.0
WAITING_MESSAGES = 10_000
WAITING_BYTES = 8 * 1024 * 1024


class Subscription:
    """The bounded queue between the lab's threads and one connection."""

    def __init__(self) -> None:
        self.overflowed = False
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def deliver(self, message: Message) -> None:
        """Called from any thread; never waits."""
        with self._lock:
            if self.overflowed:
                return
            if len(self._messages) >= WAITING_MESSAGES or self._bytes + len(message.data) > WAITING_BYTES:
                self.overflowed = True
            else:
                self._messages.append(message)
                self._bytes += len(message.data)
        self.wake()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._woken.set)

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        self._woken.clear()

    def take(self) -> list[Message]:
        """All that waits now."""
        with self._lock:
            messages = list(self._messages)
            self._messages.clear()
            self._bytes = 0
        return messages


class StreamHandler(Handler):
    """GET of the stream."""

    _track_activity = False  # an open tab is no activity; jobs are
    _subscription: Subscription | None = None
    _ended = False

    async def answer(self, lab: Any, operation: Operation, parameters: dict[str, str]) -> None:
        caller = self.caller
        query = decode.query(StreamQuery, self.request.query_arguments)
        last = self.request.headers.get("Last-Event-ID", "")
        if last:
            query = msgspec.structs.replace(query, after=last)
        subscription = self._subscription = Subscription()

        def subscribe() -> Callable[[], None]:
            access.check(lab, operation, caller, parameters)
            return lab.subscribe(caller, query, subscription.deliver)

        unsubscribe = await self.service.in_thread(subscribe)
        self.service.streams.add(self)
        try:
            await self._write_all(subscription)
        except StreamClosedError:
            pass  # the tab was closed
        finally:
            self.service.streams.discard(self)
            with contextlib.suppress(RuntimeError):  # the pool has ended with the server
                await self.service.in_thread(unsubscribe)

    async def forward(self, owner: Any, operation: Operation) -> None:
        self.service.streams.add(self)
        try:
            await super().forward(owner, operation)
        finally:
            self.service.streams.discard(self)

    def close(self) -> None:
        """Ends the stream; its client comes again and goes on by its cursor."""
        self._ended = True
        if self._subscription is not None:
            self._subscription.wake()
        if self._exchange is not None:
            self._exchange.close()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.close()

    async def _write_all(self, subscription: Subscription) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache, no-store")
        self.set_header("X-Accel-Buffering", "no")  # or a proxy would hold messages back
        self.write("retry: 1000\n\n")
        await self.flush()
        while not self._ended:
            await subscription.wait(HEARTBEAT_SECONDS)
            messages = subscription.take()
            self.write(b"".join(map(_lines, messages)) or b": alive\n\n")
            await self.flush()
            if subscription.overflowed:
                break
        self.finish(set_content_type="text/event-stream")


def _lines(message: Message) -> bytes:
    """One message as the wire has it. JSON by msgspec holds no line break."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (message.id.encode(), message.kind.encode(), message.data)
