"""Real servers for the tests of the HTTP layer and the Python API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import TOKEN, JupyterServer, jupyter
from serving import picture, signed_in

import deepft_lab


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A Jupyter server with the extension, for all tests that do it no harm."""
    with jupyter(tmp_path_factory.mktemp("server"), "server") as running:
        yield running


@pytest.fixture(scope="session")
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with signed_in(server) as client:
        yield client


@pytest.fixture(scope="session")
def lab(server: JupyterServer) -> Iterator[Any]:
    with deepft_lab.connect(server.url, TOKEN) as connected:
        yield connected


@pytest.fixture
def folder_of_pictures(tmp_path: Path) -> Path:
    """Two folders of pictures, a text file, and what must be passed over."""
    root = tmp_path / "photos"
    for number, name in enumerate(["ants/1.png", "ants/2.png", "bees/3.png", ".hidden/4.png", "bees/.5.png"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    (root / "ants" / "notes.txt").write_text("no picture")
    (root / "ants" / ".ipynb_checkpoints").mkdir()
    (root / "ants" / ".ipynb_checkpoints" / "1.png").write_bytes(picture(9))
    return root
