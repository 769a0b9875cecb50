"""The data that the flows run on: ants and bees where the photographs are, else handwritten digits."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import shared_folder


@dataclasses.dataclass(frozen=True)
class Photos:
    """A small real data set: folders `train` and `val` of one folder a concept, and values that train on it quickly."""

    folder: Path
    concepts: list[str]
    values: dict[str, Any]
    accuracy: float  # what the values must reach
    bad_files: int  # files that are no pictures, kept on purpose


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    shared = shared_folder()
    if shared:
        folder = shared / "data" / "classify-antsbees"
        return Photos(folder, ["ants", "bees"], {"num_epochs": 2, "image_size": 128}, 0.8, 0)
    from deepft_lab import demo

    folder = tmp_path_factory.mktemp("digits")
    demo.write_digits(folder, seed=1)
    return Photos(folder, [str(digit) for digit in range(10)], demo.VALUES, 0.8, 0)
