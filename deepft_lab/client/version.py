"""A model version: one training, while it runs and after."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deepft_lab import errors, events, records
from deepft_lab.client import shown
from deepft_lab.client.table import Table

if TYPE_CHECKING:
    from deepft_lab.client.model import Model

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0  # seconds between two looks at a version that runs
LOST_SECONDS = 120.0  # how long `wait` goes on without an answer: a server may be restarting
BATCH_IMAGES = 32
BATCH_BYTES = 16 * 1024 * 1024


class Version:
    """A version of a model. `record` holds what the server said last; a running one's properties ask again."""

    def __init__(self, model: Model, record: records.ModelVersion) -> None:
        self.model = model
        self.record = record

    # -- state --

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def app(self) -> Any:
        return self.model.app

    @property
    def status(self) -> str:
        """queued, starting, training, evaluating, trained, failed or deleted."""
        return self._now().state

    @property
    def progress(self) -> float:
        """0 to 1."""
        return self._now().progress

    @property
    def metrics(self) -> dict[str, float | None]:
        """Metrics on the validation inputs: `f1_macro`, `roc_auc_macro`, and `accuracy` where concepts exclude
        each other.

        Means are over concepts that have both classes; None where none has.
        """
        return dict(self._now().metrics)

    @property
    def metrics_by_concept(self) -> dict[str, dict[str, float | None]]:
        return dict(self._now().metrics_by_concept)

    @property
    def values(self) -> dict[str, Any]:
        """The hyperparameters that it was trained with, complete."""
        return dict(self.record.values)

    @property
    def concepts(self) -> list[str]:
        return list(self.record.concepts)

    @property
    def reason(self) -> str:
        """Why it failed, in words."""
        return self._now().reason

    @property
    def warnings(self) -> list[str]:
        return list(self._now().warnings)

    def refresh(self) -> Version:
        try:
            self.record = self.call("version")
        except errors.NotFound:
            raise errors.VersionDeleted(f"The version {self.id} of {self.model.id!r} was deleted.") from None
        return self

    def wait(self, timeout: float | None = None) -> Version:
        """Waits until the training has ended, through restarts of the server too.

        Raises TrainingFailed, VersionDeleted, and TimeoutError after `timeout` seconds (the training goes on).
        """
        begun = answered = time.monotonic()
        pause = FIRST_PAUSE
        while True:
            try:
                record = self.refresh().record
                answered = time.monotonic()
            except (errors.ServerNotFound, errors.Unavailable):
                if time.monotonic() - answered > LOST_SECONDS:
                    raise
                record = self.record
            if record.state == "trained":
                return self
            if record.state == "failed":
                raise errors.TrainingFailed(
                    f"The training of {self.model.id!r} {self.id} failed: {record.reason} (`log()` has the rest.)"
                )
            if record.state == "deleted":
                raise errors.VersionDeleted(f"The version {self.id} of {self.model.id!r} was deleted.")
            left = None if timeout is None else timeout - (time.monotonic() - begun)
            if left is not None and left <= 0:
                words = f"{self.model.id!r} {self.id} is {record.state} after {timeout:g} s"
                raise TimeoutError(f"{words}; it goes on. Wait again, or delete it.")
            time.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    # -- what it says --

    def events(self, after: int = 0) -> Table[records.Event]:
        """What the job said after the event number `after`, without doubles of attempts that were resumed."""
        found: list[records.Event] = []
        last = after
        while page := self.call("events", query=records.EventQuery(after=last)).events:
            found += page
            last = page[-1].seq
        return Table(events.fold(found), "Events")

    def log(self) -> str:
        """What the launcher and the processes printed, whole."""
        text, position = "", 0
        while True:
            page = self.call("log", query=records.LogQuery(after=position))
            text += page.text
            if page.next <= position:
                return text
            position = page.next

    def spec(self) -> dict[str, Any]:
        """The complete job spec, as it was run."""
        return self.call("spec")

    # -- what it can do --

    def predict(self, images: Any) -> list[Any]:
        """What the model says of each image. Images: paths, bytes, PIL images, inputs of the app.

        A classifier gives (concept, value), highest first; a detector and a segmenter give regions (concept, value, box
        in fractions of the picture, and from a segmenter the mask); an embedder gives the numbers of the embedding.
        Raises BadImage, which names every image that cannot be read.
        """
        listed = list(images) if isinstance(images, (list, tuple)) or _is_iterator(images) else [images]
        results: list[Any] = []
        faults: list[records.Fault] = []
        for batch in _batches(listed):
            answer = self.call("predict", body=records.Predict(images=batch))
            for prediction in answer.predictions:
                if prediction.error:
                    place = len(results)
                    faults.append(records.Fault(f"images[{place}]", _name(listed[place]), prediction.error))
                results.append(_said(self.record.type, prediction))
        if faults:
            listing = "; ".join(f"{fault.value}: {fault.reason}" for fault in faults)
            raise errors.BadImage(f"{shown.count(len(faults), 'image')} cannot be read. {listing}", faults)
        return results

    def stop(self) -> Version:
        """Ends the training early and keeps its best checkpoint; `wait()` for it."""
        self.record = self.call("stop_version")
        return self

    def resume(self) -> Version:
        """Goes on with a failed training from its last checkpoint; `wait()` for it."""
        self.record = self.call("resume_version")
        return self

    def delete(self) -> None:
        """Deletes the version; a running one is cancelled. What it used stays in the ledger."""
        self.record = self.call("delete_version")

    def training_panel(self, **options: Any) -> Any:
        """A live view of the training; `panel.metrics` is its outcome."""
        return import_module("deepft_lab.widgets").TrainingPanel(self, **options)

    # -- underneath --

    def call(self, operation: str, /, **keywords: Any) -> Any:
        """An operation on this version."""
        return self.model.call(operation, version=self.record.id, **keywords)

    def _now(self) -> records.ModelVersion:
        if self.record.state in records.FINISHED:
            return self.record
        try:
            return self.refresh().record
        except errors.VersionDeleted:
            self.record = msgspec.structs.replace(self.record, state="deleted")
            return self.record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and (self.model, self.id) == (other.model, other.id)

    def __hash__(self) -> int:
        return hash((self.model, self.id))

    def __repr__(self) -> str:
        record = self.record
        done = f" {record.progress:.0%}" if record.state not in records.FINISHED else ""
        best = ", ".join(f"{name} {value:.3f}" for name, value in record.metrics.items() if value is not None)
        return f"<Version {self.app.id}/{self.model.id}/{self.id}: {record.state}{done}{', ' + best if best else ''}>"

    def _repr_html_(self) -> str:
        record = self._now()
        values: dict[str, Any] = {"state": record.state, "progress": f"{record.progress:.0%}", "reason": record.reason}
        values |= {"epoch": f"{record.epoch} of {record.epochs}", "seconds used": record.seconds_used}
        shown_values = {name: value for name, value in (values | record.metrics).items() if value not in ("", None)}
        return shown.pairs(f"{self.model.id} {record.id}", shown_values)


def _batches(images: Sequence[Any]) -> Iterator[list[records.PredictImage]]:
    """Requests of a size that any proxy lets pass."""
    batch: list[records.PredictImage] = []
    size = 0
    for image in images:
        item = _image(image)
        if batch and (len(batch) == BATCH_IMAGES or size + len(item.data or b"") > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.data or b"")
    if batch:
        yield batch


def _image(image: Any) -> records.PredictImage:
    if isinstance(image, records.Input):
        return records.PredictImage(input=image.id)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return records.PredictImage(data=bytes(image))
    if isinstance(image, (str, Path)):
        try:
            return records.PredictImage(data=Path(image).expanduser().read_bytes())
        except OSError as error:
            raise errors.InvalidRequest(
                f"The image {str(image)!r} cannot be read: {error.strerror or error}."
            ) from None
    if hasattr(image, "save") and hasattr(image, "mode"):  # a PIL image, without importing PIL
        return records.PredictImage(data=png(image))
    raise errors.InvalidRequest(
        f"An image is a path, bytes, a PIL image or an input of the app, not {type(image).__name__}."
    )


def _said(type: str, prediction: records.Prediction) -> list[Any]:
    if type in ("visual-detector", "visual-segmenter"):
        return prediction.regions
    if type == "visual-embedder":
        return prediction.embedding
    return [(found.concept, found.value) for found in prediction.concepts]


def png(image: Any) -> bytes:
    """A PIL image as bytes, without loss."""
    buffer = io.BytesIO()
    kept = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16") else image.convert("RGB")
    kept.save(buffer, format="PNG")
    return buffer.getvalue()


def _is_iterator(images: Any) -> bool:
    return hasattr(images, "__next__") or isinstance(images, (set, frozenset))


def _name(image: Any) -> str:
    if isinstance(image, (str, Path)):
        return str(image)
    return getattr(image, "id", None) or type(image).__name__
