"""The server: the extension adds <= 150 ms until the port answers, and <= 40 MiB after its first call; no torch, ever.

    python bench/server.py [--runs N]

Starts `jupyter server` with and without the extension in turn and prints medians. "Answers" is the first answer to
`GET /api`; memory is the process's resident set (/proc), without the extension after one call of `/api/status`, with
it after one call of `/deepft/api/apps` besides, which opens the store. The CPU time until the first answer stands
beside the wall time, since a busy machine disturbs it less.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
TOKEN = "bench"
LIMIT_MS, LIMIT_MIB = 150, 40
MIB = 1024 * 1024


def measure(home: Path, extension: bool) -> tuple[float, float, float, bool]:
    """Milliseconds until the port answers (wall, CPU), MiB after the first call, whether torch is in the process."""
    port = free_port()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "DEEPFT_LAB"))}
    variables |= {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    variables |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "jupyter_server", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.open_browser=False", "--ServerApp.allow_root=True"]
    command += [f"--ServerApp.root_dir={home}", f"--ServerApp.jpserver_extensions={{'deepft_lab': {extension}}}"]
    begun = time.perf_counter()
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not ask(port, "api"):
                time.sleep(0.002)
            milliseconds = (time.perf_counter() - begun) * 1000
            cpu = sum(psutil.Process(process.pid).cpu_times()[:2]) * 1000
            time.sleep(1.5)  # what a server does after its start is over, and the store is open
            assert ask(port, "api/status")
            if extension:
                assert ask(port, "deepft/api/apps")
            time.sleep(0.5)
            fields = Path(f"/proc/{process.pid}/statm").read_text().split()
            torch = "torch" in Path(f"/proc/{process.pid}/maps").read_text()
            return milliseconds, cpu, int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / MIB, torch
        finally:
            process.terminate()


def ask(port: int, path: str) -> bool:
    """True for an answer of success."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Authorization": f"token {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    found: dict[bool, list[tuple[float, float, float, bool]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        for extension in (False, True):  # byte code and page cache are warm for both
            measure(Path(folder), extension)
        for _ in range(options.runs):
            for extension in (False, True):
                found[extension].append(measure(Path(folder), extension))
    columns = {
        extension: [statistics.median(column) for column in zip(*rows, strict=True)]
        for extension, rows in found.items()
    }
    milliseconds, cpu, memory = (columns[True][place] - columns[False][place] for place in range(3))
    torch = any(row[-1] for row in found[True])
    print(f"{'':28}{'without':>10}{'with':>10}{'added':>10}{'limit':>10}")
    for name, place, added, limit in (
        ("until the port answers, ms", 0, milliseconds, LIMIT_MS),
        ("  of it CPU time, ms", 1, cpu, ""),
        ("after the first call, MiB", 2, memory, LIMIT_MIB),
    ):
        print(f"{name:28}{columns[False][place]:>10.1f}{columns[True][place]:>10.1f}{added:>10.1f}{limit:>10}")
    print(f"torch in the server process: {'YES' if torch else 'no'}")
    sys.exit(0 if milliseconds <= LIMIT_MS and memory <= LIMIT_MIB and not torch else 1)


if __name__ == "__main__":
    main()
