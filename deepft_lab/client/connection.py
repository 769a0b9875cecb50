"""One connection to a server: calls operations by name, raises their errors again, and finds the server again when it
was restarted or another one took the store over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from deepft_lab import errors
from deepft_lab.api import OPERATIONS
from deepft_lab.client import finding

READ_SECONDS = 300.0  # a prediction for many images, or a freeze of a large dataset
AGAIN_SECONDS = 30.0  # how long a request is tried again while no server is there
OTHERS_SECONDS = 10.0  # how long we wait for a server that others started before we start one
LONGEST_PAUSE = 1.0


class Connection:
    """Thread-safe. `place` changes when the server is found elsewhere."""

    def __init__(self, url: str | None, token: str | None) -> None:
        self._given = (url, token)
        self.place, self.me = finding.find(url, token)
        self.started = self.place.pid is not None
        self._http = finding.client(self.place, READ_SECONDS)
        self._lock = threading.Lock()

    def call(self, operation_name: str, /, *, query: Any = None, body: Any = None, **parameters: str) -> Any:
        """Calls an operation and gives its answer as records. Raises what the server raises."""
        operation = OPERATIONS[operation_name]
        content = msgspec.json.encode(body) if body is not None else None
        response = self.send(
            operation.verb,
            operation.url(**parameters),
            query=query,
            content=(lambda: content) if content is not None else None,
            again=operation.verb == "GET",
        )
        if operation.answer is None:
            return response.content
        return msgspec.json.decode(response.content, type=operation.answer)

    def send(
        self,
        verb: str,
        path: str,
        *,
        query: Any = None,
        content: Callable[[], Any] | None = None,
        headers: dict[str, str] | None = None,
        again: bool = False,
    ) -> httpx.Response:
        """Sends a request. `content` makes the body anew for each try. `again`: doing it twice does no harm.

        A request that never reached a server is tried again in any case.
        """
        begun, pause = time.monotonic(), 0.05
        while True:
            place = self.place
            reason = ""
            try:
                response = self._http.request(
                    verb,
                    path.lstrip("/"),
                    params=_arguments(query),
                    content=content() if content else None,
                    headers=headers,
                )
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                reason = str(error) or type(error).__name__
            except httpx.TransportError as error:
                if not again:
                    raise errors.Unavailable(
                        f"The server went away during {verb} {path} ({error or type(error).__name__}); whether it was "
                        "done is not known. Look, and try again."
                    ) from error
                reason = str(error) or type(error).__name__
            else:
                if response.is_success:
                    return response
                error_found = _error(response)
                moved = isinstance(error_found, errors.NotSignedIn) and self._given[0] is None
                busy = isinstance(error_found, errors.Unavailable) and again
                if not (moved or busy):
                    raise error_found
                reason = error_found.message
            if time.monotonic() - begun > AGAIN_SECONDS:
                raise errors.ServerNotFound(
                    f"The server {place.url} does not answer any more ({reason}). Start it again, or connect() anew."
                )
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self._find_again(place, wait=time.monotonic() - begun < OTHERS_SECONDS)

    def _find_again(self, lost: finding.Place, wait: bool) -> None:
        """Looks for the server anew, once for all threads that lost it."""
        with self._lock:
            if self.place is not lost:
                return
            url, token = self._given
            try:
                self.place, self.me = finding.find(url, token, start=self.started or not wait)
            except errors.ServerNotFound:
                if self.started:
                    raise
                return
            self.started = self.started or self.place.pid is not None
            if (self.place.url, self.place.token) != (lost.url, lost.token):
                # The old one is not closed here: other threads may still read from it.
                self._http = finding.client(self.place, READ_SECONDS)

    def close(self) -> None:
        self._http.close()


def _arguments(query: Any) -> dict[str, Any]:
    if query is None:
        return {}
    given = msgspec.to_builtins(query)
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in given.items()
        if value is not None
    }


def _error(response: httpx.Response) -> errors.DeepFTError:
    try:
        payload = response.json()
    except ValueError:
        payload = {}
    if not isinstance(payload, dict) or "error" not in payload:
        payload = {"message": f"{response.request.url.path} answers {response.status_code} {response.reason_phrase}."}
    return errors.from_json(payload, response.status_code)
