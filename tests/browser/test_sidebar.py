"""Steps 1 to 8 through the sidebar, by mouse and keyboard, in a real JupyterLab."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

EVENT_LIMIT = 120_000  # ms until a job has begun to train: launcher and torch start


@pytest.mark.timeout(600)
def test_the_whole_way_through_the_sidebar(window: Any, lab: Any, photos: Any) -> None:
    page = window.page
    window.open_sidebar()

    # 1 · Create an app: a wrong id is refused as one types.
    expect(window.by("empty-state")).to_be_visible()
    window.shoot("empty")
    window.by("empty-create-app").click()
    window.by("form-id").fill("no spaces here")
    expect(window.by("form-id-fault")).to_be_visible()
    window.by("form-id").fill("insects")
    window.by("form-description").fill("Ants and bees")
    window.by("form-id").press("Enter")
    expect(window.by("app-contents", app="insects")).to_be_visible()

    # 2 · Upload inputs from the browser, with dataset and concept; a broken file is reported and stops nothing.
    first, second = photos.concepts[:2]
    window.by("upload").click()
    uploader = window.by("uploader")
    uploader.wait_for()
    broken = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"this is text"}
    for dataset in ("train", "val"):
        for concept in (first, second):
            _choose(window, "upload-dataset", dataset)
            _choose(window, "upload-concepts", concept)
            files = [str(path) for path in photos.files(dataset, concept)]
            with page.expect_file_chooser() as chooser:
                window.by("choose-files").click()
            chooser.value.set_files(files)
            expect(window.by("upload-report")).to_contain_text(re.compile(rf"(?<!\d){len(files)}\s*added"))
            _clear(window, "upload-dataset")
            _clear(window, "upload-concepts")
    with page.expect_file_chooser() as chooser:
        window.by("choose-files").click()
    chooser.value.set_files([broken])
    expect(window.by("upload-report")).to_contain_text("broken.jpg")
    window.shoot("upload")
    app = lab.app("insects")
    total = app.count()
    assert app.count(dataset="train") + app.count(dataset="val") == total > 100
    expect(window.by("inputs")).to_contain_text(str(total))

    # 3 · Label: several inputs at once in the gallery, then taken off again with Undo.
    window.by("inputs-open").click()
    grid = window.by("gallery-grid")
    tiles = window.by("gallery-tile")
    expect(tiles.first).to_be_visible()
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(window.by("selected-count")).to_contain_text("3")
    window.by("bar-add-concept").fill("wings")
    page.keyboard.press("Enter")
    expect(tiles.nth(1)).to_contain_text("wings")
    window.until(lambda: app.count(concept="wings") == 3)
    window.shoot("gallery")
    window.by("undo").click()
    expect(tiles.nth(1)).not_to_contain_text("wings")
    window.until(lambda: app.count(concept="wings") == 0)
    grid.focus()
    page.keyboard.press("Control+a")
    expect(window.by("selected-count")).to_contain_text(str(total))
    page.keyboard.press("Escape")

    # 4 · Create a model: a wrong value is refused beside its field; the rate follows as one types.
    window.by("create-model").click()
    form = window.by("model-form")
    form.wait_for()
    form.get_by_label("Model id").fill("ant-or-bee")
    window.by("template-classifier-mobilenet-v2").check(force=True)
    window.by("field-per_item_lrate").fill("0.00001")
    window.by("field-batch_size").fill("0")
    expect(window.by("fault-batch_size")).to_contain_text("between 1 and 256")
    window.by("field-batch_size").fill("32")
    expect(window.by("fault-batch_size")).to_be_hidden()
    expect(window.by("facts")).to_contain_text(re.compile(r"0\.00032"))
    for name, value in photos.values.items():
        field = window.by(f"field-{name}")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(str(value))
        else:
            field.fill(str(value))
    for concept in (first, second):
        _choose(window, "model-concepts", concept)
    window.shoot("model")

    # 5 · Train.
    window.by("train-dataset").select_option("train")
    window.by("train-validation").select_option("dataset:val")
    form.get_by_test_id("model-train").click()

    # 6 · Watch: it is live, and a reload changes nothing.
    view = window.by("version-view")
    view.wait_for()
    expect(window.by("version-state")).to_have_text(
        re.compile("training|evaluating|trained", re.I), timeout=EVENT_LIMIT
    )
    page.reload()
    view.wait_for(timeout=60_000)
    expect(window.by("version-state")).to_have_text(re.compile("trained", re.I), timeout=EVENT_LIMIT)
    version = app.model("ant-or-bee").version("v1")
    assert version.metrics["accuracy"] >= photos.accuracy
    expect(window.by("concept-table")).to_contain_text(first)
    expect(view).to_have_attribute("data-seq", str(version.events()[-1].seq))

    # The previews came back with the reload: the same images at each epoch, scrubbed by the keyboard.
    previews = window.by("previews")
    epochs = photos.values["num_epochs"]
    expect(previews).to_have_attribute("data-epoch", str(epochs))
    expect(window.by("preview").first.locator("img:visible")).to_have_count(1)
    window.by("preview-scrub").focus()
    page.keyboard.press("ArrowLeft")
    expect(previews).to_have_attribute("data-epoch", str(epochs - 1))
    page.keyboard.press("End")
    expect(window.by("preview-summary")).to_contain_text(f"since epoch {epochs - 1}")
    window.shoot("version")
    window.open_sidebar()
    expect(window.by("version-row", version="v1").first).to_contain_text(re.compile(r"0\.\d|1\.0|\d\s?%"))

    # 8 · Predict.
    window.by("version-predict").click()
    window.by("predict-view").wait_for()
    window.by("predict-input").set_input_files(str(photos.files("val", first, 1)[0]))
    expect(window.by("predict-view")).to_contain_text(second)
    window.shoot("predict")

    # 7 · Cancel by deleting a running version; the dialog tells the time used; the ledger keeps it.
    model = app.model("ant-or-bee")
    model.update_params(num_epochs=200)
    running = model.train(dataset="train", validation="val")
    row = window.by("version-row", version=running.id).first
    expect(row).to_contain_text(re.compile(r"epoch|%", re.I), timeout=EVENT_LIMIT)
    row.hover()
    row.get_by_test_id("version-delete").click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("ledger")
    window.shoot("cancel")
    dialog.locator(".jp-mod-accept").click()
    expect(window.by("version-row", version=running.id)).to_have_count(0)
    assert any(row.version == running.id and row.seconds > 0 for row in lab.usage())
    assert not window.errors


def _choose(window: Any, testid: str, value: str) -> None:
    """Chooses a value of a combobox, or creates it, by the keyboard."""
    window.by(testid).fill(value)
    window.by(testid).press("Enter")


def _clear(window: Any, testid: str) -> None:
    window.by(testid).press("Backspace")
