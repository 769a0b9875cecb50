"""Files named by their SHA-256: `<root>/<first two hex digits>/<sha256>`. Written whole or not at all, never changed.

The root is a folder, or the URL of an object store that fsspec knows.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deepft_lab.errors import StoreFull

PIECE = 1 << 20  # bytes read at once


class Blobs:
    """Content-addressed files."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._remote: Any = None
        if "://" in self.root:
            import fsspec

            self._remote, self._base = fsspec.core.url_to_fs(self.root)
        else:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """The folder, where the root is one."""
        return Path(self.root)

    def path(self, sha256: str) -> Path:
        """Where the file lies in the folder."""
        return self.folder / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self._remote.exists(self._key(sha256)) if self._remote else self.path(sha256).exists()

    def read(self, sha256: str) -> bytes:
        return self._remote.cat_file(self._key(sha256)) if self._remote else self.path(sha256).read_bytes()

    def adopt(self, path: Path, sha256: str) -> bool:
        """Moves a finished file of the same disk in. False where the content was there: the file is then removed."""
        if self.has(sha256):
            path.unlink()
            return False
        with full_disk_in_words(self.root):
            if self._remote:
                self._remote.put_file(str(path), self._key(sha256))
                path.unlink()
            else:
                target = self.path(sha256)
                target.parent.mkdir(mode=0o700, exist_ok=True)
                sync(path)
                path.replace(target)
        return True

    def write(self, content: bytes) -> str:
        """Stores bytes and gives their SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self.has(sha256):
            return sha256
        with full_disk_in_words(self.root):
            if self._remote:
                self._remote.pipe_file(self._key(sha256), content)
            else:
                from deepft_lab.spec import write_whole

                self.path(sha256).parent.mkdir(mode=0o700, exist_ok=True)
                write_whole(self.path(sha256), content)
        return sha256

    def remove(self, sha256: str) -> None:
        if self._remote:
            with suppress(FileNotFoundError):
                self._remote.rm_file(self._key(sha256))
        else:
            self.path(sha256).unlink(missing_ok=True)

    def _key(self, sha256: str) -> str:
        return f"{self._base}/{sha256[:2]}/{sha256}"


@contextmanager
def full_disk_in_words(place: str | Path) -> Iterator[None]:
    """A full disk, a quota or a file size limit becomes StoreFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull(f"The disk of the store is full ({place}). Make room, then try again.") from error
        raise


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 and size in bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def sync(path: Path) -> None:
    """Brings a file's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
