"""Pictures of a job: decoded once into one memory-mapped file, served as batches of pixels.

The file holds uint8 pixels one picture after another, so it costs no more memory than the kernel likes to give, and
ranks and loading processes share it. It is unlinked once every rank has it mapped: nothing is left by a killed job.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepft_lab import images
from deepft_lab.errors import BadImage
from deepft_lab.manifest import Entry
from deepft_lab.training.task import Batch, Task

# A classifier's stored shorter side, over the side that the network sees: crops still find detail, memory stays small.
STORED = 1.5
_ASPECT = 4  # pictures up to this ratio are decoded at a reduced scale without losing detail
_GROUP = 256  # pictures that are decoded before they are written

Key = tuple[int, int, int]  # example, epoch (0: as in validation), position within the epoch


def decode(source: str | Path | bytes, side: int) -> numpy.ndarray:
    """uint8 [height, width, 3] with a shorter side of at most `side`. Raises BadImage.

    Training, validation and prediction all see pictures that went through here.
    """
    picture = images.oriented_rgb(source, max_side=side * _ASPECT)
    shorter = min(picture.size)
    if shorter > side:
        width, height = (max(1, round(length * side / shorter)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return numpy.asarray(picture)


class Index(NamedTuple):
    """Where each picture lies in the file: offsets, and [height, width]; a height of 0 could not be read."""

    offsets: numpy.ndarray
    sizes: numpy.ndarray


def write_pixels(folder: Path, sources: Sequence[Path], side: int, threads: int) -> list[tuple[int, str]]:
    """Decodes `sources` into `folder`/pixels and its index; returns those that cannot be read, with the reason."""
    unreadable: list[tuple[int, str]] = []
    offsets = numpy.zeros(len(sources), numpy.int64)
    sizes = numpy.zeros((len(sources), 2), numpy.int32)

    def attempt(source: Path) -> numpy.ndarray | str:
        try:
            return decode(source, side)
        except (BadImage, OSError) as error:
            return str(error)

    end = 0
    with ThreadPoolExecutor(threads) as pool, (folder / "pixels").open("wb") as file:
        for start in range(0, len(sources), _GROUP):
            for place, found in enumerate(pool.map(attempt, sources[start : start + _GROUP]), start):
                if isinstance(found, str):
                    unreadable.append((place, found))
                    continue
                file.write(numpy.ascontiguousarray(found).data)
                offsets[place], sizes[place] = end, found.shape[:2]
                end += found.size
    numpy.savez(folder / "pixels.npz", offsets=offsets, sizes=sizes)
    return unreadable


def map_pixels(folder: Path) -> tuple[Tensor, Index]:
    """The file of `write_pixels` as one flat uint8 tensor (private to this process when written), and its index."""
    with numpy.load(folder / "pixels.npz") as stored:
        index = Index(stored["offsets"], stored["sizes"])
    length = (folder / "pixels").stat().st_size
    if length == 0:
        return torch.empty(0, dtype=torch.uint8), index
    return torch.from_file(str(folder / "pixels"), shared=False, size=length, dtype=torch.uint8), index


def remove_pixels(folder: Path) -> None:
    for name in ("pixels", "pixels.npz"):
        (folder / name).unlink(missing_ok=True)


class Examples(Dataset):
    """Stored pictures and their targets, as batches that the task makes of them.

    A key says all that a random choice depends on, so any process gives the same pixels for it.
    """

    def __init__(
        self, pixels: Tensor, index: Index, places: Sequence[int], entries: Sequence[Entry], targets: Any,
        task: Task, seed: int,
    ) -> None:  # fmt: skip
        self.pixels, self.index, self.places = pixels, index, places
        self.entries, self.targets = entries, targets
        self.task, self.seed = task, seed

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: Key) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        pictures = [self.picture(example) for example, _, _ in keys]
        targets = [self.targets[example] for example, _, _ in keys]
        if not keys[0][1]:
            return self.task.test_batch(pictures, targets)
        randoms = [numpy.random.default_rng((self.seed, epoch, position)) for _, epoch, position in keys]
        return self.task.train_batch(pictures, targets, randoms)

    def picture(self, example: int) -> Tensor:
        """uint8 [height, width, 3] as it is stored."""
        place = self.places[example]
        height, width = (int(side) for side in self.index.sizes[place])
        offset = int(self.index.offsets[place])
        return self.pixels[offset : offset + height * width * 3].view(height, width, 3)


class TrainingOrder:
    """Batches of keys for one rank, reshuffled each epoch: set `epoch`, then iterate.

    All ranks draw the same order and take turns. The last batch of an epoch is filled up with others of the epoch:
    batch norm learns wrong statistics from a few images, and none from one. With `repeats` each image comes so often
    in a row, each time differently changed (repeated augmentation), and an epoch keeps its length.
    """

    def __init__(
        self, examples: int, *, batch_size: int, seed: int, repeats: int = 1, rank: int = 0, ranks: int = 1
    ) -> None:
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.repeats, self.rank, self.ranks = repeats, rank, ranks
        self.epoch = 1

    def __len__(self) -> int:
        return math.ceil(self.examples / (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[Key]]:
        order = numpy.random.default_rng((self.seed, self.epoch)).permutation(self.examples)
        order = order.repeat(self.repeats)[: self.examples]
        span = self.batch_size * self.ranks
        least = span if self.examples > span else min(self.batch_size, 2) * self.ranks
        for start in range(0, self.examples, span):
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
