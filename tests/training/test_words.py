"""Why a job failed, in words that say what to do next."""

from __future__ import annotations

import errno
from pathlib import Path

import job_folders
import pytest
from coloured import coloured

from deepft_lab import worker
from deepft_lab.errors import DeepFTError


class OutOfMemoryError(RuntimeError):
    """Named as torch's own, which needs a GPU to be raised."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DeepFTError("As it was said."), "As it was said."),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate ..."), "smaller batch_size"),
        (MemoryError(), "machine's memory is full"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: ..."), "machine's memory is full"),
        (OSError(errno.ENOSPC, "No space left on device", "/somewhere/pixels"), "disk is full (/somewhere/pixels)"),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_every_failure_has_words(error: Exception, words: str, tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(2), [], pretrained_weights="None")
    assert words in worker.in_words(error, job)
    assert worker.in_words(error, job, rank=1).startswith("Rank 1: ")
