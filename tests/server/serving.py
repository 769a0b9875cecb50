"""What the tests of the server have in common."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from harness import TOKEN, JupyterServer
from PIL import Image


def signed_in(server: JupyterServer, token: str = TOKEN) -> httpx.Client:
    """A client with the server's token."""
    headers = {"Authorization": f"token {token}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False)


def picture(colour: int = 0, side: int = 32, format: str = "PNG") -> bytes:
    """A small picture; another colour is another content."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (colour % 256, colour // 256 % 256, 7)).save(buffer, format)
    return buffer.getvalue()


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What the condition gives once it is true; its last answer when it does not become so."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def small_model(app: Any, folder: Path, epochs: int) -> Any:
    """A model on sixteen tiny pictures, light or dark, that a CPU trains in seconds."""
    for number in range(16):
        shade = "dark" if number % 2 else "light"
        path = folder / "shades" / shade / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number if number % 2 else 255 - number))
    app.upload(folder / "shades", concepts="folders", dataset="all")
    values = {"pretrained_weights": "None", "image_size": 32, "num_epochs": epochs, "batch_size": 4}
    return app.create_model("shade", template="classifier-mobilenet-v2", **values)
