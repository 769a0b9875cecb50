"""The cache of decoded pictures: a folder that runs share, bounded, whose content is known by hashes.

    <folder>/lock                       held while pictures are written; the kernel frees it when its holder dies
    <folder>/<side>-<decoder>/*.pack    pictures at that side (packs.py)

A picture is found by the SHA-256 of its file, the side that it was asked for and the decoder's version, so datasets
that share pictures share their pixels, and a dataset that grows has only its new pictures decoded. What does not fit
within the bound, or on the disk, is simply not there: whoever wants it decodes it and gets the same pixels.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy
from PIL import Image, features

from deepft_lab.errors import BadImage
from deepft_lab.training.pack_file import SUFFIX, end_bytes
from deepft_lab.training.packs import Pack, Writer, remove_unused

DECODER = "1"  # of our own code: another number where the same file gives other pixels
LIMIT = 50 * 10**9  # bytes that a cache takes at most, where nothing else is said ...
SHARE = 0.5  # ... and of the disk: what is free and what the cache has already
RESERVE = 10**9  # bytes of the disk that are left to others
PACK_BYTES = 256 * 2**20  # pixels of a pack: what is lost when a run is killed while it decodes, and evicted at once
SMALL = 16  # packs below this part of PACK_BYTES are merged when there are more than so many
_AHEAD = 4  # pictures that each thread may be ahead of the writer

Decode = Callable[[str], numpy.ndarray]  # by key; raises BadImage or OSError


class Filled(NamedTuple):
    """What `fill` did. `unreadable`: keys and reasons. `refused`: why others are not in the cache; empty: all are."""

    packs: list[Pack]
    decoded: int
    unreadable: dict[str, str]
    refused: str


def shelf(folder: Path, side: int) -> Path:
    """Where the packs of a side lie, as this version of the decoders makes them."""
    versions = f"{DECODER} {Image.__version__} {features.version('libjpeg_turbo')} {features.version('webp')}"
    return folder / f"{side}-{hashlib.sha256(versions.encode()).hexdigest()[:8]}"


def find(folder: Path, side: int, keys: Iterable[str], known: Sequence[Pack] = ()) -> list[Pack]:
    """The packs that hold pictures of these keys, open, after those that are `known`. What is torn is passed over."""
    found = list(known)
    left = set(keys).difference(*(pack.rows for pack in found))
    seen = {pack.path for pack in found}
    for path in sorted(shelf(folder, side).glob(f"*{SUFFIX}"), key=_size, reverse=True):  # few files before many
        if not left:
            break
        if path in seen:
            continue
        try:
            pack = Pack(path, left)
        except (OSError, ValueError):
            continue
        if not pack.rows:
            pack.close()
            continue
        pack.used()
        left.difference_update(pack.rows)
        found.append(pack)
    return found


def fill(
    folder: Path, side: int, sizes: Mapping[str, int], decode: Decode, *, limit: int = 0, threads: int = 1
) -> Filled:
    """Decodes what is missing into the cache and opens it. Safe beside other runs; never raises for want of room.

    `sizes`: the bytes of pixels that each key is expected to take. `limit`: bytes of the whole cache, 0 for half of the
    disk's free room and at most 50 GB.
    """
    packs = find(folder, side, sizes)
    decoded, unreadable, refused = 0, {}, ""  # type: int, dict[str, str], str
    place = shelf(folder, side)
    try:
        tidy = False
        while sizes.keys() - unreadable.keys() - _keys(packs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            with _locked(folder):
                if not tidy:
                    _remove_torn(place)
                    tidy = True
                packs = find(folder, side, sizes, packs)  # another run may have written them while this one waited
                there = _keys(packs) | unreadable.keys()
                missing = {key: size for key, size in sizes.items() if key not in there}
                if not missing:
                    break
                room = _make_room(folder, sum(missing.values()) + end_bytes(len(missing)), limit)
                chosen = _next_pack(missing, room)
                if not chosen:
                    refused = _no_room(folder, missing, room, limit)
                    break
                bad = _write_pack(place, chosen, decode, threads)
                packs = find(folder, side, sizes, packs)
            if not set(chosen) <= _keys(packs) | bad.keys():
                raise OSError(errno.EIO, "what was written cannot be read")
            decoded += len(chosen) - len(bad)
            unreadable |= bad
        packs = _with_few_small(folder, side, packs, decode, limit)
    except OSError as error:
        refused = _in_words(folder, error)
    return Filled(packs, decoded, unreadable, refused)


def _with_few_small(folder: Path, side: int, packs: list[Pack], decode: Decode, limit: int) -> list[Pack]:
    """A dataset that grew often lies in many small packs, each an open file: they become one."""
    small = [pack for pack in packs if _size(pack.path) < PACK_BYTES // SMALL]
    if len(small) <= SMALL:
        return packs
    holders = {key: pack for pack in small for key in pack.rows}

    def copied(key: str) -> numpy.ndarray:
        picture = holders[key].picture(key)
        return decode(key) if picture is None else picture.numpy()

    with _locked(folder):
        wanted = sum(_size(pack.path) for pack in small)
        if _make_room(folder, wanted, limit) < wanted or _write_pack(shelf(folder, side), list(holders), copied, 1):
            return packs
        others = [pack for pack in packs if pack not in small]
        paths = [pack.path for pack in small]
        for pack in small:
            pack.let_go()
        for path in paths:
            remove_unused(path)  # where another run has it open, it is evicted in its turn
        return find(folder, side, [key for pack in packs for key in pack.rows], others)


def _keys(packs: Sequence[Pack]) -> set[str]:
    return set().union(*(pack.rows for pack in packs))


def _next_pack(missing: Mapping[str, int], room: int) -> list[str]:
    """The keys of the next pack: in their order, those that there is room for."""
    chosen: list[str] = []
    taken = end_bytes(0)
    for key, size in missing.items():
        if taken + size + end_bytes(1) > (min(room, PACK_BYTES) if chosen else room):
            continue
        chosen.append(key)
        taken += size + end_bytes(1)
        if taken > PACK_BYTES:
            break
    return chosen


def _write_pack(place: Path, keys: Sequence[str], decode: Decode, threads: int) -> dict[str, str]:
    """Writes one pack, whole or not at all; returns the keys that cannot be read, with the reason."""
    unreadable: dict[str, str] = {}
    filling = place / f".{uuid.uuid4().hex}.tmp"
    try:
        with _opened(filling, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file, ThreadPoolExecutor(threads) as pool:
            writer = Writer(file)
            for key, found in _in_order(pool, lambda key: _attempt(decode, key), keys, ahead=_AHEAD * threads):
                if isinstance(found, str):
                    unreadable[key] = found
                else:
                    writer.add(key, found)
            writer.seal()
        if len(unreadable) < len(keys):
            filling.replace(place / f"{uuid.uuid4().hex}{SUFFIX}")
    finally:
        filling.unlink(missing_ok=True)
    return unreadable


def _attempt(decode: Decode, key: str) -> numpy.ndarray | str:
    try:
        return decode(key)
    except (BadImage, OSError) as error:
        return str(error)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[str], numpy.ndarray | str], keys: Sequence[str], *, ahead: int
) -> Iterator[tuple[str, numpy.ndarray | str]]:
    """Results in the order of the keys; no more than `ahead` of them wait in memory."""
    waiting: deque[tuple[str, Future[numpy.ndarray | str]]] = deque()
    for key in keys:
        waiting.append((key, pool.submit(work, key)))
        if len(waiting) >= ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def _make_room(folder: Path, wanted: int, limit: int) -> int:
    """Bytes that may be written now, after packs that are in nobody's use made way, the least recently used first."""
    packs = sorted((path for path in folder.glob(f"*/*{SUFFIX}")), key=_last_use)
    taken = sum(_size(path) for path in packs)
    usage = shutil.disk_usage(folder)
    bound = limit or min(LIMIT, int(SHARE * (usage.free + taken)))
    room = min(bound - taken, usage.free - RESERVE)
    for path in packs:
        if room >= wanted:
            break
        size = _size(path)
        if remove_unused(path):
            room += size
    return max(0, room)


def _remove_torn(place: Path) -> None:
    """What killed runs have left: the lock is ours, so nobody is writing."""
    for path in place.parent.glob("*/.*.tmp"):
        path.unlink(missing_ok=True)
    for path in place.glob(f"*{SUFFIX}"):
        try:
            Pack(path, ()).close()
        except ValueError:
            remove_unused(path)
        except OSError:
            continue


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with _opened(folder / "lock", os.O_WRONLY | os.O_CREAT) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path, flags: int) -> BinaryIO:
    """A file that is its owner's alone."""
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _no_room(folder: Path, missing: Mapping[str, int], room: int, limit: int) -> str:
    wanted = sum(missing.values())
    bound = f" (it may take {_gigabytes(limit)})" if limit else ""
    return (
        f"The cache of decoded pictures in {folder} has room for {_gigabytes(room)} more{bound}, and "
        f"{len(missing)} pictures need {_gigabytes(wanted)}: they are decoded again in each epoch, which is slower. "
        "Make room on the disk or allow the cache more."
    )


def _in_words(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        reason = "its disk is full"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "it may not be written"
    else:
        reason = error.strerror or str(error)
    return (
        f"The cache of decoded pictures in {folder} cannot be used: {reason}. "
        "Pictures are decoded again in each epoch, which is slower."
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
