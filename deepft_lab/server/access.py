"""The one place that decides who may call what. Calls, streams, pictures and uploads all ask here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepft_lab.api import OPERATIONS, ROLES, Operation
from deepft_lab.errors import Forbidden, NotFound
from deepft_lab.records import Caller

KNOWN_RULES = ("user", "administrator", *ROLES)


def check(lab: Any, operation: Operation, caller: Caller, parameters: Mapping[str, str]) -> None:
    """Raises Forbidden, or NotFound where the caller may not even know that the app exists. Asks the lab: may block."""
    if operation.role == "user":
        return
    if operation.role == "administrator":
        if not caller.administrator:
            raise Forbidden(f"{operation.name!r} is for administrators; you are {caller.user!r}.")
        return
    held = lab.role(caller, parameters["owner"], parameters["app"])
    if held is None:
        raise NotFound(f"There is no app {parameters['app']!r} of {parameters['owner']!r}, or it is not yours to see.")
    if held == "administrator":
        return
    if rank(held) < rank(operation.role):
        raise Forbidden(
            f"{operation.name!r} needs the role {operation.role} on the app {parameters['app']!r}; you are {held}."
        )


def rank(role: str) -> int:
    """How far up a role on an app stands. Anything unknown stands below all."""
    return ROLES.index(role) if role in ROLES else -1


def rules() -> dict[str, str]:
    """The rule of every operation. One without a usable rule is a fault of ours."""
    for operation in OPERATIONS.values():
        needs_app = operation.role in ROLES
        if operation.role not in KNOWN_RULES or needs_app != ({"owner", "app"} <= set(operation.parameters)):
            raise ValueError(f"The operation {operation.name!r} has no usable rule of access: {operation.role!r}.")
    return {name: operation.role for name, operation in OPERATIONS.items()}
