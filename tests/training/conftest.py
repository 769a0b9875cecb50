"""The helper that makes job folders lies beside the benches. Threads wait as they do in a job."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported: without it a busy machine crawls
sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """A worker flushes denormal numbers; other tests of this process want them back."""
    import torch

    yield
    torch.set_flush_denormal(False)
