"""Routes from the table of operations: one handler class a path."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from deepft_lab.api import BASE, OPERATIONS, Operation
from deepft_lab.server import access
from deepft_lab.server.files import FileHandler
from deepft_lab.server.handlers import Handler, JsonHandler, UnknownPath
from deepft_lab.server.streams import StreamHandler
from deepft_lab.server.uploads import UploadHandler

KINDS: dict[str, type[Handler]] = {
    "json": JsonHandler,
    "file": FileHandler,
    "upload": UploadHandler,
    "stream": StreamHandler,
}


class OpenApiHandler(Handler):
    """The OpenAPI document. Every server has it, whoever owns the store."""

    @web.authenticated
    @authorized
    async def get(self, **parameters: str) -> None:
        from deepft_lab.server.openapi import document

        self.finish(msgspec.json.encode(document(self.base_url)))


def routes(app: Any) -> list[tuple[str, type[Handler], dict[str, Any]]]:
    """(pattern, handler, arguments) of every path, fixed words before parameters. Refuses a table without rules."""
    access.rules()
    paths: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS.values():
        paths.setdefault(operation.path, {})[operation.verb] = operation
    arguments = {"app": app}
    found: list[tuple[str, type[Handler], dict[str, Any]]] = [(f"{BASE}/openapi.json", OpenApiHandler, arguments)]
    for path in sorted(paths, key=lambda path: [part.startswith("{") for part in path.split("/")]):
        (kind,) = {operation.kind for operation in paths[path].values()}
        base = KINDS[kind]
        name = "".join(word.title() for word in re.findall(r"\w+", path)) + base.__name__
        pattern = BASE + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)
        found.append((pattern, type(name, (base,), {"operations": paths[path]}), arguments))
    found.append((f"{BASE}/?.*", UnknownPath, arguments))
    return found
