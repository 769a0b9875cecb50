"""The whole way again, through a notebook's widgets: upload, label, template, live training, prediction."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import TimeoutError, expect

TRAINED = 180_000  # ms until a short training is over

CELLS = [
    "import deepft_lab\nlab = deepft_lab.connect()\napp = lab.create_app('cells')\nprint('ready', app.id)",
    "upload = app.upload_panel()\nupload",
    "print('added', len(upload.report.added))",
    "label = app.annotate_panel()\nlabel",
    "form = app.create_model('tiny', template='classifier-mobilenet-v2', **{values}).template_panel()\nform",
    "version = app.model('tiny').train(dataset='train', validation=0.3)\npanel = version.training_panel()\npanel",
    "version.wait(300)\nprint('accuracy', panel.metrics['accuracy'], version.predict([{picture!r}])[0][0][0])",
]


def write_notebook(folder: Path, name: str, cells: list[str]) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(notebook, folder / name)


def run_cell(page: Any, cell: Any) -> None:
    """Runs a cell by the keyboard, and again where a page that still settles took the focus away."""
    fault: Exception | None = None
    for _ in range(6):
        try:
            cell.locator(".jp-Cell-inputArea .cm-content").click(timeout=5_000)
            page.keyboard.press("Control+Enter")
            expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[(\*|\d+)\]"), timeout=5_000)
            return
        except (AssertionError, TimeoutError) as error:
            fault = error
    dialogs = page.locator(".jp-Dialog").all_inner_texts()
    raise AssertionError(f"The cell does not run; dialogs: {dialogs}; at {page.url}") from fault


@pytest.mark.timeout(600)
def test_the_whole_way_through_a_notebook(open_window: Any, server: Any, lab: Any, photos: Any) -> None:
    first, second = photos.concepts[:2]
    files = photos.files("train", first, 40) + photos.files("train", second, 40)
    cells = [
        cell.replace("{values}", repr(photos.values)).replace("{picture!r}", repr(str(files[0]))) for cell in CELLS
    ]
    write_notebook(server.home / "work", "story.ipynb", cells)
    window = open_window(path="lab/tree/story.ipynb", size=(1400, 1100))
    page = window.page
    notebook = page.locator(".jp-NotebookPanel:visible")
    notebook.locator(".jp-Cell").nth(len(cells) - 1).wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=60_000)
    output = lambda index: notebook.locator(".jp-Cell").nth(index).locator(".jp-Cell-outputArea")  # noqa: E731

    def run(index: int) -> None:
        run_cell(page, notebook.locator(".jp-Cell").nth(index))

    # 1 · Create an app.
    run(0)
    expect(output(0)).to_contain_text("ready cells", timeout=60_000)

    # 2 · Upload in the cell; the kernel gets the report.
    run(1)
    panel = output(1)
    panel.get_by_test_id("uploader").wait_for()
    for concept in (first, second):
        for testid, value in (("upload-dataset", "train"), ("upload-concepts", concept)):
            panel.get_by_test_id(testid).fill(value)
            panel.get_by_test_id(testid).press("Enter")
        with page.expect_file_chooser() as chooser:
            panel.get_by_test_id("choose-files").click()
        chooser.value.set_files([str(path) for path in files if path.parent.name == concept])
        expect(panel.get_by_test_id("upload-report")).to_contain_text(re.compile(r"(?<!\d)40\s*added"))
        panel.get_by_test_id("upload-dataset").press("Backspace")
        panel.get_by_test_id("upload-concepts").press("Backspace")
    run(2)
    expect(output(2)).to_contain_text("added 40")
    app = lab.app("cells")
    assert app.count(concept=first) == app.count(concept=second) == 40

    # 3 · Label with ipyannotations: a class button puts the concept on the picture that is shown.
    unlabelled = app.inputs(limit=1)[0]
    app.annotate([unlabelled], remove=[label.concept for label in unlabelled.labels])
    run(3)
    labeller = output(3)
    labeller.get_by_role("button", name=re.compile(f"^{re.escape(first)}")).first.click()
    window.until(lambda: app.count(unlabelled=True) == 0)
    window.shoot("notebook-label")
    app.annotate([unlabelled], remove=[first])
    app.annotate([unlabelled], positive=[label.concept for label in unlabelled.labels])

    # 4 · The template's form: wrong values are refused beside their fields.
    run(4)
    form = output(4)
    form.get_by_test_id("field-batch_size").fill("1000")
    expect(form.get_by_test_id("fault-batch_size")).to_contain_text("between 1 and 256")
    form.get_by_test_id("field-batch_size").fill("16")
    expect(form.get_by_test_id("fault-batch_size")).to_be_hidden()
    window.shoot("notebook-form")

    # 5, 6 · Train and watch; 8 · predict.
    run(5)
    training = output(5)
    expect(training.get_by_test_id("version-state")).to_have_text(re.compile("training|trained", re.I), timeout=TRAINED)
    run(6)
    expect(output(6)).to_contain_text(re.compile(rf"accuracy \d\.\d+ ({first}|{second})"), timeout=TRAINED)
    expect(training.get_by_test_id("version-state")).to_have_text(re.compile("trained", re.I))
    expect(training.get_by_test_id("concept-table")).to_contain_text(second)
    training.scroll_into_view_if_needed()
    window.shoot("notebook-training")

    # A saved notebook, opened again without its kernel, is drawn alive.
    page.keyboard.press("Control+s")
    window.until(lambda: "vnd.deepft.panel+json" in (server.home / "work" / "story.ipynb").read_text())
    page.evaluate("""async () => {
        const base = JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl;
        const xsrf = document.cookie.match(/_xsrf=([^;]+)/)?.[1];
        const sessions = await (await fetch(base + 'api/sessions')).json();
        for (const session of sessions) {
            await fetch(base + 'api/sessions/' + session.id, {method: 'DELETE', headers: {'X-XSRFToken': xsrf}});
        }
    }""")
    page.goto(f"{server.url}lab/tree/story.ipynb?reset")
    page.locator(".jp-Dialog").or_(notebook).first.wait_for(timeout=60_000)
    drawn = notebook.locator(".jp-Cell").nth(5).get_by_test_id("version-state")
    expect(drawn).to_have_text(re.compile("trained", re.I), timeout=60_000)
    window.shoot("notebook-reopened")
    assert not window.errors
