"""How a job is handed to processes that were started ahead, and the side of the worker.

    server --Order--> runner --Order--> worker          over socket pairs, each the standard input of who receives
    server <--READY, TAKEN-- runner <--READY, TAKEN-- worker

A closed socket says that the other side is gone, however it ended. One message is one packet.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from deepft_lab.engines import processes

READY = b"ready"  # all is imported
TAKEN = b"taken"  # the job is mine from here on
LENGTH = 65536  # bytes of a packet at most


class Order(msgspec.Struct, frozen=True):
    """The job to take. `until`: by the machine's monotonic clock; who reads it later leaves it alone."""

    job: str
    folder: str
    until: float


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Order).decode


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def receive(channel: socket.socket) -> bytes:
    """The next packet; empty where the other side is gone."""
    try:
        return channel.recv(LENGTH)
    except ConnectionError:
        return b""


def wait() -> Path:
    """Of a worker that has imported what a job needs: blocks until there is one, and returns its folder.

    Whatever is printed from then on goes to the job's log. Without a job the process ends here.
    """
    channel = socket.socket(fileno=0)
    try:
        channel.send(READY)
    except OSError:
        os._exit(0)
    message = receive(channel)
    if not message:
        os._exit(0)  # nobody will ask any more, and there is nothing to tidy up
    order = decode(message)
    processes.carry(order.job)
    print_to_log(Path(order.folder))
    channel.send(TAKEN)
    channel.detach()
    read_nothing()
    return Path(order.folder)


def print_to_log(folder: Path) -> None:
    """What this process and its children print goes to the job's log from here on."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def read_nothing() -> None:
    """Standard input was the way to whom the process waited for; now it is that of any job."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
