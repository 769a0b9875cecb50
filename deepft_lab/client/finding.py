"""Finding the server. In this order: what was given; the environment that the extension gives to kernels; the Jupyter
server that started this kernel; a hub's environment; the owner of the default store; else a headless server is started.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

from deepft_lab.api import OPERATIONS
from deepft_lab.errors import ServerNotFound
from deepft_lab.records import Me

START_SECONDS = 30.0
ANSWER_SECONDS = 20.0  # a server that is just opening its store lets the first request wait
LOG_LINES = 15  # of a server that did not start, in the error


class Place(msgspec.Struct, frozen=True):
    """Where a server may be, and how we know of it."""

    url: str  # with the server's base URL
    token: str
    source: str
    pid: int | None = None  # of a server that we started


def find(url: str | None = None, token: str | None = None, start: bool = True) -> tuple[Place, Me]:
    """The first server that answers, and who we are there. Raises ServerNotFound with every place that was tried."""
    tried: list[str] = []
    for place in _given(url, token) if url else _known(token):
        me, reason = ask(place)
        if me is not None:
            return place, me
        tried.append(f"{place.source} ({place.url}): {reason}")
    if url is None and start:
        return _start()
    if not tried:
        raise ServerNotFound("No DeepFT Lab server is known here. Start one with `jupyter deepft` or `jupyter lab`.")
    raise ServerNotFound(
        "No DeepFT Lab server answered. Tried: " + "; ".join(tried) + ". Check the URL and the token "
        "(`jupyter server list` shows both), and that the extension deepft_lab is enabled there."
    )


def ask(place: Place, seconds: float = ANSWER_SECONDS) -> tuple[Me | None, str]:
    """Who we are at that server; or None and why not. A server without our extension answers 404."""
    try:
        with client(place, seconds) as http:
            response = http.get(OPERATIONS["me"].url().lstrip("/"))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return None, f"no answer ({error or type(error).__name__})"
    if response.status_code in (301, 302, 401, 403):
        return None, "the token is not accepted"
    if response.status_code == 404:
        return None, "the extension deepft_lab is not enabled there"
    if response.status_code != 200:
        return None, _message(response)
    try:
        return msgspec.json.decode(response.content, type=Me), ""
    except msgspec.DecodeError:
        return None, "it is no DeepFT Lab server"


def client(place: Place, seconds: float) -> httpx.Client:
    """An HTTP client for a server. A proxy of the environment is not asked for this machine."""
    loopback = urlsplit(place.url).hostname in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(
        base_url=place.url.rstrip("/") + "/",
        headers={"Authorization": f"token {place.token}"} if place.token else {},
        timeout=httpx.Timeout(seconds, connect=5.0),
        trust_env=not loopback,
        verify=not loopback,  # a person's own server on loopback has a certificate that it signed itself
    )


def _given(url: str, token: str | None) -> Iterator[Place]:
    """The URL as it was given; a token in its query counts, as in the address that Jupyter prints."""
    parts = urlsplit(url if "://" in url else "http://" + url)
    in_query = next((v for k, _, v in (p.partition("=") for p in parts.query.split("&")) if k == "token"), "")
    path = parts.path.split("/deepft/api")[0]
    for page in ("/lab", "/tree"):
        path = path.removesuffix("/").removesuffix(page)
    base = f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}/"
    yield Place(base, token or in_query or os.environ.get("DEEPFT_LAB_TOKEN", ""), "the given URL")


def _known(token: str | None) -> Iterator[Place]:
    """Every place that this machine and environment know of."""
    environment = os.environ
    if environment.get("DEEPFT_LAB_URL"):
        yield Place(environment["DEEPFT_LAB_URL"], token or environment.get("DEEPFT_LAB_TOKEN", ""), "DEEPFT_LAB_URL")
    parent = _running_server(environment.get("JPY_PARENT_PID", ""))
    if parent:
        yield Place(parent["url"], token or parent.get("token", ""), "the Jupyter server of this kernel")
    if environment.get("JUPYTERHUB_SERVICE_URL"):
        hub_token = environment.get("JUPYTERHUB_API_TOKEN", "")
        yield Place(environment["JUPYTERHUB_SERVICE_URL"], token or hub_token, "JUPYTERHUB_SERVICE_URL")
    found = owner(default_store(), token)
    if found:
        yield found


def owner(store: Path, token: str | None = None) -> Place | None:
    """The server that owns a store, as its owner.json says; it may have ended since."""
    found = _read_json(store / "owner.json")
    return Place(found["url"], token or found.get("token", ""), f"the owner of the store {store}") if found else None


def running_servers() -> list[Place]:
    """Every Jupyter server of this person that left a file saying how to reach it."""
    found = [_read_json(path) for path in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*[0-9].json"))]
    return [Place(each["url"], each.get("token", ""), f"process {each.get('pid')}") for each in found if each]


def default_store() -> Path:
    """Where the extension keeps its store unless configured."""
    return Path(jupyter_data_dir()) / "deepft-lab" / "store"


def _running_server(pid: str) -> dict[str, Any] | None:
    return _read_json(Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json") if pid.isdecimal() else None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("url") else None


# -- starting one -----------------------------------------------------------------------------------


def _start() -> tuple[Place, Me]:
    """Starts a headless server on loopback in a session of its own, which ends itself when nobody needs it."""
    log = default_store().parent / "server.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = secrets.token_hex(24)
    command = [
        sys.executable,
        "-m",
        "deepft_lab.server",
        "--ends-when-idle",
        f"--ServerApp.port={_free_port()}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "JUPYTER_TOKEN": token, "DEEPFT_LAB_URL": "", "DEEPFT_LAB_TOKEN": ""},
        )
    # Somebody must wait for it, or it stays a zombie once it has ended.
    threading.Thread(target=process.wait, name="deepft-server", daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    reason = "it has not begun to listen"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            reason = f"it ended with code {process.returncode}"
            break
        found = _running_server(str(process.pid))
        if found:
            place = Place(found["url"], found.get("token") or token, "a server that connect() started", process.pid)
            me, reason = ask(place, max(1.0, deadline - time.monotonic()))
            if me is not None:
                return place, me
            time.sleep(0.5)
        time.sleep(0.05)
    else:
        process.terminate()
    lines = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    raise ServerNotFound(
        f"No server runs, and one could not be started within {START_SECONDS:.0f} s: {reason.rstrip('.')}. "
        f"Its log {log} ends with:\n{lines}\n`jupyter deepft doctor` says what is wrong here."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answers {response.status_code}"
