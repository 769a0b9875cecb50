"""Boxes on real photographs of blood cells, seen in JupyterLab's gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

COUNT = 12
DRAWN = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v > 0)"


def test_boxes_uploaded_from_python_are_drawn_in_the_gallery(
    window: Any, lab: Any, shared: Path, tmp_path: Path
) -> None:
    cells = shared / "data" / "detect-bccd"
    for folder, end in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (tmp_path / folder).mkdir()
        for file in sorted((cells / folder).glob(f"*.{end}"))[:COUNT]:
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    app = lab.create_app("cells")
    window.show_app("cells")
    grid = window.by("gallery-grid")
    window.click_until(window.by("inputs-open"), grid)
    app.upload(tmp_path, dataset="train")  # the open gallery follows
    inputs = app.inputs(limit=COUNT)
    assert len(inputs) == COUNT and all(each.regions for each in inputs)
    for each in inputs:
        canvas = window.by("gallery-tile", input=each.id).locator("canvas")
        expect(canvas).to_have_attribute("data-shapes", str(len(each.regions)))
    assert window.by("gallery-tile", input=inputs[0].id).locator("canvas").evaluate(DRAWN)
    window.shoot("regions")

    # R hides and shows; 1 to 9 switch a concept. JupyterLab's own shortcuts do not get in the way.
    grid.focus()
    window.page.keyboard.press("r")
    expect(grid.locator("canvas")).to_have_count(0)
    window.page.keyboard.press("r")
    expect(grid.locator("canvas")).to_have_count(COUNT)
    names = sorted({region.concept for each in inputs for region in each.regions}, key=str.casefold)
    window.page.keyboard.press("1")
    switch = window.by("regions-concept", concept=names[0])
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")

    # The large view lists them, and names them.
    rows = window.by("region")
    window.by("gallery-tile", input=inputs[0].id).click()
    window.click_until(window.by("bar-details"), rows.first)
    expect(rows).to_have_count(len(inputs[0].regions))
    window.by("detail-enlarge").click()
    expect(grid).to_be_hidden()
    window.shoot("regions-large")
    assert not window.errors
