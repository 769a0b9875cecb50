"""A box is drawn with a real mouse in a notebook cell, and lies where it was drawn."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect
from test_notebook import run_cell, write_notebook

CELL = (
    "import deepft_lab\nlab = deepft_lab.connect()\n"
    "panel = lab.app('drawn').annotate_panel(kind='box', dataset='all')\npanel"
)


def photo(shade: int) -> bytes:
    """A picture wider than high, so that the canvas takes its shape."""
    buffer = io.BytesIO()
    Image.new("RGB", (160, 80), (shade, 90, 40)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.timeout(300)
def test_a_box_lies_where_the_mouse_has_drawn_it(open_window: Any, server: Any, lab: Any) -> None:
    app = lab.create_app("drawn")
    app.upload([photo(10), photo(200)], dataset="all")
    app.create_concepts(["cell"])
    write_notebook(server.home / "work", "drawing.ipynb", [CELL])
    window = open_window(path="lab/tree/drawing.ipynb", size=(1200, 1000))
    page = window.page
    cell = page.locator(".jp-NotebookPanel:visible .jp-Cell").first
    idle = page.locator(".jp-NotebookPanel:visible .jp-Notebook-ExecutionIndicator[data-status=idle]").first
    idle.wait_for(timeout=60_000)
    try:
        run_cell(page, cell)
    except AssertionError:  # JupyterLab sometimes connects a page to its kernel only when it is loaded again
        page.reload()
        idle.wait_for(timeout=60_000)
        run_cell(page, cell)
    canvas = cell.locator(".jp-Cell-outputArea canvas").first
    canvas.wait_for(timeout=60_000)
    expect(cell.locator(".jp-Cell-outputArea")).to_contain_text("0 answered here, 2 unlabelled")
    first = next(input.id for input in app.inputs())

    def place(x: float, y: float) -> tuple[float, float]:
        box = canvas.bounding_box()  # again each time: a click may scroll the notebook
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    size = canvas.bounding_box()
    assert size["width"] / size["height"] == pytest.approx(2, rel=0.02)
    page.mouse.move(*place(0.2, 0.3))
    page.mouse.down()
    page.mouse.move(*place(0.4, 0.5), steps=4)
    page.mouse.move(*place(0.6, 0.8), steps=4)
    page.mouse.up()
    # A second one is let go beyond the right edge.
    page.mouse.move(*place(0.7, 0.1))
    page.mouse.down()
    page.mouse.move(*place(0.9, 0.4), steps=4)
    page.mouse.move(*place(1.1, 0.4), steps=4)
    page.mouse.up()
    window.shoot("notebook-draw-boxes")
    page.keyboard.press("Enter")
    window.until(lambda: len(app.input(first).input.regions) == 2)
    drawn, cut = (region.box for region in app.input(first).input.regions)
    pixel = 1.5 / min(size["width"], size["height"])
    assert drawn == pytest.approx((0.2, 0.3, 0.6, 0.8), abs=pixel)
    assert cut[2] == pytest.approx(1.0, abs=pixel) and cut[0] == pytest.approx(0.7, abs=pixel)
    expect(cell.locator(".jp-Cell-outputArea")).to_contain_text("1 answered here, 1 unlabelled")
    expect(cell.locator(".jp-Cell-outputArea")).not_to_contain_text("Click to show javascript error")
    assert not window.errors
    app.delete()
