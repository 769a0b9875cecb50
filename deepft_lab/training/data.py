"""Batches of a job's pictures: which examples make a batch, and what the task makes of their pixels."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepft_lab.manifest import Entry
from deepft_lab.training.pictures import Pictures, decode
from deepft_lab.training.task import Batch, Task

__all__ = [
    "Examples",
    "Key",
    "Pictures",
    "TrainingOrder",
    "ValidationOrder",
    "batches",
    "decode",
    "processes",
]

SHARED_MEMORY = Path("/dev/shm")  # through which batches come from the processes that prepare them
_KEPT = 3  # batches of each process that lie there: two ahead and one that is made
_VARYING = 2  # how much larger than another a batch may be, where pictures keep their shapes

Key = tuple[int, int, int]  # example, epoch (0: as in validation), position within the epoch


class Examples(Dataset):
    """Stored pictures and their targets, as batches that the task makes of them.

    A key says all that a random choice depends on, so any process gives the same pixels for it.
    """

    def __init__(
        self, pictures: Pictures, places: Sequence[int], entries: Sequence[Entry], targets: Any, task: Task, seed: int
    ) -> None:
        self.pictures, self.places = pictures, places
        self.entries, self.targets = entries, targets
        self.task, self.seed = task, seed
        self.vectors: Tensor | None = None  # float32 [examples, width], where the task computed them once

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: Key) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        targets = [self.targets[example] for example, _, _ in keys]
        if self.vectors is not None:
            return Batch(self.vectors[[example for example, _, _ in keys]], torch.stack(targets))
        pictures = [self.picture(example) for example, _, _ in keys]
        if not keys[0][1]:
            return self.task.test_batch(pictures, targets)
        randoms = [numpy.random.default_rng((self.seed, epoch, position)) for _, epoch, position in keys]
        return self.task.train_batch(pictures, targets, randoms)

    def picture(self, example: int) -> Tensor:
        """uint8 [height, width, 3] as it is stored."""
        return self.pictures[self.places[example]]


class TrainingOrder:
    """Batches of keys for one rank, reshuffled each epoch: set `epoch`, then iterate.

    All ranks draw the same order and take turns. The last batch of an epoch is filled up with others of the epoch:
    batch norm learns wrong statistics from a few images, and none from one. With `repeats` each image comes so often
    in a row, each time differently changed (repeated augmentation), and an epoch keeps its length. An epoch of more
    `items` than there are examples goes through them again and again, one of fewer takes others each time.
    """

    def __init__(
        self, examples: int, *, batch_size: int, seed: int, items: int | None = None, repeats: int = 1,
        rank: int = 0, ranks: int = 1,
    ) -> None:  # fmt: skip
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.items = examples if items is None else items
        self.repeats, self.rank, self.ranks = repeats, rank, ranks
        self.epoch = 1

    def __len__(self) -> int:
        return math.ceil(self.items / (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[Key]]:
        random = numpy.random.default_rng((self.seed, self.epoch))
        turns = [random.permutation(self.examples) for _ in range(math.ceil(self.items / self.examples))]
        order = numpy.concatenate(turns).repeat(self.repeats)[: self.items]
        span = self.batch_size * self.ranks
        least = span if self.items > span else min(self.batch_size, 2) * self.ranks
        for start in range(0, self.items, span):
            drawn = order[start : start + span]
            batch = [(int(example), self.epoch, start + turn) for turn, example in enumerate(drawn)]
            others = chain.from_iterable(repeat(order))
            while len(batch) < least or len(batch) % self.ranks:
                batch.append((int(next(others)), self.epoch, start + len(batch)))
            yield batch[self.rank :: self.ranks]


class ValidationOrder:
    """Batches of keys for one rank, always the same; the last examples come twice where ranks do not divide them."""

    def __init__(self, examples: int, *, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        turns = math.ceil(examples / ranks) * ranks if examples else 0
        self.keys: list[Key] = [(turn % examples, 0, 0) for turn in range(rank, turns, ranks)]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.keys) / self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.keys), self.batch_size):
            yield self.keys[start : start + self.batch_size]


def processes(examples: Examples, wanted: int, batch_size: int, *, share: float) -> int:
    """How many of the processes that are wanted may prepare batches ahead in a share of what shared memory is free.

    Containers often have 64 MB of it, and a process that finds it full is killed. 0: batches are made as they come.
    """
    if not wanted or not len(examples) or not SHARED_MEMORY.is_dir():
        return wanted
    one = examples.__getitems__([(0, 1, 0)]).images
    each = one.numel() * one.element_size() * batch_size * _VARYING * _KEPT
    return min(wanted, int(share * shutil.disk_usage(SHARED_MEMORY).free // each))


def batches(examples: Examples, order: TrainingOrder | ValidationOrder, *, workers: int, pin: bool) -> DataLoader:
    """A loader of batches. `workers`: processes that prepare batches ahead, for a GPU."""
    return DataLoader(
        examples,
        batch_sampler=order,  # type: ignore[arg-type]
        collate_fn=_as_it_is,  # type: ignore[arg-type]
        num_workers=workers,
        pin_memory=pin,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch
