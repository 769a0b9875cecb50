"""The parts in a real browser, on a bare page of the server's origin: what a person does by mouse and keyboard."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from harness import TOKEN
from pages import MARKS, MOUNT, Open, target_of

from deepft_lab import demo

pytestmark = MARKS


def labels(app: Any) -> list[list[str]]:
    return [[label.concept for label in input.labels] for input in app.inputs(limit=50)]


def test_several_inputs_are_labelled_at_once_and_undo_takes_it_back(app: Any, mount: Open) -> None:
    page = mount("gallery", target_of(app))
    tiles = page.get_by_test_id("gallery-tile")
    tiles.nth(1).click()
    tiles.nth(3).click(modifiers=["Shift"])
    tiles.nth(5).click(modifiers=["Control"])
    assert page.get_by_test_id("selected-count").inner_text() == "4 selected"
    page.get_by_test_id("bar-add-concept").fill("<img src=x onerror=alert(1)>")
    page.get_by_test_id("bar-add-concept").press("Enter")
    page.get_by_test_id("undo-bar").wait_for()
    name = "<img src=x onerror=alert(1)>"
    assert [bool(found) for found in labels(app)] == [False, True, True, True, False, True, False, False, False, False]
    assert labels(app)[1] == [name]
    assert tiles.nth(1).locator(".dft-chip").inner_text().strip() == name
    page.get_by_test_id("undo").click()
    page.get_by_test_id("undo-bar").wait_for(state="hidden")
    assert labels(app) == [[]] * 10


def test_the_gallery_is_walked_by_keyboard(app: Any, mount: Open) -> None:
    page = mount("gallery", target_of(app))
    page.get_by_test_id("gallery-tile").first.wait_for()
    grid = page.get_by_test_id("gallery-grid")
    grid.focus()
    for key in ("ArrowRight", "ArrowRight", "Space", "Shift+ArrowRight"):
        grid.press(key)
    assert page.get_by_test_id("selected-count").inner_text() == "2 selected"
    grid.press("Control+a")
    page.wait_for_function("document.querySelector('[data-testid=selected-count]').textContent === '10 selected'")
    grid.press("Escape")
    assert page.get_by_test_id("selection-bar").is_hidden()
    grid.press("Enter")
    page.get_by_test_id("gallery-detail").get_by_test_id("detail-add-concept").fill("seen")
    page.get_by_test_id("detail-add-concept").press("Enter")
    page.get_by_test_id("gallery-detail").get_by_text("put on").wait_for()
    assert sum(bool(found) for found in labels(app)) == 1


def test_a_deleted_input_comes_back_by_undo(app: Any, mount: Open) -> None:
    page = mount("gallery", target_of(app))
    page.get_by_test_id("gallery-tile").first.click()
    page.get_by_test_id("bar-delete").click()
    page.wait_for_function("document.querySelector('[data-testid=gallery-count]').textContent === '9 inputs'")
    page.get_by_test_id("undo").click()
    page.wait_for_function("document.querySelector('[data-testid=gallery-count]').textContent === '10 inputs'")
    assert app.count() == 10


def test_the_gallery_shows_what_others_do(app: Any, mount: Open) -> None:
    page = mount("gallery", target_of(app))
    page.get_by_test_id("gallery-tile").first.wait_for()
    app.annotate(app.inputs(limit=1)[0], positive="from elsewhere")
    page.get_by_test_id("gallery-tile").first.get_by_text("from elsewhere").wait_for()


def test_only_the_rows_that_can_be_seen_are_in_the_page(app: Any, digits: Path, mount: Open) -> None:
    app.upload(digits / "val")
    count = app.count()
    page = mount("gallery", target_of(app))
    page.get_by_test_id("gallery-tile").first.wait_for()
    assert page.get_by_test_id("gallery-tile").count() < 100 < count
    page.get_by_test_id("gallery-grid").focus()
    page.keyboard.press("End")
    page.wait_for_function(f"document.querySelector('.dft-active')?.dataset.index === '{count - 1}'")
    assert page.get_by_test_id("gallery-tile").count() < 100


def test_filters_narrow_the_gallery(app: Any, mount: Open) -> None:
    inputs = app.inputs(limit=10)
    app.edit(inputs[:4], add_datasets=["few"], metadata={"camera": "left"})
    app.annotate(inputs[0], positive="0")
    page = mount("gallery", target_of(app))

    def expect(count: int) -> None:
        text = f"{count} input{'' if count == 1 else 's'}"
        page.wait_for_function(f"document.querySelector('[data-testid=gallery-count]').textContent === '{text}'")

    expect(10)
    page.get_by_test_id("filter-metadata").fill("camera=left")
    expect(4)
    page.get_by_test_id("filter-unlabelled").check()
    expect(3)
    page.get_by_test_id("filter-clear").click()
    expect(10)
    page.get_by_test_id("filter-concept").fill("0")
    page.get_by_test_id("filter-concept").press("Enter")
    expect(1)


def test_thumbnails_come_with_a_token_alone(app: Any, mount: Open) -> None:
    page = mount("gallery", target_of(app), cookies=False)
    page.wait_for_function("[...document.querySelectorAll('.dft-picture')].some((i) => i.naturalWidth > 0)")
    assert TOKEN not in page.get_by_test_id("gallery").inner_html()


def test_an_upload_reports_every_file(app: Any, tmp_path: Path, mount: Open) -> None:
    from PIL import Image

    folder = tmp_path / "photos" / "cat"
    folder.mkdir(parents=True)
    for shade in range(6):
        Image.new("RGB", (40, 30), (shade * 40, 0, 0)).save(folder / f"{shade}.png")
    shutil.copy(folder / "0.png", folder / "again.png")
    (folder / "<b>text.jpg").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    page = mount("uploader", target_of(app))
    page.get_by_test_id("upload-metadata").fill("[1]")
    page.get_by_text("Metadata is a JSON object").wait_for()
    page.get_by_test_id("upload-metadata").fill('{"camera": 3}')
    page.get_by_test_id("upload-dataset").fill("cats")
    page.get_by_test_id("upload-dataset").press("Enter")
    page.get_by_test_id("upload-folders").check()
    page.get_by_test_id("folder-input").set_input_files(tmp_path / "photos")
    report = page.get_by_test_id("upload-report")
    report.wait_for()
    figures = [text.split("\n") for text in report.locator(".dft-figure").all_inner_texts()]
    assert figures == [["6", "added"], ["1", "duplicate"], ["1", "error"]]
    assert "<b>text.jpg" in report.get_by_test_id("upload-errors").inner_text()
    assert "1 hidden file left out" in report.inner_text()
    assert app.count(concept="cat", dataset="cats", metadata={"camera": 3}) == 6


@pytest.mark.parametrize(
    ("folder", "annotation", "words", "format"),
    [
        ("JPEGImages", "Annotations/0.xml", "Pascal VOC", "voc"),
        ("train", "coco.json", "COCO", "coco"),
        ("images", "masks/0.png", "masks", "masks"),
    ],
)
def test_pictures_with_annotations_do_not_come_without_them_unasked(
    folder: str, annotation: str, words: str, format: str, app: Any, tmp_path: Path, mount: Open
) -> None:
    from PIL import Image

    root = tmp_path / "cells"
    marks = root / annotation
    for each in (root / folder, marks.parent):
        each.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), "red").save(root / folder / "0.png")
    if marks.suffix == ".png":
        Image.new("L", (40, 30), 1).save(marks)
    else:
        marks.write_text("<annotation/>" if marks.suffix == ".xml" else '{"images": [], "annotations": []}')
    page = mount("uploader", target_of(app))
    page.get_by_test_id("upload-dataset").fill("train")
    page.get_by_test_id("upload-dataset").press("Enter")
    page.get_by_test_id("folder-input").set_input_files(root)
    asked = page.get_by_test_id("upload-annotated")
    asked.wait_for()
    assert f"annotations ({words})" in asked.inner_text()
    assert f'app.upload("cells", dataset="train", format="{format}")' in asked.inner_text()
    assert app.count(dataset="train") == 0
    asked.get_by_test_id("upload-annotated-cancel").click()
    asked.wait_for(state="detached")
    page.get_by_test_id("folder-input").set_input_files(root)
    asked.get_by_test_id("upload-alone").click()
    page.get_by_test_id("upload-report").wait_for()
    figures = page.get_by_test_id("upload-report").locator(".dft-figure")
    assert figures.all_inner_texts() == ["1\nadded", "0\nduplicates", "0\nerrors"]


def test_every_fault_of_the_form_stands_beside_its_field(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    page.get_by_test_id("effective-lrate").wait_for()
    page.get_by_test_id("field-batch_size").fill("0")
    page.get_by_test_id("field-num_epochs").fill("many")
    page.get_by_test_id("fault-batch_size").get_by_text("between").wait_for()
    assert "number" in page.get_by_test_id("fault-num_epochs").inner_text()
    page.get_by_test_id("model-save").click()
    page.get_by_test_id("fault-id").wait_for()
    assert app.models() == []


def test_a_change_of_template_keeps_what_was_set(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    own = page.get_by_test_id("field-num_epochs").input_value()
    page.get_by_test_id("field-batch_size").fill("16")
    page.get_by_test_id("template-classifier-resnet50-rsb-a1").check()
    assert page.get_by_test_id("field-batch_size").input_value() == "16"
    assert page.get_by_test_id("field-num_epochs").input_value() != own
    page.get_by_test_id("reset").click()
    assert page.get_by_test_id("field-batch_size").input_value() != "16"


def test_the_python_that_the_form_shows_makes_the_same_model(app: Any, lab: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    page.get_by_test_id("model-id").fill("from-the-form")
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    page.get_by_test_id("field-num_epochs").fill("4")
    page.get_by_test_id("model-concepts").fill("1")
    page.get_by_test_id("model-concepts").press("Enter")
    code = page.get_by_test_id("show-python").locator("code").text_content()
    page.get_by_test_id("model-save").click()
    page.get_by_text("from-the-form is created").wait_for()
    made = app.model("from-the-form")
    lines = [line for line in code.splitlines() if not line.startswith(("import", "lab =", "app =", "version ="))]
    again = "\n".join(lines).replace("from-the-form", "from-python")
    names: dict[str, Any] = {"app": app}
    exec(again, names)  # what the form tells a person to run
    same = names["model"].record
    assert (same.values, same.concepts, same.template) == (made.params(), made.concepts, made.template)
    assert same.values["num_epochs"] == 4


def test_a_training_is_watched_and_its_history_comes_back_after_a_reload(app: Any, digits: Path, mount: Open) -> None:
    for concept in ("3", "4"):
        app.upload(digits / "val" / concept, dataset="d", concepts=[concept])
    model = app.create_model(
        "m", template="classifier-mobilenet-v2", concepts=["3", "4"], **demo.VALUES | {"num_epochs": 2}
    )
    version = model.train(dataset="d", validation=0.3)
    target = target_of(app, model="m", version=version.id)
    page = mount("versionView", target)
    view = page.get_by_test_id("version-view")
    page.wait_for_function(
        "document.querySelector('[data-testid=version-view]').dataset.state === 'trained'", timeout=200_000
    )
    version.wait(timeout=60)
    last = version.record.last_seq
    page.wait_for_function(f"document.querySelector('[data-testid=version-view]').dataset.seq === '{last}'")
    assert page.get_by_test_id("chart-loss").locator("canvas").count() == 1
    samples = page.get_by_test_id("chart-metrics").locator(".u-series:not(:first-child) .u-marker")
    looks = samples.evaluate_all("markers => markers.map((marker) => marker.style.background)")
    assert len(set(looks)) == len(looks) > 1, "the legend shows each line as it is drawn"
    assert [row.split("\t")[0] for row in page.get_by_test_id("concept-table").inner_text().splitlines()][1:] == [
        "3",
        "4",
    ]
    # JupyterLab hides the page while it changes the theme, and shows it again before the next frame.
    page.evaluate("""async () => {
        host.style.display = 'none';
        document.body.setAttribute('data-jp-theme-light', 'false');
        await Promise.resolve().then(() => Promise.resolve());
        host.style.display = '';
    }""")
    page.wait_for_timeout(200)
    assert page.get_by_test_id("chart-loss").locator("canvas").count() == 1
    shown = page.get_by_test_id("version-metrics").inner_text()
    page.evaluate(MOUNT, ["versionView", target])
    page.wait_for_function(f"document.querySelector('[data-testid=version-view]').dataset.seq === '{last}'")
    assert page.get_by_test_id("version-metrics").inner_text() == shown
    page.get_by_test_id("log-section").locator("summary").click()
    page.get_by_test_id("log-search").fill("epoch 2")
    page.wait_for_function("document.querySelector('[data-testid=log]').textContent.startsWith('epoch 2')")
    page.get_by_test_id("version-remove").click()
    question = page.get_by_test_id("confirm").inner_text()
    assert "It has trained" in question and "ledger" in question
    page.get_by_test_id("confirm-cancel").click()
    assert view.get_attribute("data-state") == "trained"
    page.get_by_test_id("version-remove").click()
    page.get_by_test_id("confirm-accept").click()
    page.wait_for_function("document.querySelector('[data-testid=version-view]').dataset.state === 'deleted'")


def test_a_version_that_is_not_there_says_so(app: Any, mount: Open) -> None:
    page = mount("versionView", target_of(app, model="none", version="v9"))
    page.get_by_test_id("error").wait_for()
    assert "none" in page.get_by_test_id("error").inner_text()


@pytest.mark.parametrize("part", ["gallery", "uploader", "modelForm", "predictView"])
def test_a_part_fits_into_240_pixels(part: str, app: Any, mount: Open) -> None:
    app.annotate(app.inputs(limit=1)[0], positive="Donaudampfschifffahrtsgesellschaftskapitän " * 2)
    page = mount(part, target_of(app, model="m", version="v1") if part == "predictView" else target_of(app), width=240)
    page.wait_for_timeout(800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 240
