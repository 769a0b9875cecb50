"""500 files of 50 KB through the browser: all arrive, the server answers meanwhile, its memory does not grow with them.

    python bench/upload.py [--files N]

A JupyterLab of its own and headless Chromium on the same machine; the files are JPEGs of noise. While they go up a
small GET is asked five times a second and the server process's resident set (/proc) is read.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]

from conftest import CHROMIUM, FLAGS, Window  # noqa: E402
from harness import TOKEN, JupyterServer, jupyter  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

import deepft_lab  # noqa: E402

SIDE = 232  # noise of this size is a JPEG of about 50 KB
GET_MS, GROWTH_MIB = 1000, 20  # an answer within 1 s; growth below what 500 files hold
PAUSE = 0.2  # seconds
MIB = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    count = parser.parse_args().files
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyter(Path(folder), "lab") as server,
        deepft_lab.connect(server.url, TOKEN) as lab,
        sync_playwright() as playwright,
    ):
        app = lab.create_app("many")
        (Path(folder) / "files").mkdir()
        paths = [write_noise(Path(folder) / "files" / f"{number:04}.jpg") for number in range(count)]
        size = sum(path.stat().st_size for path in paths)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        window = Window(browser, server)
        window.open_sidebar()
        window.by("app-contents", app="many").wait_for()  # the only app is the chosen one
        window.by("upload").click()
        window.by("uploader").wait_for()
        before = resident(server)
        watch = Watch(server)
        begun = time.monotonic()
        with window.page.expect_file_chooser() as chooser:
            window.by("choose-files").click()
        chooser.value.set_files([str(path) for path in paths])
        expect(window.by("upload-report")).to_contain_text(re.compile(rf"(?<!\d){count}\s*added"), timeout=300_000)
        seconds = time.monotonic() - begun
        watch.end()
        arrived = app.count()
        browser.close()
    growth = (max(watch.memory) - before) / MIB
    print(f"{'':44}{'figure':>10}{'limit':>10}")
    for name, figure, limit in (
        (f"inputs of {count} files of {size / count / 1000:.0f} KB", arrived, count),
        ("seconds, chooser to report", round(seconds, 1), ""),
        ("files a second", round(count / seconds, 1), ""),
        ("resident set before, MiB", round(before / MIB, 1), ""),
        ("resident set at its peak, MiB", round(max(watch.memory) / MIB, 1), ""),
        ("  grown by, MiB", round(growth, 1), GROWTH_MIB),
        (f"small GET, median of {len(watch.answers)}, ms", round(statistics.median(watch.answers), 1), ""),
        ("small GET, longest, ms", round(max(watch.answers), 1), GET_MS),
    ):
        print(f"{name:44}{figure:>10}{limit:>10}")
    sys.exit(0 if arrived == count and growth <= GROWTH_MIB and max(watch.answers) <= GET_MS else 1)


class Watch:
    """Asks `me` from a thread of its own; `answers` in milliseconds, `memory` in bytes."""

    def __init__(self, server: JupyterServer) -> None:
        self.answers: list[float] = []
        self.memory: list[int] = []
        self._server = server
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        address = f"{self._server.url}deepft/api/me"
        request = urllib.request.Request(address, headers={"Authorization": f"token {TOKEN}"})
        while not self._done.wait(PAUSE):
            begun = time.monotonic()
            urllib.request.urlopen(request, timeout=60).close()
            self.answers.append((time.monotonic() - begun) * 1000)
            self.memory.append(resident(self._server))

    def end(self) -> None:
        self._done.set()
        self._thread.join()


def resident(server: JupyterServer) -> int:
    """Bytes of the server process that are in memory."""
    process: Any = server.process
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def write_noise(path: Path) -> Path:
    Image.frombytes("RGB", (SIDE, SIDE), os.urandom(SIDE * SIDE * 3)).save(path, quality=90)
    return path


if __name__ == "__main__":
    main()
