"""What goes in and out: faults in words, one form of error, safe files."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import JupyterServer
from serving import picture

from deepft_lab.errors import Conflict


@pytest.fixture(scope="module")
def app(lab: Any) -> Any:
    return lab.create_app("handlers")


def test_every_fault_of_a_body_is_told_at_once(http: httpx.Client) -> None:
    response = http.post("deepft/api/apps", json={"id": 1, "descriptoin": "x"})
    assert response.status_code == 400
    body = response.json()
    assert body["error"] == "InvalidRequest"
    assert {fault["field"] for fault in body["faults"]} == {"id", "descriptoin"}
    assert "Known are: id, description" in body["message"]


@pytest.mark.parametrize("content", [b"[]", b"{", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"id": null}', b"{}"])
def test_a_body_that_is_no_such_object_is_refused_in_words(http: httpx.Client, content: bytes) -> None:
    response = http.post("deepft/api/apps", content=content)
    assert response.status_code == 400
    assert response.json()["error"] == "InvalidRequest"


def test_a_wrong_query_is_refused_and_the_right_names_are_listed(http: httpx.Client, app: Any) -> None:
    path = f"deepft/api/apps/{app.owner}/{app.id}/inputs"
    wrong = http.get(path, params={"concpet": "ant", "limit": "many"})
    assert wrong.status_code == 400
    assert {fault["field"] for fault in wrong.json()["faults"]} == {"concpet", "limit"}
    assert "concept" in wrong.json()["message"]
    jupyterlabs_way_around_caches = http.get(path, params={"1795372623529": ""})
    assert jupyterlabs_way_around_caches.status_code == 200


def test_an_unknown_path_and_an_unknown_verb_answer_in_our_form(http: httpx.Client) -> None:
    assert http.get("deepft/api/nowhere").json()["error"] == "NotFound"
    refused = http.delete("deepft/api/me")
    assert refused.status_code == 405
    assert "GET" in refused.json()["message"]


def test_an_error_of_the_lab_keeps_its_class_and_words(lab: Any, app: Any) -> None:
    with pytest.raises(Conflict, match="handlers"):
        lab.create_app("handlers")


def test_names_with_every_character_find_their_way(http: httpx.Client, app: Any) -> None:
    for name in ("a%2Fb", "%F0%9F%90%9C", "a%20b%3Fc%23d", "%00"):
        response = http.get(f"deepft/api/apps/{app.owner}/{name}")
        assert response.status_code in (400, 404), name
        assert response.json()["error"] in ("NotFound", "InvalidRequest")
    assert http.get(f"deepft/api/apps/{app.owner}/%FF").status_code == 400


def test_a_picture_is_sent_with_a_safe_type_and_a_mark_of_its_content(lab: Any, app: Any, http: httpx.Client) -> None:
    report = app.upload(picture(1))
    path = f"deepft/api/apps/{app.owner}/{app.id}/inputs/{report.inputs[0]}"
    for kind in ("picture", "thumbnail"):
        response = http.get(f"{path}/{kind}").raise_for_status()
        assert response.headers["content-type"] in ("image/png", "image/jpeg", "image/webp")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
        assert response.headers["cache-control"].startswith("private")
        assert int(response.headers["content-length"]) == len(response.content) > 0
        again = http.get(f"{path}/{kind}", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
        assert not again.content


def test_an_unknown_error_names_a_reference_that_the_log_has(
    server: JupyterServer, lab: Any, http: httpx.Client
) -> None:
    store = Path(lab.connection.me.store)
    broken = lab.create_app("broken")
    report = broken.upload(picture(77))
    blobs = [path for path in (store / "blobs").rglob("*") if path.is_file() and path.name.startswith(report.inputs[0])]
    assert blobs
    for path in blobs:
        path.unlink()
    response = http.get(f"deepft/api/apps/{broken.owner}/broken/inputs/{report.inputs[0]}/picture")
    assert response.status_code in (404, 500)
    if response.status_code == 500:
        reference = response.json()["message"].rstrip(".").split()[-1]
        assert reference in server.log()


def test_torch_never_comes_into_the_server(server: JupyterServer, lab: Any) -> None:
    lab.templates()
    lab.machine()
    assert server.process is not None
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "sqlalchemy" in maps or "sqlite" in maps, "the lab is loaded"
    assert "torch" not in maps
