"""The table of operations, the errors, and that the lab carries every row out."""

from __future__ import annotations

import inspect

import pytest

from deepft_lab import errors, records
from deepft_lab.api import OPERATIONS, ROLES
from deepft_lab.lab import Lab
from deepft_lab.records import Fault

KNOWN_RULES = {*ROLES, "user", "administrator"}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_operation_has_a_rule_and_a_method(operation) -> None:
    assert operation.role in KNOWN_RULES
    method = getattr(Lab, operation.name)
    given = inspect.signature(method).parameters
    if operation.kind != "stream":
        wanted = set(operation.parameters)
        wanted |= {name for name in ("query", "body") if getattr(operation, name) is not None}
        wanted |= {"path"} if operation.kind == "upload" else set()
        assert {name for name, p in given.items() if p.kind is p.KEYWORD_ONLY} == wanted
    if "app" in operation.parameters:
        assert "owner" in operation.parameters, "a path names the app's owner"
        assert operation.role in ROLES, "what lies in an app needs a role on it"


def test_no_two_operations_share_verb_and_path() -> None:
    routes = [(operation.verb, operation.path) for operation in OPERATIONS.values()]
    assert len(routes) == len(set(routes))


def test_what_changes_something_is_no_get_and_needs_more_than_a_viewer() -> None:
    for operation in OPERATIONS.values():
        if operation.verb != "GET" and operation.role == "viewer":
            assert operation.name == "predict"


def test_parameters_are_escaped_in_urls() -> None:
    url = OPERATIONS["app"].url(owner="a/b", app="../x")
    assert url == "/deepft/api/apps/a%2Fb/..%2Fx"


def test_an_error_comes_back_over_the_wire_as_the_same_class() -> None:
    for name, cls in errors.error_classes().items():
        sent = errors.to_json(cls("What happened.", [Fault("batch_size", 0, "too small")]))
        back = errors.from_json(sent, cls.status)
        assert type(back) is cls and back.code == name
        assert back.message == "What happened." and back.faults[0].field == "batch_size"


def test_an_unknown_error_becomes_the_class_of_its_status() -> None:
    assert type(errors.from_json({"error": "Strange", "message": "m"}, 404)) is errors.NotFound
    assert type(errors.from_json({}, 418)) is errors.DeepFTError


def test_finished_states_are_states() -> None:
    assert set(records.State.__args__) >= records.FINISHED
