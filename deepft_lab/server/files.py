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

# What a browser only ever draws. Anything else is offered for saving.
DRAWN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"})


class FileHandler(Handler):
    """GET of a file of the store."""

    async def answer(self, lab: Any, operation: Operation, parameters: dict[str, str]) -> None:
        caller = self.caller

        def work() -> tuple[Any, BinaryIO | None, int, str]:
            access.check(lab, operation, caller, parameters)
            given: dict[str, Any] = dict(parameters)
            if operation.query is not None:
                given["query"] = decode.query(operation.query, self.request.query_arguments)
            found = getattr(lab, operation.name)(caller, **given)
            if not found.path:
                return found, None, len(found.content), hashlib.sha1(found.content).hexdigest()
            stat = Path(found.path).stat()
            return found, Path(found.path).open("rb"), stat.st_size, f"{stat.st_mtime_ns:x}-{stat.st_size:x}"

        found, file, size, mark = await self.service.in_thread(work)
        try:
            drawn = found.content_type in DRAWN
            self.set_header("Content-Type", found.content_type if drawn else "application/octet-stream")
            if not drawn:
                self.set_header("Content-Disposition", "attachment")
            self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
            self.set_header("Cache-Control", "private, max-age=600")
            self.set_header("Etag", f'"{mark}"')
            if self.check_etag_header():
                self.set_status(304)
                file_type = found.content_type if drawn else "application/octet-stream"
                self.finish(set_content_type=file_type)
                return
            self.set_header("Content-Length", str(size))
            await self._send(file, found.content)
        except StreamClosedError:
            pass  # the browser has left
        finally:
            if file is not None:
                file.close()

    async def _send(self, file: BinaryIO | None, content: bytes) -> None:
        kind = str(self._headers["Content-Type"])
        if file is None:
            self.write(content)
        else:
            while piece := await self.service.in_thread(file.read, PIECE):
                self.write(piece)
                await self.flush()
        self.finish(set_content_type=kind)
