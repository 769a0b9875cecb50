"""DeepFT Lab alone, and the servers that connect() starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from harness import JupyterServer, end_jobs_of, environment, free_port, jupyter
from serving import signed_in, wait_for

import deepft_lab
from deepft_lab.client import finding
from deepft_lab.errors import Conflict, ServerNotFound

ABSENT = (
    "api/kernels", "api/kernelspecs", "api/sessions", "api/contents", "api/contents/x", "files/x", "api/terminals",
    "terminals/1", "nbconvert/html/x", "view/x", "edit/x", "tree", "lab", "api/config/x", "api/events/subscribe",
)  # fmt: skip


def test_a_headless_server_has_no_kernels_terminals_or_files(tmp_path: Path) -> None:
    with jupyter(tmp_path, "headless") as server, signed_in(server) as http:
        assert {path: http.get(path).status_code for path in ABSENT} == dict.fromkeys(ABSENT, 404)
        assert http.post("api/kernels", json={}).status_code == 404
        assert http.post("api/terminals").status_code == 404
        assert http.get("deepft/api/me").status_code == 200
        assert server.process is not None
        listening = [c.laddr.ip for c in psutil.Process(server.process.pid).net_connections() if c.status == "LISTEN"]
        assert listening and set(listening) <= {"127.0.0.1", "::1"}


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's home without any server."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in list(os.environ):
        if name.startswith(("JPY_", "DEEPFT_LAB_", "JUPYTERHUB_")):
            monkeypatch.delenv(name)
    yield tmp_path
    end_jobs_of(tmp_path)


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_connect_starts_a_server_that_others_find_and_close_ends_it(alone: Path) -> None:
    lab = deepft_lab.connect()
    pid = lab.connection.place.pid
    assert pid is not None and not ended(pid)
    lab.create_app("alone")
    code = "import deepft_lab; lab = deepft_lab.connect(); print(lab.app('alone').id, lab.connection.started)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout == "alone False\n", "another process of the person finds the same server"
    lab.close()
    assert wait_for(lambda: ended(pid), 20)
    assert finding.owner(finding.default_store()) is None


def test_a_client_finds_the_server_again_that_ended_while_it_slept(alone: Path) -> None:
    with deepft_lab.connect() as lab:
        lab.create_app("kept")
        pid = lab.connection.place.pid
        assert pid is not None
        psutil.Process(pid).kill()
        assert [app.id for app in lab.apps()] == ["kept"], "another server was started for the same store"
        assert lab.connection.place.pid not in (None, pid)


def test_a_server_that_nobody_needs_ends_itself(tmp_path: Path) -> None:
    with jupyter(tmp_path, "headless", ["--DeepFTLab.idle_seconds=2"]) as server:
        assert server.process is not None
        with signed_in(server) as http, http.stream("GET", "deepft/api/events") as stream:
            pieces = stream.iter_raw()
            next(pieces)
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(5)  # an open stream keeps it
        assert server.process.wait(20) == 0


def test_a_server_that_was_started_otherwise_does_not_end_on_request(lab: Any) -> None:
    with pytest.raises(Conflict, match="not started by connect"):
        lab.connection.call("shutdown", body=deepft_lab.records.Shutdown())


def test_what_is_asked_for_by_its_url_is_not_looked_for_elsewhere(alone: Path) -> None:
    with pytest.raises(ServerNotFound, match="Connection refused"):
        deepft_lab.connect("http://127.0.0.1:9/", "x")


def test_every_place_that_did_not_answer_is_named_with_its_reason(
    alone: Path, server: JupyterServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPFT_LAB_URL", server.url)
    monkeypatch.setenv("DEEPFT_LAB_TOKEN", "wrong")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    with pytest.raises(ServerNotFound, match=r"DEEPFT_LAB_URL .*: the token is not accepted"):
        finding.find(start=False)


def test_a_server_without_the_extension_is_passed_over(alone: Path, server: JupyterServer, tmp_path: Path) -> None:
    place = finding.Place(server.url + "elsewhere/", "token", "a test")
    assert finding.ask(place) == (None, "the extension deepft_lab is not enabled there")


def test_the_server_of_this_kernel_is_found_by_its_file(
    alone: Path, server: JupyterServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.process is not None
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.home / "runtime"))
    monkeypatch.setenv("JPY_PARENT_PID", str(server.process.pid))
    place, _ = finding.find(start=False)
    assert (place.url.rpartition(":")[2], place.source) == (f"{server.port}/", "the Jupyter server of this kernel")


def test_a_server_that_cannot_start_says_why(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone / "config" / "jupyter_server_config.py").write_text("c.DeepFTLab.store_path = '/proc/nowhere'\n")
    monkeypatch.setattr(finding, "START_SECONDS", 5)
    with pytest.raises(ServerNotFound, match="cannot be opened"):
        deepft_lab.connect()


def test_kernels_of_a_server_inherit_its_address(tmp_path: Path) -> None:
    server = JupyterServer(tmp_path, "server", options=["--ServerApp.base_url=/user/ada/"])
    server.url += "user/ada/"
    try:
        with signed_in(server.start()) as http:
            http.post("api/kernels", json={"name": "python3"}).raise_for_status()
            assert server.process is not None
            kernel = psutil.Process(server.process.pid).children()[0].environ()
        place = finding.Place(kernel["DEEPFT_LAB_URL"], kernel["DEEPFT_LAB_TOKEN"], "the kernel's environment")
        assert place.url.endswith(f":{server.port}/user/ada/")
        found, reason = finding.ask(place)
        assert found is not None, reason
    finally:
        server.stop()


def test_a_server_with_a_password_lets_its_kernels_and_the_persons_other_servers_in(alone: Path) -> None:
    """It has no token; owner.json holds one that opens our part alone."""
    from jupyter_server.auth import passwd

    config = f"c.PasswordIdentityProvider.hashed_password = {passwd('secret', 'sha256')!r}\n"
    (alone / "config" / "jupyter_server_config.py").write_text(config)
    command = [sys.executable, "-m", "deepft_lab.server", f"--port={free_port()}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            place = wait_for(lambda: finding.owner(finding.default_store()), 30)
            assert place is not None and place.token
            me, reason = finding.ask(place)
            assert me is not None, reason
            headers = {"Authorization": f"token {place.token}"}
            assert httpx.get(place.url + "deepft/api/apps", headers=headers, trust_env=False).status_code == 200
            assert httpx.get(place.url + "api/status", headers=headers, trust_env=False).status_code == 403
            assert httpx.get(place.url + "deepft/api/apps", trust_env=False).status_code == 403
        finally:
            process.terminate()
