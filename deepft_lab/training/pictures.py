"""The decoded pictures of a job: from the cache where they are there, else decoded now. Either way the same pixels."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy
import torch
from torch import Tensor

from deepft_lab import images
from deepft_lab import spec as job_folder
from deepft_lab.errors import BadImage, DeepFTError
from deepft_lab.manifest import Entry
from deepft_lab.training import cache
from deepft_lab.training.preparing import Tell

ASPECT = 4  # the longer side is at most so much of the side that is stored
_AT_ONCE = 200_000_000  # pixels that are decoded at once: about 1 GB at the worst, for formats without reduced scales
_UNREADABLE = "unreadable.json"  # of the job folder: what the first rank found


def decode(source: str | Path | bytes, side: int | None) -> numpy.ndarray:
    """uint8 [height, width, 3] with a shorter side of at most `side`; None: as large as it is. Raises BadImage.

    Training, validation and prediction all see pictures that went through here.
    """
    longer = None if side is None else side * ASPECT
    return numpy.array(images.oriented_rgb(source, max_side=longer, shorter_side=side))


class Pictures:
    """What the entries of a job show: `pictures[place]` is uint8 [height, width, 3].

    `unreadable`: places that cannot be read, with the reason. `decoded`: pictures that the cache did not have.
    `refused`: why the cache does not have them all; empty where it does.
    """

    def __init__(self, blobs: Path, keys: Sequence[str], side: int | None, packs: Sequence[cache.Pack] = ()) -> None:
        self.blobs, self.keys, self.side = blobs, keys, side
        self.unreadable: dict[int, str] = {}
        self.decoded, self.refused = 0, ""
        self._packs = {key: pack for pack in packs for key in pack.rows}

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: int) -> Tensor:
        key = self.keys[place]
        pack = self._packs.get(key)
        if pack is not None:
            found = pack.picture(key)
            if found is not None:
                return found
        try:
            pixels = decode(source(self.blobs, key), self.side)
        except (BadImage, OSError) as error:
            raise DeepFTError(f"The picture {key} could be read before, and now it cannot: {error}") from error
        if pack is not None:
            pack.mend(key, pixels)
        return torch.from_numpy(pixels)

    @property
    def cached(self) -> int:
        """How many of them are in the cache."""
        return sum(key in self._packs for key in self.keys)


def source(blobs: Path, key: str) -> Path:
    return blobs / key[:2] / key


def gather(
    spec: job_folder.JobSpec,
    folder: Path,
    entries: Sequence[Entry],
    side: int | None,
    *,
    threads: int = 1,
    first: bool = True,
    wait: Callable[[], Any] = lambda: None,
    tell: Tell = lambda what, share: None,
) -> Pictures:
    """The pictures of a job. The first rank decodes what the cache lacks while the others `wait`.

    Without a cache they are decoded into the job's folder, where nothing of them is left once each rank has them open.
    """
    blobs, keys = Path(spec.blobs), [entry.sha256 for entry in entries]
    place = Path(spec.cache) if spec.cache else folder / "pixels"
    if first:
        found = _fill(blobs, entries, side, place, limit=spec.cache_bytes, threads=threads, tell=tell)
        job_folder.write(folder / _UNREADABLE, found.unreadable)
    wait()
    if not first:
        packs = [] if side is None else cache.find(place, side, keys)
        found = Pictures(blobs, keys, side, packs)
        content = (folder / _UNREADABLE).read_bytes()
        found.unreadable = msgspec.json.decode(content, type=dict[int, str])
    wait()
    if first:
        (folder / _UNREADABLE).unlink(missing_ok=True)
        if not spec.cache:
            shutil.rmtree(place, ignore_errors=True)
    return found


def _fill(
    blobs: Path, entries: Sequence[Entry], side: int | None, place: Path, *, limit: int, threads: int, tell: Tell
) -> Pictures:
    keys = [entry.sha256 for entry in entries]
    if side is None:
        found = Pictures(blobs, keys, None)
        unreadable: dict[str, str] = {}
    else:
        sizes = {entry.sha256: _bytes(entry, side) for entry in entries}
        pixels = {entry.sha256: entry.width * entry.height for entry in entries}
        room, turns = _Room(_AT_ONCE), count()

        def decoded(key: str) -> numpy.ndarray:
            with room.taken(pixels[key]):
                tell("reading pictures", next(turns) / len(sizes))
                return decode(source(blobs, key), side)

        filled = cache.fill(place, side, sizes, decoded, limit=limit, threads=threads)
        found = Pictures(blobs, keys, side, filled.packs)
        found.decoded, found.refused, unreadable = filled.decoded, filled.refused, filled.unreadable
    for row, key in enumerate(keys):
        reason = unreadable.get(key)
        if reason is None and key not in found._packs:
            reason = _header_fault(source(blobs, key))
        if reason is not None:
            found.unreadable[row] = reason
    return found


class _Room:
    """Lets so many pixels be decoded at once, so that memory is bounded with any number of threads."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


def _bytes(entry: Entry, side: int) -> int:
    width, height = images.fitted((max(1, entry.width), max(1, entry.height)), side * ASPECT, side)
    return width * height * 3


def _header_fault(path: Path) -> str | None:
    """Why a picture that is not in the cache cannot be read, as far as its beginning shows."""
    try:
        images.header(path)
    except (BadImage, OSError) as error:
        return str(error)
    return None
