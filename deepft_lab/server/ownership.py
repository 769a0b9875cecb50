"""Who owns a store: the server that holds the lock on `<store>/lock` and says in `owner.json` how to reach it.

The lock is the operating system's and goes with the process, however it ends; `owner.json` may be out of date.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import msgspec

_held: set[Path] = set()  # a record lock does not stop a second holder in the same process; this does


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the server that owns a store. `url` ends with the server's base URL."""

    url: str
    token: str
    pid: int
    host: str = ""


class Ownership:
    """The lock of one store, held or not."""

    def __init__(self, store_path: str | Path) -> None:
        self.store = Path(store_path)
        self.held = False
        self._file: int | None = None

    def acquire(self) -> bool:
        """Takes the lock if it is free. The store's folder is made, readable for its person alone."""
        if self.held:
            return True
        self.store.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self.store.resolve()
        if key in _held:
            return False
        # A record lock (not flock): it works on NFS and children made by fork do not keep it alive.
        file = os.open(key / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file, self.held = file, True
        _held.add(key)
        return True

    def announce(self, url: str, token: str) -> None:
        """Writes owner.json, whole, for this person's eyes alone."""
        owner = Owner(url=url, token=token, pid=os.getpid(), host=socket.gethostname())
        target = self.store / "owner.json"
        neighbour = self.store / f".owner.{os.getpid()}.tmp"
        neighbour.unlink(missing_ok=True)
        file = os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, msgspec.json.format(msgspec.json.encode(owner), indent=2))
            os.fsync(file)
        finally:
            os.close(file)
        neighbour.replace(target)

    def owner(self) -> Owner | None:
        """What owner.json says; None where there is none."""
        return read_owner(self.store)

    def release(self) -> None:
        """Gives the store up: owner.json goes first, then the lock."""
        if not self.held or self._file is None:
            return
        owner = self.owner()
        if owner and owner.pid == os.getpid() and owner.host == socket.gethostname():
            (self.store / "owner.json").unlink(missing_ok=True)
        _held.discard(self.store.resolve())
        os.close(self._file)
        self._file, self.held = None, False


def read_owner(store_path: str | Path) -> Owner | None:
    """The owner of a store as owner.json names it. It may have died since."""
    try:
        return msgspec.json.decode((Path(store_path) / "owner.json").read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None
