"""What all tests share: the package on the path of child processes, real pictures, a server, a client, a browser.

A folder or a file that wants another server defines a fixture of that name; `lab` connects to whichever it is.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import CHROMIUM, FLAGS, TOKEN, JupyterServer, jupyter, shared_folder

# Child processes must find the package too when it is not installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and weights. Tests that need it are skipped where it is absent."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("the shared photographs are not here (DEEPFT_SHARED says where)")
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits: `train/0/...png` to `val/9/...png`."""
    from deepft_lab import demo

    folder = tmp_path_factory.mktemp("digits")
    demo.write_digits(folder, seed=1)
    return folder


@dataclasses.dataclass(frozen=True)
class Photos:
    """A small real data set: folders `train` and `val` of one folder a concept, and values that train on it quickly."""

    folder: Path
    concepts: list[str]
    values: dict[str, Any]
    accuracy: float  # what the values must reach

    def files(self, dataset: str, concept: str, limit: int | None = None) -> list[Path]:
        return sorted((self.folder / dataset / concept).iterdir())[:limit]


@pytest.fixture(scope="session")
def photos(request: pytest.FixtureRequest) -> Photos:
    """Ants and bees where the photographs are, else handwritten digits."""
    shared = shared_folder()
    if shared:
        folder = shared / "data" / "classify-antsbees"
        return Photos(folder, ["ants", "bees"], {"num_epochs": 2, "image_size": 128}, 0.8)
    from deepft_lab import demo

    digits = request.getfixturevalue("digits")
    return Photos(digits, [str(digit) for digit in range(10)], demo.VALUES, 0.8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A JupyterLab with folders of its own."""
    with jupyter(tmp_path_factory.mktemp("lab"), "lab") as running:
        yield running


@pytest.fixture(scope="module")
def lab(server: JupyterServer) -> Iterator[Any]:
    """The Python client of `server`."""
    import deepft_lab

    with deepft_lab.connect(server.url, TOKEN) as connected:
        yield connected


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. It ends with the module: while it lives, its event loop runs in the tests' thread."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
