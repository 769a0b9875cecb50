"""The helper that makes job folders lies beside the benches. Threads wait as in a job; templates are read once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported: without it a busy machine crawls
sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

_read: dict[Path, Any] = {}


@pytest.fixture(autouse=True)
def templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """All catalogs share what they have read, which takes each 0.7 s. Files that change are read again."""
    from deepft_lab.catalog import Catalog

    make = Catalog.__init__

    def make_sharing(self: Catalog, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        self._read = _read

    monkeypatch.setattr(Catalog, "__init__", make_sharing)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """A worker flushes denormal numbers; other tests of this process want them back."""
    import torch

    yield
    torch.set_flush_denormal(False)
