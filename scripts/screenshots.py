"""Makes the pictures of docs/images again, from the product as it runs, on scikit-learn's handwritten digits.

    python scripts/screenshots.py [--output FOLDER]

Starts a JupyterLab of its own with empty folders, uploads the digits, trains, and photographs the screens in headless
Chromium. Takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]

from conftest import CHROMIUM, FLAGS, Window  # noqa: E402
from harness import TOKEN, JupyterServer, jupyter  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402
from test_notebook import write_notebook  # noqa: E402

import deepft_lab  # noqa: E402
from deepft_lab import demo  # noqa: E402

SIZE = (1400, 900)
TRAINED = 240_000  # ms
LARGE = 250 * 1024  # bytes
CELLS = [
    'import deepft_lab\n\nlab = deepft_lab.connect()\nmodel = lab.app("digits").model("which-digit")',
    'version = model.train(dataset="train", validation="val")\nversion.training_panel()',
    "version.wait()\nversion.metrics",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyter(Path(folder), "lab") as server,
        deepft_lab.connect(server.url, TOKEN) as lab,
        sync_playwright() as playwright,
    ):
        fill(lab, Path(folder) / "digits")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        notebook(browser, server, output / "notebook.png")
        version(browser, server, output / "version.png")
        gallery(browser, server, output / "gallery.png")
        set_theme(server, "JupyterLab Dark")
        version(browser, server, output / "dark.png")
        browser.close()


def fill(lab: Any, folder: Path) -> None:
    """The digits as an app, in mixed order, with a model that is ready to be trained."""
    demo.write_digits(folder, seed=1)
    app = lab.create_app("digits", description="Handwritten digits")
    for dataset in ("train", "val"):
        files = sorted((folder / dataset).rglob("*.png"), key=lambda path: path.name)
        app.upload(files, dataset=dataset, concepts="folders", metadata={"source": "scikit-learn"})
    app.create_model("which-digit", type="visual-classifier", template=demo.TEMPLATE, **demo.VALUES)


def notebook(browser: Any, server: JupyterServer, path: Path) -> None:
    """Trains in a notebook's cell, and looks at its panel."""
    write_notebook(server.home / "work", "digits.ipynb", CELLS)
    window = Window(browser, server, path="lab/workspaces/notebook/tree/digits.ipynb", size=SIZE)
    cells = window.page.locator(".jp-NotebookPanel:visible .jp-Cell")
    cells.nth(len(CELLS) - 1).wait_for()
    window.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    cells.first.click()
    for _ in CELLS:
        window.page.keyboard.press("Shift+Enter")
    expect(cells.nth(2).locator(".jp-Cell-outputArea")).to_contain_text("accuracy", timeout=TRAINED)
    expect(window.by("version-state")).to_have_text(re.compile("trained", re.I))
    window.page.get_by_role("tab", name="File Browser").click()  # closes it: the cells get the width
    cells.first.scroll_into_view_if_needed()
    window.page.keyboard.press("Escape")
    photograph(window, path)
    window.close()


def version(browser: Any, server: JupyterServer, path: Path) -> None:
    """The version's page beside the sidebar."""
    window = Window(browser, server, path=f"lab/workspaces/{path.stem}", size=SIZE)
    open_app(window)
    window.by("version-row", version="v1").first.get_by_test_id("version-open").click()
    expect(window.by("version-state")).to_have_text(re.compile("trained", re.I))
    expect(window.by("concept-table")).to_be_visible()
    photograph(window, path)
    window.close()


def gallery(browser: Any, server: JupyterServer, path: Path) -> None:
    """The inputs, a few of them selected."""
    window = Window(browser, server, path=f"lab/workspaces/{path.stem}", size=SIZE)
    open_app(window)
    window.by("inputs-open").click()
    tiles = window.by("gallery-tile")
    tiles.nth(1).click()
    tiles.nth(4).click(modifiers=["Shift"])
    expect(window.by("selected-count")).to_contain_text("4")
    photograph(window, path)
    window.close()


def open_app(window: Window) -> None:
    window.open_sidebar()
    contents = window.by("app-contents", app="digits")
    window.by("app-item", app="digits").or_(contents).first.wait_for()
    if not contents.is_visible():
        window.by("app-item", app="digits").click()
    contents.wait_for()


def set_theme(server: JupyterServer, name: str) -> None:
    request = urllib.request.Request(
        f"{server.url}lab/api/settings/@jupyterlab/apputils-extension:themes",
        method="PUT",
        data=json.dumps({"raw": json.dumps({"theme": name})}).encode(),
        headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=20).close()


def photograph(window: Window, path: Path) -> None:
    """A PNG; of 256 colours where it would be large, which thumbnails hardly show but plain areas do."""
    window.page.mouse.move(700, 890)
    window.page.add_style_tag(content=".Toastify { display: none }")  # a toast covers a chart
    window.page.wait_for_timeout(1000)  # pictures and charts settle
    window.page.screenshot(path=path)
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.save(path, optimize=True)
    if path.stat().st_size > LARGE:
        image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name:14} {path.stat().st_size / 1024:6.0f} KB, errors on the page: {window.errors or 'none'}")


if __name__ == "__main__":
    main()
