"""Uploads: one file, as the raw body of a PUT, of any size below the limit.

Who may write is settled before the first byte is read. A body is kept in memory up to one piece and goes to a file
in the lab's `incoming` folder piece by piece beyond that, so that memory does not grow with what is sent. All writing
happens in threads. On a server that does not own the store the pieces go on to the owner as they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from jupyter_core.utils import ensure_async
from tornado import web
from tornado.iostream import StreamClosedError

from deepft_lab import errors
from deepft_lab.api import Operation
from deepft_lab.server import access, decode
from deepft_lab.server.forward import FORWARDED, OwnerGone
from deepft_lab.server.handlers import Handler
from deepft_lab.server.ownership import Owner

UNKNOWN = 2**62  # the size of a body that does not announce it
DISCARDED_BYTES = 1024 * 1024  # what is read from somebody who is not signed in, to be thrown away
PIECE = 1024 * 1024  # bytes written at a time, and the most that is kept in memory
WAITING_PIECES = 8  # pieces of tornado's 64 KiB that wait for the owner


@web.stream_request_body
class UploadHandler(Handler):
    """PUT of a file. `prepare` has the whole say; `data_received` writes; `put` hands over to the lab."""

    async def prepare(self) -> None:  # type: ignore[override]
        self._fault: BaseException | None = None
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._size = 0
        self._queue: asyncio.Queue[bytes | None] | None = None
        self._forwarding: asyncio.Task[None] | None = None
        # The connection's own limit would cut the line without a word; ours is checked below, and says so.
        connection: Any = self.request.connection
        connection.set_max_body_size(2**62)
        announced = int(self.request.headers.get("Content-Length") or UNKNOWN)
        trusted = False
        try:
            await super().prepare()
            trusted = True
            await self._admit(announced)
        except Exception as fault:
            # An answer before the body has come makes tornado cut the line, and the sender may never see the words. So
            # the body of a refused upload is read and thrown away: of any size from those who are signed in.
            if not trusted and announced > DISCARDED_BYTES:
                raise
            self._fault = fault

    async def _admit(self, announced: int) -> None:
        """All that can be said before the body comes. Raises what the answer will be."""
        operation = self.operation
        assert operation.query is not None
        # @authorized asks only once the body is there, which is too late here.
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, "write", self.auth_resource)):
            raise web.HTTPError(403, f"You may not write {self.auth_resource}")
        if self.app.max_file_bytes < announced < UNKNOWN:
            raise self._too_large(announced)
        self._query = decode.query(operation.query, self.request.query_arguments)
        place = await self.service.place(forwarded=FORWARDED in self.request.headers)
        if isinstance(place, Owner):
            self._queue = asyncio.Queue(WAITING_PIECES)
            self._forwarding = asyncio.create_task(self.forward(place, operation))
            return
        self._lab = place
        await self.service.in_thread(access.check, place, operation, self.caller, self.path_kwargs)

    async def data_received(self, chunk: bytes) -> None:
        if self._fault is not None:
            return
        if self._queue is not None:
            await self._pass_on(chunk)
            return
        self._size += len(chunk)
        if self._size > self.app.max_file_bytes:
            self._fault = self._too_large(self._size)
            return
        self._buffer += chunk
        if len(self._buffer) >= PIECE:
            await self._write_out()

    async def answer(self, lab: Any, operation: Operation, parameters: dict[str, str]) -> None:
        raise AssertionError("An upload is answered where its body was read.")

    async def serve(self, parameters: dict[str, str]) -> None:
        if self._fault is not None:
            raise self._fault
        if self._queue is not None:
            return await self._end_of_forwarding()
        with self.service.request():
            answer = await self.service.in_thread(self._hand_over, parameters)
        self.finish(msgspec.json.encode(answer))

    def on_finish(self) -> None:
        super().on_finish()
        self._clean_up()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._forwarding is not None:
            self._forwarding.cancel()
        self._clean_up()

    # -- to a file --

    async def _write_out(self) -> None:
        piece, self._buffer = self._buffer, bytearray()
        try:
            await self.service.in_thread(self._write, piece)
        except OSError as error:
            self._fault = error

    def _write(self, piece: bytearray) -> None:
        if self._file is None:
            folder = Path(self._lab.incoming)
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False)  # type: ignore[assignment] # noqa: SIM115
        assert self._file is not None
        self._file.write(piece)

    def _hand_over(self, parameters: dict[str, str]) -> Any:
        self._write(self._buffer)
        assert self._file is not None
        self._file.close()
        method = getattr(self._lab, self.operation.name)
        return method(self.caller, **parameters, query=self._query, path=Path(self._file.name))

    def _clean_up(self) -> None:
        """The lab has moved the file away; where it did not come that far, it goes here."""
        file = getattr(self, "_file", None)
        if file is not None:
            with contextlib.suppress(OSError):  # what was still to be written finds no room on a full disk
                file.close()
            with contextlib.suppress(OSError):
                Path(file.name).unlink()

    def _too_large(self, size: int) -> errors.TooLarge:
        limit = self.app.max_file_bytes
        return errors.TooLarge(
            f"The file has {'at least ' if size <= limit + 65536 else ''}{size:,} bytes; the limit for one file is "
            f"{limit:,} bytes (c.DeepFTLab.max_file_bytes). Make it smaller, or ask for a higher limit."
        )

    # -- to the owner --

    async def body_pieces(self) -> AsyncIterator[bytes]:
        assert self._queue is not None
        while (piece := await self._queue.get()) is not None:
            yield piece

    async def _pass_on(self, piece: bytes | None) -> None:
        """Waits for room in the queue, unless nobody reads it any more."""
        assert self._queue is not None and self._forwarding is not None
        put = asyncio.ensure_future(self._queue.put(piece))
        await asyncio.wait([put, self._forwarding], return_when=asyncio.FIRST_COMPLETED)
        put.cancel()

    async def _end_of_forwarding(self) -> None:
        assert self._forwarding is not None
        await self._pass_on(None)
        try:
            await self._forwarding
        except (OwnerGone, StreamClosedError):
            raise errors.Unavailable(
                "The server that owns the store ended while the file was sent. Send it again: nothing is stored twice."
            ) from None
