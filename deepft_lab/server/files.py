"""Answers of bytes: pictures. Sent with a safe type, without sniffing, and without rights for whatever is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

from tornado.iostream import StreamClosedError

from deepft_lab.api import Operation
from deepft_lab.server import access, decode
from deepft_lab.server.handlers import Handler

PIECE = 256 * 1024  # bytes read at a time
WHOLE = 1024 * 1024  # files up to this size are sent from memory, and marked by their content

# What a browser only ever draws. Anything else is offered for saving.
DRAWN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"})


class FileHandler(Handler):
    """GET of a file of the store."""

    async def answer(self, lab: Any, operation: Operation, parameters: dict[str, str]) -> None:
        caller = self.caller

        def work() -> tuple[str, bytes, BinaryIO | None, int, str]:
            access.check(lab, operation, caller, parameters)
            given: dict[str, Any] = dict(parameters)
            if operation.query is not None:
                given["query"] = decode.query(operation.query, self.request.query_arguments)
            found = getattr(lab, operation.name)(caller, **given)
            content = found.content
            if found.path:
                stat = Path(found.path).stat()
                if stat.st_size > WHOLE:
                    mark = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
                    return found.content_type, b"", Path(found.path).open("rb"), stat.st_size, mark
                content = Path(found.path).read_bytes()
            return found.content_type, content, None, len(content), hashlib.sha1(content).hexdigest()

        kind, content, file, size, mark = await self.service.in_thread(work)
        try:
            if kind not in DRAWN:
                kind = "application/octet-stream"
                self.set_header("Content-Disposition", "attachment")
            self.set_header("Content-Type", kind)
            self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
            self.set_header("Cache-Control", "private, max-age=600")
            self.set_header("Etag", f'"{mark}"')
            if self.check_etag_header():
                self.set_status(304)
            else:
                self.set_header("Content-Length", str(size))
                await self._send(file, content)
            self.finish(set_content_type=kind)
        except StreamClosedError:
            pass  # the browser has left
        finally:
            if file is not None:
                file.close()

    async def _send(self, file: BinaryIO | None, content: bytes) -> None:
        if file is None:
            self.write(content)
            return
        while piece := await self.service.in_thread(file.read, PIECE):
            self.write(piece)
            await self.flush()
