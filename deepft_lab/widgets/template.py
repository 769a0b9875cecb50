"""A model's form in a cell: template, hyperparameters, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from deepft_lab.client.version import Version
from deepft_lab.widgets import picture
from deepft_lab.widgets.panel import Panel, bundle, styles

if TYPE_CHECKING:
    from deepft_lab.client.model import Model


class TemplatePanel(Panel):
    """The form of a model. `value` is what it holds: `template` and every hyperparameter, saved or not.

    `version` is the version that its Train button started last, or None. `app.create_model("other", **panel.value)`
    makes another model of what the form holds.
    """

    kind = "template"
    _esm = bundle("template")
    _css = styles()

    value = traitlets.Dict(help="The template and every hyperparameter.")
    version = traitlets.Instance(Version, allow_none=True, help="The version that the form started last.")
    _value = traitlets.Dict().tag(sync=True)
    _version = traitlets.Unicode("").tag(sync=True)

    def __init__(self, model: Model, **options: Any) -> None:
        self.model = model
        target = {"owner": model.app.owner, "app": model.app.id, "model": model.id, "version": None}
        # Known from the start, so that code in the next cell need not wait for a browser.
        value = {"template": model.template, **model.params()}
        super().__init__(target, value=value, **options)

    @traitlets.observe("_value")
    def _take_value(self, change: dict[str, Any]) -> None:
        self.value = dict(change["new"])

    @traitlets.observe("_version")
    def _take_version(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.version = self.model.version(change["new"])

    def summary(self) -> str:
        return f"TemplatePanel of {self.model.app.id}/{self.model.id}: {self.value.get('template', '')}"

    def picture(self) -> str:
        texts = [f"{name} = {picture.number(value)}" for name, value in self.value.items()]
        return picture.lines(f"Model {self.model.id}", texts)
