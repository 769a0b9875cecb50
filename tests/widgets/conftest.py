"""A real server, and apps with real pictures on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import TOKEN, JupyterServer, jupyter


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with jupyter(tmp_path_factory.mktemp("server"), "lab") as running:
        yield running


@pytest.fixture(scope="module")
def lab(server: JupyterServer) -> Iterator[Any]:
    import deepft_lab

    with deepft_lab.connect(server.url, TOKEN) as connected:
        yield connected


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits: `train/0/…png` to `val/9/…png`."""
    from deepft_lab import demo

    folder = tmp_path_factory.mktemp("digits")
    demo.write_digits(folder, seed=1)
    return folder


@pytest.fixture
def app(lab: Any, digits: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An app of its own for each test, with ten unlabelled inputs and the concepts 0, 1, 2."""
    import re

    created = lab.create_app(re.sub(r"\W", "-", request.node.name)[:64])
    created.upload(sorted((digits / "train" / "0").iterdir())[:10])
    created.create_concepts(["0", "1", "2"])
    yield created
    created.delete()
