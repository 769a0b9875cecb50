"""The lab as a person's Python sees it: apps, templates, usage."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from deepft_lab import errors, records
from deepft_lab.client import shown
from deepft_lab.client.app import App
from deepft_lab.client.connection import Connection
from deepft_lab.client.model import Model
from deepft_lab.client.table import Table
from deepft_lab.client.values import sendable
from deepft_lab.client.version import Version


def connect(url: str | None = None, token: str | None = None) -> Lab:
    """Finds a running server, or starts one on loopback that ends itself when nobody needs it.

    Order: `url` and `token`; DEEPFT_LAB_URL and DEEPFT_LAB_TOKEN; the Jupyter server of this kernel; a hub's
    environment; the owner of the default store. Raises ServerNotFound.
    """
    return Lab(Connection(url, token))


class Lab:
    """A connection to a server. Also a context manager, which closes it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @property
    def url(self) -> str:
        """The server, with its base URL."""
        return self.connection.place.url

    @property
    def user(self) -> str:
        """Who we are there: a bare app id means an app of ours."""
        return self.connection.me.user

    def create_app(self, id: str, description: str = "") -> App:
        """Creates an app of ours. `id`: 1 to 64 letters, digits, `-` and `_`. Raises Conflict where it is taken."""
        return App(self, self.connection.call("create_app", body=records.CreateApp(id=id, description=description)))

    def app(self, id: str, owner: str | None = None) -> App:
        """An app by its id; another person's by `owner`. Raises NotFound."""
        return App(self, self.connection.call("app", owner=owner or self.user, app=id))

    def apps(self) -> Table[App]:
        """Every app that we may see."""
        return Table([App(self, record) for record in self.connection.call("apps")], "Apps")

    def templates(self, type: str | None = None) -> Table[records.Template]:
        """Every usable template, of one model type if wanted. See `broken_templates` for the others."""
        found = self.connection.call("templates").templates
        return Table([template for template in found if type is None or template.type == type], "Templates")

    def broken_templates(self) -> list[records.BrokenTemplate]:
        """Template files that could not be used, with their faults."""
        return self.connection.call("templates").broken

    def check_params(self, template: str, examples: int | None = None, **values: Any) -> records.CheckedParams:
        """Complete values of a template, every fault, and what follows from them; trains nothing."""
        body = records.CheckParams(values=sendable(values), examples=examples)
        return self.connection.call("check_params", template=template, body=body)

    def running(self) -> Table[Version]:
        """Versions that run or wait, in the order of the queue."""
        return Table([self._version(record) for record in self.connection.call("running")], "Running and waiting")

    def usage(self) -> Table[records.Usage]:
        """The ledger: one row for each attempt of each job. An administrator of a hub sees all."""
        return Table(self.connection.call("usage"), "Usage")

    def machine(self) -> records.Machine:
        """What the server's machine has, and how much of it is free."""
        return self.connection.call("machine")

    def close(self) -> None:
        """Closes the connection, and ends a server that `connect()` started, once no job runs."""
        if self.connection.started:
            # It may have ended already, or belong to others by now.
            with suppress(errors.Conflict, errors.ServerNotFound, errors.Unavailable):
                self.connection.call("shutdown", body=records.Shutdown())
        self.connection.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Lab {self.url} as {self.user}>"

    def _repr_html_(self) -> str:
        return shown.pairs("DeepFT Lab", {"server": self.url, "you are": self.user, "apps": len(self.apps())})

    def _version(self, record: records.ModelVersion) -> Version:
        app = App(self, self.connection.call("app", owner=record.owner, app=record.app))
        return Version(
            Model(app, self.connection.call("model", owner=app.owner, app=app.id, model=record.model)), record
        )
