"""A few processes that decode pictures for the server, with limits of memory and time.

They start when first needed and end when idle. A file that kills its process, or takes too long, is reported as bad,
and the next file gets a fresh process. (multiprocessing would import the server's main module in each of them.)
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from deepft_lab.errors import BadImage
from deepft_lab.lab.picture_worker import LENGTH, send

SECONDS = 30.0  # for one picture
MEMORY = 2 << 30  # bytes of address space of one process
IDLE_SECONDS = 60.0
PROCESSES = 4


class Pictures:
    """Thread-safe. A caller waits while all processes are busy."""

    def __init__(
        self,
        *,
        processes: int | None = None,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self.seconds = seconds
        self._arguments = [str(memory), str(idle)]
        self._free = threading.BoundedSemaphore(processes or min(PROCESSES, os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._resting: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def probe(self, path: Path) -> tuple[int, int, str, bool]:
        """Width, height, format and plain, as :class:`deepft_lab.images.ImageInfo` has them. Raises BadImage."""
        width, height, image_format, plain = self._call("probe", path)
        return width, height, image_format, plain

    def thumbnail(self, path: Path, side: int) -> bytes:
        """A JPEG. Raises BadImage."""
        return self._call("thumbnail", path, side)

    def shown(self, path: Path) -> bytes:
        """A JPEG of full size. Raises BadImage."""
        return self._call("shown", path)

    def close(self) -> None:
        """Ends the processes that rest; a busy one ends after its picture."""
        with self._lock:
            self._closed = True
            resting, self._resting = self._resting, []
        for process in resting:
            _end(process)

    def _call(self, operation: str, path: Path, number: int = 0) -> Any:
        with self._free:
            while True:  # at most until those that rest are used up
                process, fresh = self._take()
                answer = self._ask(process, (operation, str(path), number))
                if answer is not None:
                    self._give_back(process)
                    break
                code = _end(process)
                if fresh or code != 0:  # else it ended because it was idle, just before we asked
                    raise BadImage(self._reason(code))
        ok, content = answer
        if not ok:
            raise BadImage(content)
        return content

    def _take(self) -> tuple[subprocess.Popen[bytes], bool]:
        with self._lock:
            if self._resting:
                return self._resting.pop(), False
        package = Path(__file__).parents[2]
        environment = dict(
            os.environ, PYTHONPATH=os.pathsep.join(filter(None, [str(package), os.getenv("PYTHONPATH")]))
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "deepft_lab.lab.picture_worker", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            bufsize=0,
        )
        return process, True

    def _give_back(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if not self._closed:
                self._resting.append(process)
                return
        _end(process)

    def _ask(self, process: subprocess.Popen[bytes], request: tuple[str, str, int]) -> tuple[bool, Any] | None:
        """The answer, or None when the process is gone or too slow."""
        import msgspec

        assert process.stdin and process.stdout
        deadline = time.monotonic() + self.seconds
        with suppress(OSError):
            send(process.stdin, request)
            content, wanted = b"", LENGTH.size
            while len(content) < wanted:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                    return None
                piece = os.read(process.stdout.fileno(), 1 << 20)
                if not piece:
                    return None
                content += piece
                if len(content) >= LENGTH.size:
                    wanted = LENGTH.size + LENGTH.unpack(content[: LENGTH.size])[0]
            return msgspec.msgpack.decode(content[LENGTH.size :])
        return None

    def _reason(self, code: int | None) -> str:
        if code is None:
            return f"Reading the picture took more than {self.seconds:g} seconds. Scale it down, or save it anew."
        return "Reading the picture ended its process: the file is damaged or needs too much memory."


def _end(process: subprocess.Popen[bytes]) -> int | None:
    """Closes a process. Gives its exit code, or None where it had to be killed."""
    assert process.stdin and process.stdout
    with suppress(OSError):
        process.stdin.close()
    try:
        code: int | None = process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = None
    process.stdout.close()
    return code
