"""How a pack lies on the disk (packs.py reads and writes them), and how pictures are taken out. No numpy, no torch."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SUFFIX = ".pack"
MAGIC = b"DFTPACK1"
END = struct.Struct("<32sQ8s")  # SHA-256 of the table, rows, MAGIC
ROW = struct.Struct("<32sQII32s")  # key, offset, height, width, SHA-256 of the pixels
_PIECE = 1 << 20


def end_bytes(count: int) -> int:
    """Bytes that the table and the end of a pack of `count` pictures take."""
    return count * ROW.size + END.size


def read_table(file: int) -> bytes | None:
    """The table of an open pack; None where the file is torn or is no pack."""
    size = os.fstat(file).st_size
    if size < END.size:
        return None
    digest, count, magic = END.unpack(os.pread(file, END.size, size - END.size))
    begin = size - end_bytes(count)
    if magic != MAGIC or begin < 0:
        return None
    table = os.pread(file, count * ROW.size, begin)
    if hashlib.sha256(table).digest() != digest:
        return None
    used = sum(height * width * 3 for _, _, height, width, _ in ROW.iter_unpack(table))
    return table if used == begin else None


def forget(folder: Path, keys: Iterable[str]) -> int:
    """Blanks the pixels of pictures that were deleted, at every side; returns how many there were.

    Nobody may be training on them. What is blank no longer has its hash, so nobody takes it for a picture.
    """
    wanted, count = {bytes.fromhex(key) for key in keys}, 0
    for path in folder.glob(f"*/*{SUFFIX}") if wanted else ():
        with suppress(OSError):
            file = os.open(path, os.O_RDWR)
            try:
                for key, offset, height, width, _ in ROW.iter_unpack(read_table(file) or b""):
                    if key in wanted:
                        _blank(file, offset, height * width * 3)
                        count += 1
            finally:
                os.close(file)
    return count


def _blank(file: int, offset: int, size: int) -> None:
    while size > 0:
        piece = min(size, _PIECE)
        os.pwrite(file, bytes(piece), offset)
        offset, size = offset + piece, size - piece
