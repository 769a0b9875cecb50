"""The version view in a browser: an event is drawn <= 500 ms after it was written; a reload shows all within 1 s.

    python bench/live.py [--seconds S] [--events N] [--reloads R]

A JupyterLab of its own, headless Chromium, a real training on the same machine. An event counts as drawn in the first
frame whose `data-seq` (the newest event in the picture) has reached it; the time is taken after that frame was painted
and compared with the event's own `time` in events.jsonl.

For the reload the run's events.jsonl is then made long: its real events are repeated with their numbers continued,
until there are N of them. Nothing else of the job folder is changed. Figures count from the moment the plugin is active
(its sidebar is in the page), from that of the view's mount, and from the navigation, which contains JupyterLab's own
start.
"""

from __future__ import annotations

import argparse
import bisect
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]

from conftest import CHROMIUM, FLAGS, Window  # noqa: E402
from harness import TOKEN, JupyterServer, jupyter  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

import deepft_lab  # noqa: E402
from deepft_lab import demo  # noqa: E402
from deepft_lab.events import EventReader  # noqa: E402
from deepft_lab.records import Event  # noqa: E402

DRAWN_MS, RELOAD_MS = 500, 1000
VALUES = {"image_size": 32, "num_epochs": 600, "batch_size": 8, "pretrained_weights": "None"}

# A task that is queued while a frame is made runs after that frame was painted.
DRAWN = """() => {
    window.drawn = [];
    const view = document.querySelector('[data-testid="version-view"]');
    new MutationObserver(() => {
        const seq = Number(view.dataset.seq);
        setTimeout(() => window.drawn.push([seq, Date.now()]));
    }).observe(view, { attributes: true, attributeFilter: ['data-seq'] });
}"""
RELOADED = """
    window.moments = {};
    const look = () => {
        const moments = window.moments;
        const view = document.querySelector('[data-testid="version-view"]');
        if (document.querySelector('[data-testid="deepft-sidebar"]')) moments.active ??= performance.now();
        if (view) moments.mounted ??= performance.now();
        if (view && view.dataset.seq === '%d' && !moments.seen) {
            moments.seen = true;
            setTimeout(() => { moments.drawn = performance.now(); });
        }
    };
    new MutationObserver(look).observe(document, {
        childList: true, subtree: true, attributes: true, attributeFilter: ['data-seq']
    });
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="how long the training is watched")
    parser.add_argument("--events", type=int, default=5000, help="length of the history that a reload draws")
    parser.add_argument("--reloads", type=int, default=5)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyter(Path(folder), "lab") as server,
        deepft_lab.connect(server.url, TOKEN) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        version = train(lab, Path(folder) / "digits")
        window = open_view(browser, server, version)
        delays = watch(window, version, options.seconds)
        count = lengthen(event_file(server, version), options.events)
        moments = reload(window, count, options.reloads)
        browser.close()
    print(f"{'':52}{'median':>8}{'max':>8}{'limit':>8}")
    line(f"written to drawn, {len(delays)} events, ms", delays, DRAWN_MS)
    for name, since, limit in (
        ("plugin active", "active", RELOAD_MS),
        ("view mounted", "mounted", None),
        ("navigation", "", None),
    ):
        line(f"{name} to {count} events drawn, ms", [m["drawn"] - m.get(since, 0) for m in moments], limit)
    late = max(m["drawn"] - m["active"] for m in moments)
    sys.exit(0 if max(delays) <= DRAWN_MS and late <= RELOAD_MS else 1)


def train(lab: Any, folder: Path) -> Any:
    """Starts a run of small steps that goes on until it is stopped."""
    demo.write_digits(folder, seed=1)
    app = lab.create_app("bench")
    for concept in ("0", "1"):
        app.upload(sorted((folder / "train" / concept).iterdir())[:40], dataset="train", concepts=[concept])
    model = app.create_model("steady", type="visual-classifier", template=demo.TEMPLATE, **VALUES)
    return model.train(dataset="train", validation=0.3)


def open_view(browser: Any, server: JupyterServer, version: Any) -> Window:
    window = Window(browser, server)
    window.open_sidebar()
    window.by("app-contents", app="bench").wait_for()  # the only app is the chosen one
    window.by("version-row", version=version.id).first.get_by_test_id("version-open").click()
    window.page.locator('[data-testid="version-view"][data-state="training"]').wait_for(timeout=120_000)
    return window


def watch(window: Window, version: Any, seconds: float) -> list[float]:
    """Milliseconds from each event's `time` to the frame that shows it."""
    window.page.evaluate(DRAWN)
    begun = time.time()
    window.page.wait_for_timeout(seconds * 1000)
    version.stop()
    version.wait(60)
    window.page.wait_for_timeout(1500)
    drawn = window.page.evaluate("() => window.drawn")
    seqs = [seq for seq, _ in drawn]
    delays = []
    for event in version.events():
        if event.time > begun:
            place = bisect.bisect_left(seqs, event.seq)
            assert place < len(drawn), f"event {event.seq} was never drawn"
            delays.append(drawn[place][1] - event.time * 1000)
    return delays


def event_file(server: JupyterServer, version: Any) -> Path:
    return next(path for path in server.home.rglob("events.jsonl") if version.record.job in path.parts)


def lengthen(path: Path, count: int) -> int:
    """Repeats what lies between the first and the last event; returns the number of the last."""
    first, *middle, last = EventReader(path).read()
    middle = [event for event in middle if event.kind in ("step", "epoch")]
    steps, epochs = middle[-1].step, middle[-1].data["epoch"]
    events: list[Event] = [first]
    while len(events) < count - 1:
        done, index = divmod(len(events) - 1, len(middle))
        event = middle[index]
        data = event.data | {"epoch": event.data["epoch"] + done * epochs}
        events.append(numbered(event, len(events) + 1, event.step + done * steps, data))
    events.append(numbered(last, len(events) + 1, events[-1].step, last.data))
    path.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    return events[-1].seq


def numbered(event: Event, seq: int, step: int, data: dict[str, Any]) -> Event:
    return msgspec.structs.replace(event, seq=seq, step=step, data=data)


def reload(window: Window, count: int, times: int) -> list[dict[str, float]]:
    """Milliseconds since the navigation at which each reload got where."""
    window.page.wait_for_timeout(1500)  # JupyterLab saves its layout after a pause
    window.page.add_init_script(RELOADED % count)
    moments = []
    for number in range(times + 1):
        window.page.reload()
        window.page.wait_for_function("() => window.moments.drawn", timeout=60_000)
        if number:  # the first fills the caches
            moments.append(window.page.evaluate("() => window.moments"))
        window.page.wait_for_timeout(1000)
    return moments


def line(name: str, figures: list[float], limit: int | None) -> None:
    print(f"{name:52}{statistics.median(figures):>8.0f}{max(figures):>8.0f}{limit if limit else '':>8}")


if __name__ == "__main__":
    main()
