import httpx

from deepft_lab.api import OPERATIONS
from deepft_lab.errors import error_classes
from deepft_lab.server.openapi import document


def test_the_document_has_every_operation_with_its_role_and_parameters(http: httpx.Client) -> None:
    found = http.get("deepft/api/openapi.json").raise_for_status().json()
    assert found["openapi"] == "3.1.0"
    for operation in OPERATIONS.values():
        row = found["paths"][operation.path][operation.verb.lower()]
        assert row["operationId"] == operation.name
        assert row["x-role"] == operation.role
        in_path = [parameter["name"] for parameter in row["parameters"] if parameter["in"] == "path"]
        assert in_path == operation.parameters


def test_every_reference_in_the_document_leads_somewhere() -> None:
    whole = document("/user/ada/")
    assert whole["servers"] == [{"url": "/user/ada/deepft/api"}]

    def references(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*(references(value) for value in part.values()))
        if isinstance(part, list):
            return set().union(*map(references, part))
        return set()

    for reference in references(whole):
        target: object = whole
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(target, dict) and step in target, reference
            target = target[step]


def test_every_error_of_the_tree_is_named_with_its_status() -> None:
    words = document()["components"]["responses"]["Error"]["description"]
    for name, cls in error_classes().items():
        assert f"{cls.status} {name}" in words
