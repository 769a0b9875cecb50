"""What a job's events add up to: one small view, kept up to date event by event."""

from __future__ import annotations

from typing import Any

import msgspec

from deepft_lab.records import Event, State


class Epoch(msgspec.Struct):
    """What an epoch's event said, as far as a later step may take it back."""

    number: int
    step: int
    metrics: dict[str, float | None]
    metrics_by_concept: dict[str, dict[str, float | None]]
    best: bool


class Progress(msgspec.Struct):
    """The view of a job. It is stored when the job ends."""

    state: State = "starting"
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    steps_per_epoch: int = 0
    images_per_second: float | None = None
    seconds_left: float | None = None
    metrics: dict[str, float | None] = {}
    metrics_by_concept: dict[str, dict[str, float | None]] = {}
    best_epoch: int | None = None
    best_metric: str = ""
    warnings: list[str] = []
    stopping: bool = False
    said_end: bool = False  # the worker has said finished or failed
    preparing: str = ""  # what is done before the first step, and how much of it
    reason: str = ""
    traceback: str = ""
    last_seq: int = 0
    last_time: float = 0.0
    cpu_seconds: float = 0.0  # a running estimate from what the steps say
    history: list[Epoch] = []

    @property
    def fraction(self) -> float:
        """0..1"""
        if self.state == "trained":
            return 1.0
        return min(1.0, self.step / self.steps) if self.steps else 0.0


def apply(view: Progress, event: Event) -> None:
    """Takes one event in. Events come in the order of `seq`."""
    data = event.data
    if view.last_time and isinstance(data.get("cpu"), (int, float)):
        view.cpu_seconds += data["cpu"] * max(0.0, event.time - view.last_time)
    view.last_seq, view.last_time = event.seq, event.time
    handler = _HANDLERS.get(event.kind)
    if handler is not None:
        handler(view, event, data)


def _preparing(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.preparing = f"{data.get('what') or 'preparing'}: {float(data.get('share') or 0.0):.0%}"


def _started(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.state, view.preparing = "training", ""
    view.epochs = int(data.get("epochs") or view.epochs)
    view.steps = int(data.get("steps") or view.steps)
    view.steps_per_epoch = int(data.get("steps_per_epoch") or view.steps_per_epoch)
    view.best_metric = str(data.get("best_metric") or view.best_metric)


def _step(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.preparing = ""
    view.step = event.step
    view.epoch = int(data.get("epoch") or view.epoch)
    view.images_per_second = data.get("images_per_second", view.images_per_second)
    view.seconds_left = data.get("seconds_left", view.seconds_left)
    at_end = view.steps_per_epoch and event.step % view.steps_per_epoch == 0
    view.state = "evaluating" if at_end else "training"


def _epoch(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.state = "training"
    view.step = max(view.step, event.step)
    view.epoch = int(data.get("epoch") or view.epoch)
    view.history.append(
        Epoch(
            view.epoch,
            event.step,
            data.get("metrics") or {},
            data.get("metrics_by_concept") or {},
            bool(data.get("best")),
        )
    )
    _from_history(view)


def _from_history(view: Progress) -> None:
    """The version's metrics are those of its best epoch, since that checkpoint becomes its model."""
    shown = next((epoch for epoch in reversed(view.history) if epoch.best), view.history[-1] if view.history else None)
    view.metrics = shown.metrics if shown else {}
    view.metrics_by_concept = shown.metrics_by_concept if shown else {}
    view.best_epoch = shown.number if shown and shown.best else None


def _resumed(view: Progress, event: Event, data: dict[str, Any]) -> None:
    """What was said of later steps is taken back."""
    view.step = int(data.get("from_step") or 0)
    view.state = "training"
    view.seconds_left = None
    view.said_end, view.stopping, view.reason, view.traceback = False, False, "", ""
    if view.step == 0:
        view.warnings = []
    view.history = [epoch for epoch in view.history if epoch.step <= view.step]
    view.epoch = view.history[-1].number if view.history else 0
    _from_history(view)


def _warning(view: Progress, event: Event, data: dict[str, Any]) -> None:
    message = str(data.get("message") or "")
    if message and message not in view.warnings:
        view.warnings.append(message)


def _stopping(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.stopping = True


def _finished(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.metrics = data.get("metrics") or view.metrics
    view.metrics_by_concept = data.get("metrics_by_concept") or view.metrics_by_concept
    view.best_epoch = data.get("best_epoch", view.best_epoch)
    view.seconds_left = 0.0
    view.said_end = True


def _failed(view: Progress, event: Event, data: dict[str, Any]) -> None:
    view.reason = str(data.get("reason") or "")
    view.traceback = str(data.get("traceback") or "")
    view.seconds_left = None
    view.said_end = True


_HANDLERS = {
    "preparing": _preparing,
    "started": _started,
    "step": _step,
    "epoch": _epoch,
    "resumed": _resumed,
    "warning": _warning,
    "stopping": _stopping,
    "finished": _finished,
    "failed": _failed,
}
