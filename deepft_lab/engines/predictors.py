"""Warm processes that answer predictions: one a model folder, started on demand, at most a few at once. No torch here.

    Predictors(idle_seconds=300).predict(model_folder, [content, ...]) -> ([Prediction, ...], cold)

Each process listens on a Unix socket of mode 0600 in a private folder and speaks MessagePack, a length of four bytes
before it. It ends itself when it was idle for long, and when its standard input, which we hold, is closed: so none
outlives us.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from deepft_lab.engines.local import cores, import_path
from deepft_lab.engines.runner import ALLOCATOR, WAITING, thread_counts
from deepft_lab.errors import Unavailable
from deepft_lab.records import Prediction

BATCH = 16  # images a request: a long list is answered bit by bit, so that others get their turn
START_SECONDS = 60.0  # for a cold start; it takes 5 to 10
ANSWER_SECONDS = 120.0  # for one batch
_LENGTH = struct.Struct(">I")


class Answer(msgspec.Struct, frozen=True):
    """What a predictor sends back: predictions, or why there are none."""

    predictions: list[Prediction] = []
    error: str = ""


_decode_answer = msgspec.msgpack.Decoder(Answer).decode
_encode_images = msgspec.msgpack.Encoder().encode


class Predictors:
    """Starts, keeps and ends predictors. Safe to call from several threads.

    `limit`: how many stay warm. One that is answering is never ended for another.
    """

    def __init__(self, idle_seconds: float = 300.0, limit: int = 2) -> None:
        self.idle_seconds, self.limit = idle_seconds, limit
        self._warm: dict[Path, _Predictor] = {}  # the one used last stands last
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._started = 0

    def predict(self, model_folder: str | Path, images: Sequence[bytes]) -> tuple[list[Prediction], bool]:
        """A prediction an image, in their order, and whether a process had to start. Raises Unavailable."""
        while True:
            predictor, cold = self._use(Path(model_folder).absolute())
            predictions: list[Prediction] = []
            try:
                for start in range(0, max(len(images), 1), BATCH):
                    predictions += predictor.ask(images[start : start + BATCH])
                return predictions, cold
            except Unavailable:
                if cold or predictor.process.poll() != 0:
                    raise  # otherwise it went idle just as we came: start a fresh one
            finally:
                with self._lock:
                    predictor.users -= 1

    def close(self) -> None:
        """Ends every predictor."""
        with self._lock:
            for predictor in self._warm.values():
                predictor.end()
            self._warm.clear()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def warm(self) -> list[Path]:
        """Model folders whose predictor lives."""
        with self._lock:
            return [folder for folder, predictor in self._warm.items() if predictor.alive()]

    def _use(self, model_folder: Path) -> tuple[_Predictor, bool]:
        with self._lock:
            for folder, other in list(self._warm.items()):
                if not other.alive():  # idle for long, or crashed
                    self._warm.pop(folder).end()
            cold = model_folder not in self._warm
            predictor = self._start(model_folder) if cold else self._warm.pop(model_folder)
            predictor.users += 1
            self._warm[model_folder] = predictor
            return predictor, cold

    def _start(self, model_folder: Path) -> _Predictor:
        if not (model_folder / "model.json").is_file():
            raise Unavailable(f"There is no model in {model_folder}: its files were removed. Train again.")
        idle = [folder for folder, other in self._warm.items() if not other.users]
        for folder in idle[: max(0, len(self._warm) + 1 - self.limit)]:
            self._warm.pop(folder).end()
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="deepft-"))  # mode 0700, and a short path
        self._started += 1
        return _Predictor(model_folder, self._folder / f"{self._started}", self.idle_seconds)


class _Predictor:
    """One process and the way to it."""

    def __init__(self, model_folder: Path, place: Path, idle_seconds: float) -> None:
        self.socket, self.log = place.with_suffix(".sock"), place.with_suffix(".log")
        self.users = 0  # requests that it is answering; guarded by the lock of Predictors
        arguments = ["-m", "deepft_lab.predictor", str(self.socket), str(model_folder), "--idle", str(idle_seconds)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **ALLOCATOR, **WAITING, **thread_counts(cores()), **import_path()},
                start_new_session=True,
            )

    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, images: Sequence[bytes]) -> list[Prediction]:
        """Predictions of one batch. Raises Unavailable."""
        try:
            with self._connect() as connection:
                connection.settimeout(ANSWER_SECONDS)
                send(connection, _encode_images(list(images)))
                content = receive(connection)
        except OSError as error:
            raise self._unavailable(str(error)) from error
        if content is None:
            raise self._unavailable("it closed the connection")
        answer = _decode_answer(content)
        if answer.error:
            raise Unavailable(answer.error)
        return answer.predictions

    def end(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for left in (self.socket, self.log):
            left.unlink(missing_ok=True)

    def _connect(self) -> socket.socket:
        """A connection, once the process listens."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(self.socket))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                if not self.alive():
                    raise ConnectionError("its process ended") from None
                if time.monotonic() > deadline:
                    raise ConnectionError(f"it was not ready within {START_SECONDS:.0f} s") from None
                time.sleep(0.02)

    def _unavailable(self, what: str) -> Unavailable:
        code = self.process.poll()
        if code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(1)
        try:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        ended = "" if code is None else f" (signal {-code})" if code < 0 else f" (exit code {code})"
        last = f" Its last words: {lines[-1]}" if lines else ""
        return Unavailable(f"The predictor failed: {what}{ended}.{last} The next prediction starts a fresh one.")


def send(connection: socket.socket, content: bytes) -> None:
    """Sends a message with its length before it."""
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> bytes | None:
    """The next message; None where the other side has closed."""
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    content = bytearray()
    while len(content) < length:
        part = connection.recv(min(length - len(content), 2**20))
        if not part:
            return None
        content += part
    return bytes(content)
