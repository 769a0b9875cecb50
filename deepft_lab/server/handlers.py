"""The base of every handler: who calls, who answers (here or the store's owner), and one form for every error."""

from __future__ import annotations

import errno
import hmac
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.auth.identity import User
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.httputil import HTTPHeaders, responses
from tornado.iostream import StreamClosedError

from deepft_lab import errors
from deepft_lab._version import __version__
from deepft_lab.api import Operation
from deepft_lab.records import Caller, Me
from deepft_lab.server import access, decode
from deepft_lab.server.forward import FORWARDED, MARK, PASSED_BACK, PASSED_ON, Exchange, OwnerGone
from deepft_lab.server.ownership import Owner
from deepft_lab.server.service import PATIENCE_SECONDS, SLOW

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

STATUS_CLASSES: dict[int, type[errors.DeepFTError]] = {
    400: errors.InvalidRequest,
    401: errors.NotSignedIn,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidRequest,
    413: errors.TooLarge,
}


class Handler(APIHandler):
    """Answers the operations of one path; subclasses say how, in `answer`."""

    auth_resource = "deepft_lab"
    operations: ClassVar[dict[str, Operation]] = {}  # by verb

    def initialize(self, app: Any) -> None:
        self.app = app
        self.service = app.service
        self._exchange: Exchange | None = None

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header(MARK, __version__)
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")

    async def prepare(self) -> None:  # type: ignore[override]
        self._accept_own_token()
        await super().prepare()

    @web.authenticated
    @authorized
    async def get(self, **parameters: str) -> None:
        await self.serve(parameters)

    @web.authenticated
    @authorized
    async def post(self, **parameters: str) -> None:
        await self.serve(parameters)

    @web.authenticated
    @authorized
    async def put(self, **parameters: str) -> None:
        await self.serve(parameters)

    @web.authenticated
    @authorized
    async def patch(self, **parameters: str) -> None:
        await self.serve(parameters)

    @web.authenticated
    @authorized
    async def delete(self, **parameters: str) -> None:
        await self.serve(parameters)

    # -- who calls --

    @property
    def operation(self) -> Operation:
        """The row of the table that this request asks for."""
        operation = self.operations.get(self.request.method or "")
        if operation is None:
            known = ", ".join(self.operations)
            raise web.HTTPError(405, f"{self.request.method} is not known here; there is: {known}")
        return operation

    @property
    def caller(self) -> Caller:
        """On a person's own server: that person, owner of all. Only another identity provider (a hub's) is believed."""
        user = self.app.user_name
        if type(self.identity_provider).__module__.startswith("jupyter_server."):
            return Caller(user=user, administrator=True)
        name = self.current_user.username
        return Caller(user=name, administrator=name == user)

    def _accept_own_token(self) -> None:
        """A server with a password has no token; its kernels and the person's other servers know this one."""
        given = self.request.headers.get("Authorization", "").partition(" ")[2].strip()
        own = self.app.own_token
        if own and given and hmac.compare_digest(given.encode(), own.encode()):
            self._jupyter_current_user = User(username=self.app.user_name)
            self._token_authenticated = True

    # -- who answers --

    async def serve(self, parameters: dict[str, str]) -> None:
        """Answers here, or by the owner of the store, whichever it is when the request gets its turn."""
        operation = self.operation
        begun = time.monotonic()
        with self.service.request():
            while True:
                place = await self.service.place(forwarded=FORWARDED in self.request.headers)
                if not isinstance(place, Owner):
                    return await self.answer(place, operation, parameters)
                try:
                    return await self.forward(place, operation)
                except OwnerGone as gone:
                    if gone.answered:
                        return self._break_off()
                    if gone.sent and operation.verb != "GET":
                        raise errors.Unavailable(
                            f"The server that owns the store ended while it carried out {operation.name!r}; whether "
                            "it was done is not known. Look, and try again."
                        ) from None
                    if time.monotonic() - begun > PATIENCE_SECONDS:
                        raise self.service.unavailable() from None
                    await self.service.owner_failed(place)

    async def answer(self, lab: Any, operation: Operation, parameters: dict[str, str]) -> None:
        raise NotImplementedError

    async def forward(self, owner: Owner, operation: Operation) -> None:
        """Passes the request on and the answer back. The owner knows one person, by the token in owner.json."""
        if not self.caller.administrator:
            raise errors.Unavailable(
                f"Another server of {self.app.user_name!r} has the store now, and a guest cannot be answered through "
                "this one. Try again when that server has ended."
            )
        pieces: list[bytes] = []
        rewritten = operation.name == "me"

        def on_head(status: int, headers: HTTPHeaders) -> None:
            self.set_status(status)
            for name in PASSED_BACK:
                if name in headers and not (rewritten and name in ("Content-Length", "Etag")):
                    self.set_header(name, headers[name])
            for value in headers.get_list("Content-Security-Policy")[-1:]:
                self.set_header("Content-Security-Policy", value)

        async def on_piece(piece: bytes) -> None:
            if rewritten:
                pieces.append(piece)
                return
            try:
                self.write(piece)
                await self.flush()
            except StreamClosedError:
                exchange.close()

        exchange = self._exchange = Exchange(on_head, on_piece)
        query = [(name, value) for name, value in parse_qsl(self.request.query, True) if name not in decode.FOREIGN]
        target = self.request.path[len(self.base_url.rstrip("/")) :] + ("?" + urlencode(query) if query else "")
        headers = {name: self.request.headers[name] for name in PASSED_ON if name in self.request.headers}
        try:
            await exchange.run(owner, operation.verb, target, headers, self.body_pieces())
        finally:
            self._exchange = None
        if rewritten and self.get_status() == 200:
            me = msgspec.json.decode(b"".join(pieces), type=Me)
            self.write(msgspec.json.encode(msgspec.structs.replace(me, owner_of_store=False)))
        elif pieces:
            self.write(b"".join(pieces))
        self.finish(set_content_type=str(self._headers.get("Content-Type", "application/json")))

    async def body_pieces(self) -> AsyncIterator[bytes]:
        """The request's body, for the owner."""
        if self.request.body:
            yield self.request.body

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._exchange is not None:
            self._exchange.close()

    def _break_off(self) -> None:
        """Half an answer cannot be mended: the client must see that it is broken."""
        connection: Any = self.request.connection
        if connection is not None and connection.stream is not None:
            connection.stream.close()

    # -- errors --

    def log_exception(self, kind: Any, value: BaseException | None, trace: Any) -> None:
        """Ours are answers, not incidents. An unknown error gets a reference that its answer names too."""
        if isinstance(value, errors.DeepFTError):
            self.log.debug("%s %s: %s", self.request.method, self.request.path, value.message)
        elif isinstance(value, web.HTTPError) or _no_space(value):
            super().log_exception(kind, value, trace)
        else:
            self._reference = secrets.token_hex(4)
            self.log.error("Reference %s", self._reference, exc_info=value)

    def write_error(self, status_code: int, **keywords: Any) -> None:
        cause = (keywords.get("exc_info") or (None, None, None))[1]
        error = self._in_our_words(status_code, cause)
        if isinstance(cause, errors.DeepFTError) or _no_space(cause):
            self.set_status(error.status)
        self.set_header("Cache-Control", "no-store")
        self.finish(msgspec.json.encode(errors.to_json(error)))

    def _in_our_words(self, status: int, cause: BaseException | None) -> errors.DeepFTError:
        if isinstance(cause, errors.DeepFTError):
            return cause
        if _no_space(cause):
            store = self.service.ownership.store
            return errors.StoreFull(
                f"The disk of the store {store} is full. Nothing was half written: free some space and try again."
            )
        if not isinstance(cause, web.HTTPError):
            name = next((o.name for o in self.operations.values() if o.verb == self.request.method), self.request.path)
            return errors.DeepFTError(
                f"The server failed at {name!r} ({type(cause).__name__}). Its log has the details under the "
                f"reference {getattr(self, '_reference', '?')}."
            )
        words = cause.log_message or responses.get(status, "Unknown HTTP error")
        if status in (401, 403) and not self.current_user:
            return errors.NotSignedIn(
                "A valid token is needed: `Authorization: token ...`, as `jupyter server list` shows."
            )
        return STATUS_CLASSES.get(status, errors.DeepFTError)(words % cause.args if cause.args else words)


class JsonHandler(Handler):
    """A record in, a record out. Everything but the reading of the request happens in a thread."""

    async def answer(self, lab: Any, operation: Operation, parameters: dict[str, str]) -> None:
        caller = self.caller
        method = getattr(lab, operation.name)

        def work() -> bytes:
            access.check(lab, operation, caller, parameters)
            given: dict[str, Any] = dict(parameters)
            if operation.query is not None:
                given["query"] = decode.query(operation.query, self.request.query_arguments)
            if operation.body is not None:
                given["body"] = decode.body(operation.body, self.request.body)
            return msgspec.json.encode(method(caller, **given))

        content = await self.service.in_thread(work, slow=operation.name in SLOW)
        self.set_status(operation.status)
        self.finish(content)


class UnknownPath(Handler):
    """Anything else below our base: an answer in our form, for those who are signed in."""

    @property
    def operation(self) -> Operation:
        raise errors.NotFound(
            f"There is no {self.request.path}. The document openapi.json beside it lists what there is."
        )


def _no_space(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in NO_SPACE
