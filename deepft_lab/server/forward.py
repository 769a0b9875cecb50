"""Hands a request to the server that owns the store, and its answer back, both piece by piece."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, HTTPInputError, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as TornadoTimeoutError

from deepft_lab.server.ownership import Owner

# Ours is on every answer of this extension: a server without it is not the owner, whatever owner.json says.
MARK = "X-DeepFT-Lab"
# A forwarded request is never forwarded again.
FORWARDED = "X-DeepFT-Forwarded"

CONNECT_SECONDS = 2.0
PASSED_ON = ("Content-Type", "Content-Length", "Accept", "If-None-Match", "Last-Event-ID", "Range")
PASSED_BACK = ("Content-Type", "Content-Length", "Content-Disposition", "Cache-Control", "Etag", "X-Accel-Buffering")


class OwnerGone(Exception):
    """The owner could not be reached, or went away. `sent`: the request may have had its effect."""

    def __init__(self, reason: str, sent: bool, answered: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        self.answered = answered  # part of the answer has been passed on


class Exchange(HTTPMessageDelegate):
    """One request to the owner. `close()` ends it at once, in any state."""

    def __init__(
        self,
        on_head: Callable[[int, HTTPHeaders], None],
        on_piece: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._on_head = on_head
        self._on_piece = on_piece
        self._connection: HTTP1Connection | None = None
        self._closed = False
        self._answered = False
        self._complete = False
        self._foreign = False

    async def run(
        self, owner: Owner, verb: str, target: str, headers: Mapping[str, str], body: AsyncIterator[bytes]
    ) -> None:
        """Sends the request and reads the whole answer. Raises OwnerGone. `target` is below the owner's base URL."""
        parts = urlsplit(owner.url)
        secure = parts.scheme == "https"
        sent = False
        try:
            stream = await TCPClient().connect(
                parts.hostname or "127.0.0.1",
                parts.port or (443 if secure else 80),
                ssl_options=_any_certificate() if secure else None,
                timeout=CONNECT_SECONDS,
            )
            stream.set_nodelay(True)
            self._connection = HTTP1Connection(
                stream, True, HTTP1ConnectionParameters(no_keep_alive=True, max_body_size=2**62)
            )
            if self._closed:
                self.close()
                return
            path = parts.path.rstrip("/") + target
            sent = True
            head = {**headers, "Host": parts.netloc, "Authorization": f"token {owner.token}", FORWARDED: "1"}
            await self._connection.write_headers(RequestStartLine(verb, path, ""), HTTPHeaders(head))
            async for piece in body:
                await self._connection.write(piece)
            self._connection.finish()
            await self._connection.read_response(self)
        except (OSError, StreamClosedError, HTTPInputError, TornadoTimeoutError) as error:
            if not self._closed:
                raise OwnerGone(str(error) or type(error).__name__, sent, self._answered) from error
        finally:
            if self._connection is not None and self._connection.stream is not None:
                self._connection.stream.close()
        if self._closed:
            return
        if self._foreign:
            raise OwnerGone(f"{owner.url} is no DeepFT Lab server", sent=False)
        if not self._complete:
            raise OwnerGone("The owner closed the connection", sent, self._answered)

    def close(self) -> None:
        """The caller has gone: end it."""
        self._closed = True
        if self._connection is not None and self._connection.stream is not None:
            self._connection.stream.close()

    # -- the answer, as tornado reads it --

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        assert isinstance(start_line, ResponseStartLine)
        self._foreign = MARK not in headers
        if not self._foreign:
            self._answered = True
            self._on_head(start_line.code, headers)

    async def data_received(self, chunk: bytes) -> None:
        if not self._foreign:
            await self._on_piece(chunk)

    def finish(self) -> None:
        self._complete = True

    def on_connection_close(self) -> None:
        pass


def _any_certificate() -> ssl.SSLContext:
    """The owner is this person's own server, known by its token; its certificate is often self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
