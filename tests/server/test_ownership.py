"""One owner of a store: others forward to it, and take over when it is gone."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import httpx
import pytest
from harness import TOKEN, JupyterServer
from serving import picture, signed_in, wait_for

import deepft_lab
from deepft_lab.server.ownership import Ownership, read_owner


def test_only_one_holds_the_lock_and_the_next_gets_it_after(tmp_path: Path) -> None:
    first, second = Ownership(tmp_path / "store"), Ownership(tmp_path / "store")
    assert first.acquire()
    assert not second.acquire()
    first.announce("http://127.0.0.1:1/", "secret")
    first.release()
    assert read_owner(tmp_path / "store") is None
    assert second.acquire()
    second.release()


def test_owner_json_is_for_its_person_alone(tmp_path: Path) -> None:
    owner = Ownership(tmp_path / "store")
    owner.acquire()
    owner.announce("http://127.0.0.1:1/", "secret")
    file = tmp_path / "store" / "owner.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["pid"] == os.getpid()
    owner.release()


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = f"""
import sys, time
from deepft_lab.server.ownership import Ownership
print(Ownership({str(tmp_path / "store")!r}).acquire(), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        own = Ownership(tmp_path / "store")
        assert not own.acquire()
        other.kill()
        other.wait()
        assert own.acquire()
        own.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"url": 1}'])
def test_an_owner_json_that_cannot_be_read_names_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "owner.json").write_bytes(content)
    assert read_owner(tmp_path) is None


OTHER_TOKEN = "token-of-the-first-server"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[JupyterServer, JupyterServer]]:
    """Two servers of one person, each with its own token: the first owns the store."""
    with monkeypatch.context() as patched:
        patched.setattr(harness, "TOKEN", OTHER_TOKEN)
        first = JupyterServer(tmp_path, "headless").start()
    second = JupyterServer(tmp_path, "server", options=["--ServerApp.base_url=/second/"])
    second.url += "second/"
    try:
        yield first, second.start()
    finally:
        second.stop()
        first.stop()


GUESTS = """
from jupyter_server.auth.identity import IdentityProvider, User

class Guests(IdentityProvider):
    '''As a hub's: the token says who it is.'''

    def get_user(self, handler):
        name = handler.request.headers.get("Authorization", "").partition(" ")[2]
        if not name:
            return None
        handler._token_authenticated = True
        return User(username=name)
"""


def test_a_guest_of_the_second_server_is_not_taken_for_its_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "guests.py").write_text(GUESTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with harness.jupyter(tmp_path, "headless") as first, signed_in(first) as one:
        assert one.post("deepft/api/apps", json={"id": "private"}).status_code == 201
        options = ["--ServerApp.identity_provider_class=guests.Guests", f"--DeepFTLab.user_name={TOKEN}"]
        with (
            harness.jupyter(tmp_path, "server", options) as second,
            signed_in(second) as person,
            signed_in(second, "guest") as guest,
        ):
            assert [app["id"] for app in person.get("deepft/api/apps").json()] == ["private"]
            answer = guest.get("deepft/api/apps")
            assert (answer.status_code, answer.json()["error"]) == (503, "Unavailable")
            assert guest.delete(f"deepft/api/apps/{me(one)['user']}/private").status_code == 503
            assert guest.put("deepft/api/apps/a/b/uploads/c/files?name=x", content=b"x").status_code == 503
            assert [app["id"] for app in one.get("deepft/api/apps").json()] == ["private"]


def me(http: httpx.Client) -> dict[str, Any]:
    return http.get("deepft/api/me").raise_for_status().json()


def test_the_second_server_forwards_and_takes_over_when_the_first_is_killed(
    two: tuple[JupyterServer, JupyterServer],
) -> None:
    first, second = two
    with signed_in(first, OTHER_TOKEN) as one, signed_in(second) as other:
        assert me(one)["owner_of_store"] and not me(other)["owner_of_store"]
        assert other.post("deepft/api/apps", json={"id": "shared"}).status_code == 201
        assert [app["id"] for app in one.get("deepft/api/apps").json()] == ["shared"]
        by_query = httpx.get(second.url + "deepft/api/me", params={"token": TOKEN}, trust_env=False)
        assert by_query.status_code == 200, "this server's token is no affair of the owner's"
        again = other.post("deepft/api/apps", json={"id": "shared"})
        assert (again.status_code, again.json()["error"]) == (409, "Conflict"), "errors come through as they are"

        with deepft_lab.connect(second.url, TOKEN) as lab:
            app = lab.app("shared")
            small = app.upload(picture(1))
            assert small.added == 1 and small.inputs
            content = picture(2, side=1500, format="BMP")
            assert len(content) > 6_000_000, "more than fits into the pieces that wait"
            assert app.upload(content).added == 1
            assert app.picture(small.inputs[0]).startswith(b"\x89PNG")

            heard: list[bytes] = []
            listener = threading.Thread(target=listen, args=(second, heard), daemon=True)
            listener.start()
            assert wait_for(lambda: b"event: hello" in b"".join(heard))
            app.create_concepts("ant")
            assert wait_for(lambda: b"event: changed" in b"".join(heard)), "the stream is forwarded"

            first.kill()
            listener.join(10)
            assert not listener.is_alive(), "a stream of a dead owner ends, so that its client comes again"
            assert app.count() == 2, "a request that comes meanwhile waits for the next owner"
            assert me(other)["owner_of_store"]
            assert second.process is not None
            owner = read_owner(Path(me(other)["store"]))
            assert owner is not None and owner.pid == second.process.pid
            assert app.create_concepts("bee")[-1].name == "bee"


def test_a_server_that_ends_properly_leaves_no_owner_json_and_the_next_takes_over(
    two: tuple[JupyterServer, JupyterServer],
) -> None:
    first, second = two
    with signed_in(second) as other:
        store = Path(me(other)["store"])
        assert first.process is not None and second.process is not None
        first.process.terminate()
        first.process.wait(20)
        assert me(other)["owner_of_store"]
        second.process.terminate()
        second.process.wait(20)
    assert not (store / "owner.json").exists()


def test_while_the_owner_hangs_a_request_ends_with_a_clear_word(tmp_path: Path) -> None:
    holder = Ownership(tmp_path / "data" / "deepft-lab" / "store")
    assert holder.acquire()
    holder.announce("http://127.0.0.1:9/", "nobody listens there")
    server = JupyterServer(tmp_path, "headless")
    try:
        with pytest.raises(AssertionError):
            server_without_waiting(server)
        with signed_in(server) as http:
            assert wait_for(lambda: answers(http), 20)
            response = http.get("deepft/api/apps")
            assert response.status_code == 503
            assert response.json()["error"] == "Unavailable"
            assert "owner.json" in response.json()["message"]
            holder.release()
            assert http.get("deepft/api/apps").status_code == 200
    finally:
        server.stop()


def server_without_waiting(server: JupyterServer) -> None:
    server.wait_until_up = lambda seconds=0: (_ for _ in ()).throw(AssertionError)  # type: ignore[method-assign]
    server.start()


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("api/status").status_code == 200
    except httpx.TransportError:
        return False


def listen(server: JupyterServer, heard: list[bytes]) -> None:
    try:
        with signed_in(server) as http, http.stream("GET", "deepft/api/events") as stream:
            for piece in stream.iter_raw():
                heard.append(piece)
    except httpx.TransportError:
        pass
