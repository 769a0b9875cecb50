"""The main of a warm predictor: `python -m deepft_lab.predictor SOCKET MODEL_FOLDER [--idle SECONDS]`.

Loads the model, then answers one connection after another; `engines/predictors.py` starts it and talks to it. It ends
when it was idle for the given time, and when its standard input is closed, which means that its owner is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from deepft_lab.engines.predictors import Answer, receive, send
from deepft_lab.records import Prediction

_decode_images = msgspec.msgpack.Decoder(list[bytes]).decode
_encode_answer = msgspec.msgpack.Encoder().encode
RECEIVE_SECONDS = 60.0  # for a request that has begun


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deepft_lab.predictor")
    parser.add_argument("socket", type=Path)
    parser.add_argument("model_folder", type=Path)
    parser.add_argument("--idle", type=float, default=300.0, help="seconds without a request after which it ends")
    options = parser.parse_args(arguments)
    predict = load(options.model_folder)
    listener = listen(options.socket)
    try:
        serve(listener, predict, idle_seconds=options.idle)
    finally:
        listener.close()
        options.socket.unlink(missing_ok=True)
    return 0


def load(model_folder: Path) -> Callable[[Sequence[bytes]], list[Prediction]]:
    """The model, warmed by one empty picture so that the first real one is not slow."""
    import torch

    from deepft_lab.training.predicting import Predictor

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.set_flush_denormal(True)
    predictor = Predictor(model_folder)
    predictor.warm_up()
    return predictor.predict


def listen(path: Path) -> socket.socket:
    """A listening socket that this user alone may connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener


def serve(
    listener: socket.socket, predict: Callable[[Sequence[bytes]], list[Prediction]], *, idle_seconds: float
) -> None:
    """Answers until it is idle for long or standard input ends."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], idle_seconds)
        if not ready or sys.stdin in ready:
            return
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # a caller that went away is no reason to end
            connection.settimeout(RECEIVE_SECONDS)
            content = receive(connection)
            if content is not None:
                send(connection, _encode_answer(answer(content, predict)))


def answer(content: bytes, predict: Callable[[Sequence[bytes]], list[Prediction]]) -> Answer:
    """Predictions of a request, or its failure in words."""
    try:
        return Answer(predictions=predict(_decode_images(content)))
    except Exception as error:  # the border: the process goes on with the next request
        traceback.print_exc()
        return Answer(error=f"The prediction failed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
