"""Two tabs and Python on one app at once; many files through the browser; tabs closed while a training runs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import TOKEN, JupyterServer
from PIL import Image
from playwright.sync_api import expect

BEGUN = 120_000  # ms until a job has begun to train: launcher and torch start
FILES, SIDE = 500, 232  # noise of this size is a JPEG of about 50 KB
SEEN_WITHIN = 30.0  # seconds; an answer at all, however busy the machine
GROWTH = 20 * 1024 * 1024  # less than the 25 MB that are sent


@pytest.fixture(scope="module")
def app(lab: Any, photos: Any) -> Any:
    """A few pictures of two concepts, and a model that trains until it is told to stop."""
    made = lab.create_app("together")
    for concept in photos.concepts[:2]:
        made.upload(photos.files("train", concept, 24), dataset="train", concepts=[concept])
    values = {"image_size": 32, "num_epochs": 600, "batch_size": 8, "pretrained_weights": "None"}
    made.create_model("steady", template="classifier-mobilenet-v2", **values)
    return made


def test_what_one_does_the_others_see(open_window: Any, lab: Any, app: Any, photos: Any) -> None:
    left, right = open_window(path="lab/workspaces/left"), open_window(path="lab/workspaces/right")
    for window in (left, right):
        _show(window, app.id)

    # A concept made in one tab; pictures that Python sends; files from the other tab.
    left.by("create-concepts").click()
    left.by("form-names").fill("shiny")
    left.page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(right.by("concepts")).to_contain_text("shiny")
    assert "shiny" in {concept.name for concept in app.concepts()}
    for window in (left, right):
        window.by("inputs-open").click()
        expect(window.by("gallery-count")).to_contain_text("48")
    app.upload(photos.files("val", photos.concepts[0], 4))
    for window in (left, right):
        expect(window.by("gallery-count")).to_contain_text("52")
    files = photos.files("val", photos.concepts[1], 4)
    right.by("upload").click()
    right.by("file-input").set_input_files([str(path) for path in files])
    expect(left.by("gallery-count")).to_contain_text("56")
    assert app.count() == 56

    # All three label the same input at once: no label is lost, and undoing one's own leaves the others'.
    one = app.inputs(limit=1)[0].id
    for window in (left, right):
        window.by("gallery-tile", input=one).click()
    left.by("bar-add-concept").fill("shiny")
    right.by("bar-add-concept").fill("striped")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        third = pool.submit(app.annotate, [one], positive=["small"])
        left.by("bar-add-concept").press("Enter")
        right.by("bar-add-concept").press("Enter")
        third.result()
    for window in (left, right):
        for concept in ("shiny", "striped", "small"):
            expect(window.by("gallery-tile", input=one)).to_have_attribute("aria-label", re.compile(rf"\b{concept}\b"))
    assert {label.concept for label in app.input(one).input.labels} == {"shiny", "striped", "small"}
    left.by("undo").click()
    for window in (left, right):
        expect(window.by("gallery-tile", input=one)).not_to_have_attribute("aria-label", re.compile("shiny"))
    assert {label.concept for label in app.input(one).input.labels} == {"striped", "small"}

    # Python trains; both tabs see it run; one opens it, the other deletes it.
    version = app.model("steady").train(dataset="train", validation=0.3)
    for window in (left, right):
        expect(window.by("version-row", version=version.id).first).to_be_visible()
    left.by("version-row", version=version.id).first.get_by_test_id("version-open").click()
    expect(left.by("version-view")).to_have_attribute("data-state", re.compile("training|evaluating"), timeout=BEGUN)
    row = right.by("version-row", version=version.id).first
    expect(row).to_have_attribute("data-state", re.compile("training|evaluating"))
    row.hover()
    row.get_by_test_id("version-delete").click()
    right.page.locator(".jp-Dialog .jp-mod-accept").click()
    for window in (left, right):
        expect(window.by("version-row", version=version.id)).to_have_count(0)
    expect(left.by("version-view")).to_have_attribute("data-state", "deleted")
    assert version.status == "deleted"
    assert not left.errors and not right.errors


def test_a_tab_closed_and_a_page_reloaded_while_a_training_runs_miss_nothing(open_window: Any, app: Any) -> None:
    version = app.model("steady").train(dataset="train", validation=0.3)
    window = open_window(path="lab/workspaces/runs")
    _open_version(window, app.id, version.id)
    view = window.by("version-view")
    expect(view).to_have_attribute("data-state", re.compile("training|evaluating"), timeout=BEGUN)
    window.close()

    later = open_window(path="lab/workspaces/runs")
    _open_version(later, app.id, version.id)
    view = later.by("version-view")
    _until(later.page, lambda: _seq(view) >= 50)  # of a run that never stops meanwhile
    before = _seq(view)
    later.page.wait_for_timeout(1500)  # JupyterLab saves its layout after a pause
    later.page.reload()
    view.wait_for(timeout=60_000)
    _until(later.page, lambda: _seq(view) > before)
    assert version.status in ("training", "evaluating"), "the closed and reloaded tabs left the run alone"

    later.page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text="steady").locator(
        ".lm-TabBar-tabCloseIcon"
    ).click()
    expect(view).to_have_count(0)
    version.stop()
    version.wait(60)
    events = version.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    _open_version(later, app.id, version.id)
    expect(view).to_have_attribute("data-state", "trained")
    expect(view).to_have_attribute("data-seq", str(len(events)))
    expect(later.by("chart-metrics")).to_be_visible()
    assert not later.errors


def test_five_hundred_files_go_through_the_browser(open_window: Any, server: Any, lab: Any, tmp_path: Path) -> None:
    app = lab.create_app("many")
    paths = [_noise(tmp_path / f"noise-{number:03}.jpg") for number in range(FILES)]
    assert 40_000 < sum(path.stat().st_size for path in paths) / FILES < 60_000
    window = open_window(path="lab/workspaces/many")
    _show(window, app.id)
    window.by("upload").click()
    window.by("uploader").wait_for()
    before = _memory(server)
    with _watched(server) as answers:
        with window.page.expect_file_chooser() as chooser:
            window.by("choose-files").click()
        chooser.value.set_files(paths)
        report = window.by("upload-report")
        expect(report).to_contain_text(re.compile(rf"(?<!\d){FILES}\s*added"), timeout=120_000)
    expect(report).to_contain_text(re.compile(r"(?<!\d)0\s*errors"))
    assert app.count() == FILES
    assert answers and all(seconds is not None for seconds, _ in answers), "the server answered all the while"
    assert max(memory for _, memory in answers) - before < GROWTH
    assert not window.errors


@contextlib.contextmanager
def _watched(server: JupyterServer) -> Iterator[list[tuple[float | None, int]]]:
    """Asks `me` all the while; gathers the seconds of each answer (None: none came) and the server's memory."""
    done = threading.Event()
    answers: list[tuple[float | None, int]] = []

    def ask() -> None:
        request = urllib.request.Request(f"{server.url}deepft/api/me", headers={"Authorization": f"token {TOKEN}"})
        while not done.wait(0.2):
            begun = time.monotonic()
            try:
                urllib.request.urlopen(request, timeout=SEEN_WITHIN).close()
                answers.append((time.monotonic() - begun, _memory(server)))
            except OSError:
                answers.append((None, _memory(server)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def _memory(server: JupyterServer) -> int:
    """Bytes of the server process that are resident."""
    assert server.process is not None
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _noise(path: Path) -> Path:
    Image.frombytes("RGB", (SIDE, SIDE), os.urandom(SIDE * SIDE * 3)).save(path, quality=90)
    return path


def _show(window: Any, app: str) -> None:
    """Shows an app in the sidebar, from the list of all or where it is already chosen."""
    window.open_sidebar()
    item, contents = window.by("app-item", app=app), window.by("app-contents")
    item.or_(contents).first.wait_for()
    if contents.is_visible() and contents.get_attribute("data-app") != app:
        window.by("app-switcher").click()
        window.page.locator(".lm-Menu-item", has_text="All Apps").click()
    if item.is_visible():
        item.click()
    expect(window.by("app-contents", app=app)).to_be_visible()


def _open_version(window: Any, app: str, version: str) -> None:
    _show(window, app)
    window.by("version-row", version=version).first.get_by_test_id("version-open").click()
    window.by("version-view").wait_for()


def _seq(view: Any) -> int:
    return int(view.get_attribute("data-seq") or 0)


def _until(page: Any, condition: Any, seconds: float = 60) -> None:
    for _ in range(int(seconds * 10)):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"did not happen within {seconds} s")
