"""What answers this server's requests: the lab of its own store, or the server that owns the store.

One server at a time owns a store. The others forward to it and look every half second whether its lock is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from logging import Logger
from pathlib import Path
from typing import Any, TypeVar

from deepft_lab.errors import DeepFTError, Unavailable
from deepft_lab.server.ownership import Owner, Ownership

T = TypeVar("T")

LOOK_SECONDS = 0.5  # between two looks at the owner's lock
REOPEN_SECONDS = 5.0  # after a store could not be opened
PATIENCE_SECONDS = 8.0  # how long a request waits for an owner
OPENING_SECONDS = 60.0  # how long it waits for a store that is being opened (a migration may run)

# Operations that may hold a thread for seconds get threads of their own: the quick ones never wait for them.
SLOW = frozenset(
    {
        "predict",
        "delete_version",
        "delete_model",
        "delete_app",
        "freeze_dataset",
        "train",
        "create_quote",
        "delete_quote",
    }
)


class Service:
    """The lab, or the way to it. Lives on the server's event loop; the lab works in threads."""

    def __init__(self, store_path: str | Path, open_lab: Callable[[], Any], log: Logger) -> None:
        self.ownership = Ownership(store_path)
        self.lab: Any = None
        self.url = ""
        self.token = ""
        self.streams: set[Any] = set()
        self.last_request = time.monotonic()
        self._requests = 0
        self._open_lab = open_lab
        self._log = log
        self._failure: DeepFTError | None = None
        self._changed = asyncio.Condition()
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._quick = ThreadPoolExecutor(12, thread_name_prefix="deepft")
        self._slow = ThreadPoolExecutor(6, thread_name_prefix="deepft-slow")

    # -- life --

    def start(self, url: str, token: str) -> None:
        """Begins to look for the store's lock. `url` and `token` are how others reach this server."""
        self.url, self.token = url, token
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Closes the lab, leaves its jobs running, and gives the store up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for stream in list(self.streams):
            stream.close()
        lab, self.lab = self.lab, None
        if lab is not None:
            await self.in_thread(lab.close)
        self.ownership.release()
        self._quick.shutdown(wait=False)
        self._slow.shutdown(wait=False)

    @property
    def busy(self) -> bool:
        """Jobs run or wait here."""
        return self.lab is not None and bool(self.lab.busy)

    @property
    def idle_seconds(self) -> float:
        """How long nobody has asked for anything: no request, no stream, no job."""
        if self.streams or self._requests or self.busy:
            self.last_request = time.monotonic()
        return time.monotonic() - self.last_request

    @contextlib.contextmanager
    def request(self) -> Any:
        """Counts a request while it is answered."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            self.last_request = time.monotonic()

    async def in_thread(self, function: Callable[..., T], *args: Any, slow: bool = False, **keywords: Any) -> T:
        """Calls what may block."""
        pool = self._slow if slow else self._quick
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: function(*args, **keywords))

    # -- who answers --

    async def place(self, forwarded: bool = False) -> Any:
        """The lab, or the Owner to forward to; waits while the one ends and the next begins. Raises Unavailable."""
        begun = time.monotonic()
        while self.lab is None:
            if self._failure is not None:
                raise self._failure
            if not self.ownership.held and not forwarded:
                owner = self.ownership.owner()
                if owner is not None and owner.url != self.url:
                    return owner
            patience = OPENING_SECONDS if self.ownership.held else PATIENCE_SECONDS
            left = patience - (time.monotonic() - begun)
            if left <= 0:
                raise self.unavailable()
            self._look.set()
            await self._wait(min(left, 0.2))
        return self.lab

    async def owner_failed(self, owner: Owner) -> None:
        """The owner did not answer: look at its lock at once, and rest for a moment."""
        self._look.set()
        await self._wait(0.2)

    def unavailable(self) -> Unavailable:
        return Unavailable(
            f"The server that owns the store {self.ownership.store} does not answer, and its lock is not free yet. "
            "Try again in a moment; if it stays so, end that server (owner.json in the store names its process)."
        )

    async def _wait(self, seconds: float) -> None:
        async with self._changed:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    async def _run(self) -> None:
        """Until there is a lab here: look at the lock, and open the store when it is free."""
        while self.lab is None:
            self._look.clear()
            rest = LOOK_SECONDS
            try:
                if await self.in_thread(self.ownership.acquire):
                    await self._open()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # a border: the server goes on, and each request gets the reason
                self._fail(error)
                rest = REOPEN_SECONDS
            async with self._changed:
                self._changed.notify_all()
            if self.lab is None:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._look.wait() if rest == LOOK_SECONDS else asyncio.sleep(rest), rest)

    async def _open(self) -> None:
        # Others may forward from now on; their requests wait here until the lab stands.
        await self.in_thread(self.ownership.announce, self.url, self.token)
        lab = await self.in_thread(self._open_lab)
        self._failure = None
        self.lab = lab
        self._log.info("DeepFT Lab: this server owns the store %s", self.ownership.store)

    def _fail(self, error: Exception) -> None:
        self.ownership.release()
        if isinstance(error, DeepFTError):
            self._failure = error
        else:
            self._log.exception("DeepFT Lab: the store %s cannot be opened", self.ownership.store)
            self._failure = Unavailable(
                f"The store {self.ownership.store} cannot be opened ({type(error).__name__}: {error}). "
                "The server's log has the details; `jupyter deepft doctor` says what is wrong here."
            )
