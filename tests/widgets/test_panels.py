"""The panels of a notebook, as the kernel sees them: no browser is here."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from deepft_lab import demo
from deepft_lab.widgets import TemplatePanel, TrainingPanel, UploadPanel, panel
from deepft_lab.widgets.panel import MIME


def shown(widget: Any) -> dict[str, Any]:
    """The display bundle of a panel."""
    data, _ = widget._repr_mimebundle_()
    return data


def test_a_panel_that_is_not_built_says_so_and_breaks_nothing() -> None:
    assert "make setup" in str(panel.bundle("no-such-panel"))
    assert isinstance(panel.bundle("training"), (Path, str))


def test_a_display_bundle_names_the_panel_and_holds_a_picture(app: Any) -> None:
    data = shown(app.upload_panel())
    assert data[MIME] == {"kind": "upload", "owner": app.owner, "app": app.id, "model": None, "version": None}
    assert "application/vnd.jupyter.widget-view+json" in data
    assert app.id in data["text/plain"]
    assert ElementTree.fromstring(data["image/svg+xml"]).tag.endswith("svg")


def test_an_upload_report_comes_from_the_browser_and_can_be_observed(app: Any) -> None:
    widget = UploadPanel(app)
    heard: list[Any] = []
    widget.observe(lambda change: heard.append(change["new"]), "report")
    assert widget.report.added == 0
    name = "<script>alert(1)</script>.jpg"
    widget.set_state(
        {
            "_report": {
                "names": {"added": ["a.jpg"], "duplicates": []},
                "errors": [[name, "It is empty."]],
                "inputs": ["x"],
            }
        }
    )
    assert widget.report.added == 1
    assert widget.report.errors == [(name, "It is empty.")]
    assert heard == [widget.report]
    picture = shown(widget)["image/svg+xml"]
    assert "<script>" not in picture
    ElementTree.fromstring(picture)


def test_an_unknown_option_is_refused(app: Any) -> None:
    with pytest.raises(TypeError, match="colour"):
        UploadPanel(app, colour="red")
    with pytest.raises(TypeError, match="_report"):
        UploadPanel(app, _report={})


def test_a_template_panel_knows_its_values_before_a_browser_does(app: Any) -> None:
    model = app.create_model("m", template="classifier-mobilenet-v2", num_epochs=7)
    widget = model.template_panel()
    assert widget.value["template"] == "classifier-mobilenet-v2"
    assert widget.value["num_epochs"] == 7
    assert widget.version is None
    other = app.create_model("other", **widget.value)
    assert other.params() == model.params()


def test_a_template_panel_hears_of_the_form_and_of_the_training_that_it_starts(app: Any, digits: Path) -> None:
    app.upload(digits / "val", concepts="folders")
    model = app.create_model("m", template="classifier-mobilenet-v2", concepts=["3", "4"], **demo.VALUES)
    widget = TemplatePanel(model)
    widget.set_state({"_value": {"template": "classifier-mobilenet-v2", "num_epochs": 9}})
    assert widget.value["num_epochs"] == 9
    version = model.train()
    try:
        widget.set_state({"_version": version.id})
        assert widget.version == version
    finally:
        version.delete()


def test_a_training_panel_follows_the_version_without_a_browser(app: Any, digits: Path) -> None:
    app.upload(digits / "val" / "3", dataset="d", concepts=["3"])
    app.upload(digits / "val" / "4", dataset="d", concepts=["4"])
    values = demo.VALUES | {"num_epochs": 1}
    model = app.create_model("m", template="classifier-mobilenet-v2", concepts=["3", "4"], **values)
    version = model.train(dataset="d", validation=0.3)
    widget = TrainingPanel(version)
    assert widget.status in ("queued", "starting", "training")
    assert shown(widget)[MIME]["version"] == version.id
    version.wait(timeout=200)
    assert widget.status == "trained"
    assert widget.metrics == version.metrics
    data = shown(widget)
    assert "training loss" in data["image/svg+xml"]
    assert "accuracy" in data["image/svg+xml"]
    ElementTree.fromstring(data["image/svg+xml"])


def test_a_training_panel_takes_what_the_browser_says_and_renews_its_picture_at_the_end(
    app: Any, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.upload(digits / "val", concepts="folders")
    model = app.create_model("m", template="classifier-mobilenet-v2", concepts=["3", "4"], **demo.VALUES)
    widget = model.train().training_panel()
    heard: list[str] = []
    pictures: list[str] = []

    class Handle:
        def update(self, data: dict[str, Any], **_: Any) -> None:
            pictures.append(data["image/svg+xml"])

    def display(data: dict[str, Any], **_: Any) -> Handle:
        pictures.append(data["image/svg+xml"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    widget._ipython_display_()
    widget.observe(lambda change: heard.append(change["new"]), "status")
    widget.version.delete()
    widget.set_state({"_outcome": {"state": "deleted", "metrics": {}}})
    assert heard[-1] == "deleted"
    deadline = time.monotonic() + 5
    while widget.status != "deleted" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert widget.status == "deleted"
    assert len(pictures) == 2
    assert "deleted" not in pictures[0]
    assert "deleted" in pictures[1]
