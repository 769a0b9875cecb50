"""Which role a caller holds on an app. The server asks before every operation; here is where the answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, RowMapping, or_, select, true

from deepft_lab.errors import NotFound
from deepft_lab.records import Caller, Role
from deepft_lab.store.tables import app_members, apps

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab


def role(lab: Lab, caller: Caller, owner: str, app: str) -> Role | None:
    """What the caller holds on the app; None where it does not exist for them."""
    with lab.database.reading() as connection:
        row = connection.execute(select(apps.c.key).where(apps.c.owner == owner, apps.c.id == app)).first()
        return role_of(connection, caller, owner, row.key) if row else None


def role_of(connection: Connection, caller: Caller, owner: str, app: int) -> Role | None:
    """The same, for an app that is there."""
    if caller.administrator or caller.user == owner:
        return "owner"
    member = select(app_members.c.role).where(app_members.c.app == app, app_members.c.user == caller.user)
    return connection.execute(member).scalar()


def visible(caller: Caller) -> ColumnElement[bool]:
    """A condition on `apps`: the caller may see it."""
    if caller.administrator:
        return true()
    shared = select(app_members.c.app).where(app_members.c.user == caller.user)
    return or_(apps.c.owner == caller.user, apps.c.key.in_(shared))


def find_app(connection: Connection, owner: str, app: str) -> RowMapping:
    """The app's row. Raises NotFound."""
    found = connection.execute(select(apps).where(apps.c.owner == owner, apps.c.id == app)).mappings().first()
    if found is None:
        raise NotFound(f"There is no app {app!r} of {owner!r}, or it is not yours.")
    return found


def find(connection: Connection, table: Any, app: int, what: str, value: str) -> RowMapping:
    """A row of an app by its id: a model, a dataset. Raises NotFound."""
    found = connection.execute(select(table).where(table.c.app == app, table.c.id == value)).mappings().first()
    if found is None:
        raise NotFound(f"There is no {what} {value!r} in this app.")
    return found
