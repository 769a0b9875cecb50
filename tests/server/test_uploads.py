"""The upload of one file: nothing before the right to write, no growth of memory, a clear word when it does not fit."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import TOKEN, JupyterServer, jupyter
from serving import picture, signed_in, wait_for

import deepft_lab
from deepft_lab.records import CreateUpload

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def app(lab: Any) -> Any:
    return lab.create_app("uploads")


def upload_path(app: Any) -> str:
    upload = app.call("create_upload", body=CreateUpload())
    return f"deepft/api/apps/{app.owner}/{app.id}/uploads/{upload.id}/files"


def resident(server: JupyterServer) -> int:
    """Bytes of memory that the server process holds."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow_with_what_is_sent(server: JupyterServer, http: httpx.Client, app: Any) -> None:
    path = upload_path(app)

    def zeros(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield bytes(MIB)

    http.put(path, params={"name": "first.png"}, content=zeros(4))
    before = resident(server)
    response = http.put(path, params={"name": "zeros.png"}, content=zeros(300))
    assert response.status_code == 200
    assert response.json()["outcome"] == "error", "300 MiB of zeros are no picture"
    assert resident(server) - before < 60 * MIB


def test_nothing_is_left_of_a_file_that_is_no_picture(lab: Any, http: httpx.Client, app: Any) -> None:
    path = upload_path(app)
    for content in (b"", b"x", bytes(3 * MIB)):
        assert http.put(path, params={"name": "a.png"}, content=content).json()["outcome"] == "error"
    assert list((Path(lab.connection.me.store) / "incoming").iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing_behind(server: JupyterServer, lab: Any, app: Any) -> None:
    path = upload_path(app)
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        head = f"PUT /{path}?name=a.png HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: token {TOKEN}\r\n"
        line.sendall(head.encode() + b"Content-Length: 50000000\r\n\r\n" + bytes(5 * MIB))
        incoming = Path(lab.connection.me.store) / "incoming"
        assert wait_for(lambda: list(incoming.iterdir())), "it is being written"
    assert wait_for(lambda: not list(incoming.iterdir()))


def test_who_may_not_write_is_told_and_nothing_is_kept(lab: Any, http: httpx.Client) -> None:
    path = f"deepft/api/apps/{lab.user}/nobodys/uploads/u/files"
    refused = http.put(path, params={"name": "a.png"}, content=bytes(5 * MIB))
    assert refused.status_code == 404
    assert list((Path(lab.connection.me.store) / "incoming").iterdir()) == []


def test_a_stranger_is_turned_away_before_the_body_is_read(server: JupyterServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.settimeout(10)
        head = "PUT /deepft/api/apps/x/y/uploads/u/files?name=a.png HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        line.sendall(f"{head}Authorization: token wrong\r\nContent-Length: 900000000\r\n\r\n".encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 403")


def test_a_file_above_the_limit_is_refused_with_the_limit_in_words(tmp_path: Path) -> None:
    with jupyter(tmp_path, "headless", ["--DeepFTLab.max_file_bytes=100000"]) as server, signed_in(server) as http:
        with deepft_lab.connect(server.url, TOKEN) as lab:
            path = upload_path(lab.create_app("limit"))
        announced = http.put(path, params={"name": "a.png"}, content=bytes(200_000))
        counted = http.put(path, params={"name": "a.png"}, content=(bytes(50_000) for _ in range(4)))
        for response in (announced, counted):
            assert response.status_code == 413
            assert response.json()["error"] == "TooLarge"
            assert "100,000 bytes" in response.json()["message"]
        assert http.put(path, params={"name": "a.png"}, content=picture()).json()["outcome"] == "added"


def test_a_full_disk_is_a_clear_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    with small_disk(small):
        options = [f"--DeepFTLab.store_path={small / 'store'}"]
        with jupyter(tmp_path, "headless", options) as server, deepft_lab.connect(server.url, TOKEN) as lab:
            app = lab.create_app("full")
            with signed_in(server) as http:
                response = http.put(upload_path(app), params={"name": "a.png"}, content=bytes(30 * MIB))
            assert response.status_code == 507
            assert response.json()["error"] == "StoreFull"
            assert "full" in response.json()["message"]
            assert wait_for(lambda: not list((small / "store" / "incoming").iterdir()))
            assert app.upload(picture()).added == 1, "there is room again, and the store is whole"


class small_disk:
    """A file system of 16 MiB; needs the right to mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        if not shutil.which("mount"):
            pytest.skip("a small disk needs the program mount")
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(self.folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small disk needs the right to mount")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
