"""The main of a picture process: decodes files from outside, under limits, so that the server does not.

It reads requests (operation, path, number) from standard input and answers (ok, content) on standard output, both as
msgpack behind four bytes of length. It ends when nothing was asked for a while, or when the server is gone.
"""

from __future__ import annotations

import os
import resource
import select
import struct
import sys
from pathlib import Path
from typing import IO, Any

import msgspec

LENGTH = struct.Struct(">I")


def main() -> None:
    """Arguments: the limit of memory in bytes, and after how many idle seconds to end."""
    memory, idle_seconds = int(sys.argv[1]), float(sys.argv[2])
    # What a decoder prints must not end up between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    from deepft_lab import images
    from deepft_lab.errors import BadImage

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests = os.fdopen(0, "rb", buffering=0)
    while select.select([requests], [], [], idle_seconds)[0]:
        message = receive(requests)
        if message is None:
            return
        operation, path, number = message
        try:
            answer: Any = _OPERATIONS[operation](images, Path(path), number)
            ok = True
        except BadImage as error:
            ok, answer = False, error.message
        except OSError as error:
            ok, answer = False, f"The file cannot be read ({error.strerror})."
        send(answers, (ok, answer))


def send(stream: IO[bytes], message: Any) -> None:
    content = msgspec.msgpack.encode(message)
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message, or None at the end."""
    head = _read(stream, LENGTH.size)
    if head is None:
        return None
    content = _read(stream, LENGTH.unpack(head)[0])
    return None if content is None else msgspec.msgpack.decode(content)


def _read(stream: IO[bytes], size: int) -> bytes | None:
    pieces = []
    while size:
        piece = stream.read(size)
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


_OPERATIONS = {
    "probe": lambda images, path, number: list(images.probe(path)),
    "thumbnail": lambda images, path, number: images.thumbnail(path, number),
    "shown": lambda images, path, number: images.shown(path),
}

if __name__ == "__main__":
    main()
