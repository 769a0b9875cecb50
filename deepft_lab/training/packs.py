"""A pack: one file of decoded pictures, written once, mapped into memory, never appended to.

    pixels of each picture, uint8 [height, width, 3], one after another | table | sha256 of the table | count | MAGIC

The table says of each picture its key (the SHA-256 of the file that it was decoded from), where its pixels lie, its
size and the SHA-256 of the pixels. A pack that was torn has no valid end; a damaged picture no longer has its hash.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy
import torch
from torch import Tensor

from deepft_lab.training.pack_file import END, MAGIC, read_table

_ROW = numpy.dtype([("key", "V32"), ("offset", "<u8"), ("height", "<u4"), ("width", "<u4"), ("sha256", "V32")])


class Writer:
    """Fills a new file; `seal` gives it its end. Raises OSError where there is no room."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self._file, self._rows = file, []  # type: ignore[var-annotated]

    def add(self, key: str, pixels: numpy.ndarray) -> None:
        content = numpy.ascontiguousarray(pixels).data
        self._file.write(content)
        height, width = pixels.shape[:2]
        self._rows.append((bytes.fromhex(key), self.size, height, width, hashlib.sha256(content).digest()))
        self.size += content.nbytes

    def seal(self) -> None:
        table = numpy.array(self._rows, _ROW).tobytes()
        self._file.write(table + END.pack(hashlib.sha256(table).digest(), len(self._rows), MAGIC))
        self._file.flush()


class Pack:
    """An open pack. While it, or a picture of it, is in use, a lock of the kernel says so, and nobody evicts it."""

    def __init__(self, path: Path, wanted: Iterable[str]) -> None:
        """Raises OSError where it cannot be read or locked, ValueError where it is torn."""
        self.path = path
        self._file = _opened(path)
        self.close = weakref.finalize(self, os.close, self._file)
        fcntl.flock(self._file, fcntl.LOCK_SH)
        table = read_table(self._file)
        if table is None:
            self.close()
            raise ValueError(f"The file {path} is no whole pack of pictures.")
        rows = numpy.frombuffer(table, _ROW)
        chosen, keys = set(wanted), [key.tobytes().hex() for key in rows["key"]]
        self.rows = {key: row for key, row in zip(keys, rows, strict=True) if key in chosen}
        self._pixels = numpy.empty(0, numpy.uint8)
        if self.rows:  # private to this process when written
            self._pixels = numpy.frombuffer(mmap.mmap(self._file, 0, access=mmap.ACCESS_COPY), numpy.uint8)
        self._tensor = torch.from_numpy(self._pixels)
        self._sound: set[str] = set()

    def picture(self, key: str) -> Tensor | None:
        """uint8 [height, width, 3], a view of the file; None where its pixels are damaged. Hashed when first seen."""
        row = self.rows[key]
        begin, height, width = int(row["offset"]), int(row["height"]), int(row["width"])
        end = begin + height * width * 3
        if key not in self._sound:
            if hashlib.sha256(self._pixels[begin:end].data).digest() != row["sha256"].tobytes():
                return None
            self._sound.add(key)
        return self._tensor[begin:end].view(height, width, 3)

    def mend(self, key: str, pixels: numpy.ndarray) -> bool:
        """Puts the right pixels where they were damaged, here and in the file; False where they are not those."""
        row, content = self.rows[key], numpy.ascontiguousarray(pixels).reshape(-1)
        if hashlib.sha256(content.data).digest() != row["sha256"].tobytes():
            return False
        begin = int(row["offset"])
        self._pixels[begin : begin + content.size] = content
        with suppress(OSError):  # a file that may only be read stays damaged; this process has the pixels
            os.pwrite(self._file, content.data, begin)
        return True

    def let_go(self) -> None:
        """Others may evict it from now on. Pictures that were given out stay."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def used(self) -> None:
        """Notes that it was used now: what was not used for longest is evicted first."""
        with suppress(OSError):
            os.utime(self._file)


def _opened(path: Path) -> int:
    """Open for writing where that is allowed: some network file systems lock only such files."""
    try:
        return os.open(path, os.O_RDWR)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return os.open(path, os.O_RDONLY)


def remove_unused(path: Path) -> bool:
    """Removes a pack that nobody has in use; False where somebody has."""
    try:
        file = _opened(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(file)
    return True
