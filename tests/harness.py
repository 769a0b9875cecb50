"""Real Jupyter servers for the tests: isolated folders, a free port, a token; killed and started again at will."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOKEN = "token-of-the-tests"

# A browser for headless use: nothing of its own over the network.
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# The news popup covers buttons; tests look at the product.
OVERRIDES = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def shared_folder() -> Path | None:
    """The folder of real photographs and weights, where there is one (`DEEPFT_SHARED`, else beside the checkout)."""
    folder = Path(os.environ.get("DEEPFT_SHARED") or ROOT.parent / "shared")
    return folder if (folder / "data" / "classify-antsbees").is_dir() else None


def environment(home: Path) -> dict[str, str]:
    """Variables that keep a server and its kernels away from the person's own Jupyter."""
    variables = {
        key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "DEEPFT_LAB", "JPY"))
    }
    for name in ("config", "data", "runtime", "ipython", "work"):
        (home / name).mkdir(parents=True, exist_ok=True)
    shared = shared_folder()
    variables |= {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "PYTHONWARNINGS": "default",
    }
    if shared:
        variables["JUPYTER_PATH"] = str(shared / "jupyter")
    settings = home / "config" / "labconfig"
    settings.mkdir(exist_ok=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(OVERRIDES))
    return variables


class JupyterServer:
    """One server process. `kind` is `lab`, `server` or `headless` (`jupyter deepft`)."""

    def __init__(
        self, home: Path, kind: str = "lab", port: int | None = None, options: list[str] | None = None
    ) -> None:
        self.home = home
        self.kind = kind
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.options = options or []
        self.environment = environment(home)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> JupyterServer:
        commands = {
            "lab": ["-m", "jupyterlab"],
            "server": ["-m", "jupyter_server"],
            "headless": ["-m", "deepft_lab.server"],
        }
        command = [sys.executable, *commands[self.kind]]
        command += [f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
        if not any("warm_worker_seconds" in option for option in self.options):
            command += ["--DeepFTLab.warm_worker_seconds=0"]  # each would take 0.7 GiB
        if self.kind != "headless":
            command += [f"--ServerApp.root_dir={self.home / 'work'}", "--ServerApp.open_browser=False"]
            command += ["--ServerApp.jpserver_extensions={'deepft_lab': True}"]
            command += ["--ServerApp.allow_root=True"] if os.geteuid() == 0 else []
        log = (self.home / "server.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [*command, *self.options], env=self.environment, cwd=self.home / "work",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.wait_until_up()
        return self

    def wait_until_up(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is not None and self.process.poll() is None, f"The server ended:\n{self.log()[-3000:]}"
            with contextlib.suppress(OSError):
                request = urllib.request.Request(
                    f"{self.url}deepft/api/me", headers={"Authorization": f"token {TOKEN}"}
                )
                with urllib.request.urlopen(request, timeout=20):
                    return
            time.sleep(0.1)
        raise AssertionError(f"The server did not answer within {seconds} s:\n{self.log()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL to the server process alone, as the kernel's out-of-memory killer would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """Ends the server and all that it left in its session."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        end_jobs_of(self.home)

    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")


@contextlib.contextmanager
def jupyter(home: Path, kind: str = "lab", options: list[str] | None = None) -> Iterator[JupyterServer]:
    server = JupyterServer(home, kind, options=options)
    try:
        yield server.start()
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_jobs_of(home: Path) -> None:
    """Kills what still runs below a test's home folder: jobs outlive servers, and must not outlive tests."""
    for pid in processes_with(str(home)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_with(text: str) -> list[int]:
    """Pids of this account's processes whose command line or environment contains `text` (this one left out)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(text.encode() in (entry / name).read_bytes() for name in ("cmdline", "environ")):
                found.append(int(entry.name))
    return found
