"""Who may call what, for every row of the table."""

import dataclasses
from typing import Any

import httpx
import pytest
from harness import TOKEN, JupyterServer

from deepft_lab import api
from deepft_lab.api import BASE, OPERATIONS, Operation
from deepft_lab.errors import Forbidden, NotFound
from deepft_lab.records import Caller
from deepft_lab.server import access


def filled(operation: Operation) -> str:
    return operation.url(**dict.fromkeys(operation.parameters, "x")).lstrip("/")


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("token", [None, "wrong"])
def test_nothing_is_answered_without_the_token(server: JupyterServer, name: str, token: str | None) -> None:
    operation = OPERATIONS[name]
    headers = {"Authorization": f"token {token}"} if token else {}
    response = httpx.request(
        operation.verb, server.url + filled(operation), headers=headers, content=b"{}", trust_env=False
    )
    assert response.status_code in (401, 403)
    assert response.json()["error"] == "NotSignedIn"


@pytest.mark.parametrize("path", ["/openapi.json", "/nowhere", "/apps/a/b/c/d/e/f"])
def test_nothing_beside_the_table_is_answered_without_the_token(server: JupyterServer, path: str) -> None:
    response = httpx.get(server.url.rstrip("/") + BASE + path, trust_env=False)
    assert response.status_code in (401, 403)


@pytest.mark.parametrize("name", [name for name, o in OPERATIONS.items() if o.verb != "GET"])
def test_a_cross_site_request_with_cookies_and_without_xsrf_token_is_refused(server: JupyterServer, name: str) -> None:
    operation = OPERATIONS[name]
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        browser.get("api/status", params={"token": TOKEN}).raise_for_status()
        assert any(cookie.startswith("username-") for cookie in browser.cookies)
        assert browser.get("deepft/api/me").status_code == 200, "the cookie signs in"
        refused = browser.request(
            operation.verb, filled(operation), content=b"{}", headers={"Content-Type": "text/plain"}
        )
        assert refused.status_code == 403
        foreign = browser.request(
            operation.verb, filled(operation), content=b"{}", headers={"Origin": "http://elsewhere.example"}
        )
        assert foreign.status_code in (403, 404)


def test_a_request_with_cookie_and_xsrf_token_is_served(server: JupyterServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        browser.get("login")
        browser.get("api/status", params={"token": TOKEN}).raise_for_status()
        xsrf = browser.cookies["_xsrf"]
        made = browser.post("deepft/api/apps", json={"id": "by-cookie"}, headers={"X-XSRFToken": xsrf})
        assert made.status_code == 201


def test_every_operation_has_a_rule() -> None:
    assert set(access.rules()) == set(OPERATIONS)
    assert {operation.role for operation in OPERATIONS.values()} <= set(access.KNOWN_RULES)


def test_an_operation_without_a_usable_rule_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"role": ""}, {"role": "user"}, {"path": "/elsewhere/{model}"}):
        faulty = dataclasses.replace(OPERATIONS["model"], **change)
        monkeypatch.setattr(access, "OPERATIONS", {**api.OPERATIONS, "model": faulty})
        with pytest.raises(ValueError, match="'model'"):
            access.rules()


class Roles:
    """A lab in which everybody holds one role."""

    def __init__(self, role: str | None) -> None:
        self.held = role

    def role(self, caller: Caller, owner: str, app: str) -> Any:
        return self.held


@pytest.mark.parametrize("held", [None, *api.ROLES])
@pytest.mark.parametrize("name", [name for name, o in OPERATIONS.items() if o.role in api.ROLES])
def test_a_role_allows_what_its_rank_says_and_nothing_more(name: str, held: str | None) -> None:
    operation = OPERATIONS[name]
    check = (Roles(held), operation, Caller(user="ada"), {"owner": "bob", "app": "cells"})
    if held is None:
        with pytest.raises(NotFound):
            access.check(*check)
    elif api.ROLES.index(held) < api.ROLES.index(operation.role):
        with pytest.raises(Forbidden, match=operation.role):
            access.check(*check)
    else:
        access.check(*check)


def test_what_is_for_administrators_is_for_them_alone() -> None:
    operation = OPERATIONS["shutdown"]
    with pytest.raises(Forbidden):
        access.check(Roles("owner"), operation, Caller(user="ada"), {})
    access.check(Roles(None), operation, Caller(user="ada", administrator=True), {})
