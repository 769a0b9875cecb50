"""A version in a cell, live: curves, metrics, log. The kernel gets state and metrics as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from deepft_lab.errors import DeepFTError
from deepft_lab.records import FINISHED
from deepft_lab.widgets import picture
from deepft_lab.widgets.panel import Panel, bundle, styles

if TYPE_CHECKING:
    from deepft_lab.client.version import Version


class _Current(traitlets.TraitType[Any, Any]):
    """A trait that asks the server when it is read while the version is unfinished.

    A browser may not be there to tell, or may be a moment late; code in the next cell wants what is true now.
    """

    def get(self, obj: Any, cls: Any = None) -> Any:
        obj._ask()
        return super().get(obj, cls)


class TrainingPanel(Panel):
    """A version while it trains and after. `metrics` and `status` follow it; `version` is the version itself."""

    kind = "training"
    _esm = bundle("training")
    _css = styles()

    metrics = _Current({}, help="Metrics on the validation inputs, as `version.metrics`.")
    status = _Current("", help="queued, starting, training, evaluating, trained, failed or deleted.")
    _outcome = traitlets.Dict().tag(sync=True)

    def __init__(self, version: Version, **options: Any) -> None:
        self.version = version
        self._asking = True
        model = version.model
        target: dict[str, str | None] = {
            "owner": model.app.owner,
            "app": model.app.id,
            "model": model.id,
            "version": version.id,
        }
        super().__init__(target, **options)
        self._asking = False
        self._ask()

    @traitlets.observe("_outcome")
    def _take_outcome(self, change: dict[str, Any]) -> None:
        outcome = change["new"]
        self._set(outcome.get("metrics", {}), outcome.get("state", ""))
        if self._trait_values["status"] in FINISHED:
            self.renew_picture()

    def _ask(self) -> None:
        if self._asking:
            return
        self._asking = True
        try:
            status = self.version.status
            self._set(dict(self.version.record.metrics), status)
        except DeepFTError:
            pass  # A server that is away for a moment: what is known stays.
        finally:
            self._asking = False

    def _set(self, metrics: dict[str, float | None], status: str) -> None:
        asking, self._asking = self._asking, True
        try:
            self.metrics = metrics
            self.status = status
        finally:
            self._asking = asking

    def summary(self) -> str:
        return f"TrainingPanel of {self._target['app']}/{self._target['model']}/{self.version.id}: {self.status}"

    def picture(self) -> str:
        record = self.version.refresh().record if self.status != "deleted" else self.version.record
        texts = [f"{record.state} · epoch {record.epoch} of {record.epochs} · {record.progress:.0%}"]
        texts += [record.preparing] if record.preparing else []
        texts += [picture.pairs(record.metrics)] if record.metrics else []
        texts += [f"failed: {record.reason}"] if record.reason else []
        steps = [event for event in self.version.events() if event.kind == "step"] if record.state != "deleted" else []
        losses = [(event.step, event.data["loss"]) for event in steps if event.data.get("loss") is not None]
        return picture.curve(f"{self._target['model']} {record.id}", texts, losses, "training loss")
