"""The uploader in a cell. The bytes go from the browser to the server; the kernel gets the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from deepft_lab.client.upload import Files, UploadReport
from deepft_lab.widgets import picture
from deepft_lab.widgets.panel import Panel, bundle, styles

if TYPE_CHECKING:
    from deepft_lab.client.app import App


class UploadPanel(Panel):
    """Drop files or folders on it. `report` is the outcome of the last upload: `added`, `duplicates`, `errors`."""

    kind = "upload"
    _esm = bundle("upload")
    _css = styles()

    report = traitlets.Instance(UploadReport, help="The last upload's report; empty before the first.")
    _report = traitlets.Dict().tag(sync=True)

    def __init__(self, app: App, **options: Any) -> None:
        self.app = app
        target = {"owner": app.owner, "app": app.id, "model": None, "version": None}
        super().__init__(target, report=UploadReport(), **options)

    @traitlets.observe("_report")
    def _take_report(self, change: dict[str, Any]) -> None:
        sent = change["new"]
        names = sent.get("names", {})
        report = UploadReport()
        report.added = Files(names.get("added", []))
        report.duplicates = Files(names.get("duplicates", []))
        report.errors = [(name, reason) for name, reason in sent.get("errors", [])]
        report.warnings = list(sent.get("warnings", []))
        report.inputs = list(sent.get("inputs", []))
        self.report = report

    def summary(self) -> str:
        return f"UploadPanel of {self.app.id}: {repr(self.report).strip('<>')}"

    def picture(self) -> str:
        texts = [repr(self.report).strip("<>")]
        texts += [f"{name}: {reason}" for name, reason in self.report.errors[:10]]
        return picture.lines(f"Upload to {self.app.id}", texts)
