"""Why a job failed, in words that say what to do next."""

from __future__ import annotations

import errno
from pathlib import Path

import job_folders
import pytest
from coloured import coloured

from deepft_lab import worker
from deepft_lab.errors import DeepFTError
from deepft_lab.training import data, tasks


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


class Lost:
    """A picture that went away while the job ran."""

    def __getitem__(self, place: int) -> None:
        raise DeepFTError("The picture 3fa9 cannot be read: it is gone.")


def test_what_a_loading_process_meets_is_told_without_its_trace(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(2), [], pretrained_weights="None")
    examples = data.Examples(Lost(), [0, 1], [], [0, 1], tasks.of_job(job), 1)  # type: ignore[arg-type]
    order = data.TrainingOrder(2, batch_size=2, seed=1)
    with pytest.raises(DeepFTError, match="DataLoader worker process") as caught:
        list(data.batches(examples, order, workers=1, pin=False))
    assert worker.in_words(caught.value, job) == "The picture 3fa9 cannot be read: it is gone."
