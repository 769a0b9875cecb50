"""Uploads of annotated folders: pictures as ever, then their regions, many inputs a request."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from deepft_lab import errors, records, shapes
from deepft_lab.api import OPERATIONS
from deepft_lab.client import upload as plain
from deepft_lab.formats import Annotated, Reading

if TYPE_CHECKING:
    from deepft_lab.client.app import App

INPUTS_A_REQUEST = 200
BYTES_A_REQUEST = 4 * 1024 * 1024
MAX_CONCEPT = 128  # characters


class _Picture(msgspec.Struct):
    """One picture with what became of it. `regions` is None where there are no annotations for it."""

    outcome: records.UploadedFile
    datasets: list[str]
    regions: list[records.Region] | None = None
    warnings: list[str] = []


def upload_annotated(
    app: App,
    reading: Reading,
    root: Path,
    settings: records.CreateUpload,
    report: plain.UploadReport,
    show: plain.Progress,
) -> None:
    """Uploads what a reader found, and fills the report in. `settings.dataset` goes before the files' own splits."""
    report.format = reading.format
    report.errors += [(_name(root, Path(name)), reason) for name, reason in reading.faults]
    report.warnings += reading.warnings
    uploads = _begin(app, reading, settings)
    regions = _Regions(app, reading, report)
    more: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(plain.PARALLEL, thread_name_prefix="deepft-upload") as pool:
        try:
            work = pool.map(lambda found: _take(app, uploads, settings, root, found), reading.pictures)
            for done, picture in enumerate(work, start=1):
                report.note(picture.outcome)
                report.warnings += [f"{picture.outcome.name}: {warning}" for warning in picture.warnings]
                if picture.outcome.input is not None:
                    regions.put(picture)
                    for dataset in picture.datasets[1:]:
                        more[dataset].append(picture.outcome.input)
                show(done, len(reading.pictures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with suppress(Exception):  # pictures that are there already would pass for empty ones
                regions.send()
            raise
    regions.send()
    for dataset, inputs in more.items() if not settings.dry_run else ():
        report.warnings += app.edit(inputs, add_datasets=[dataset]).warnings


def _begin(app: App, reading: Reading, settings: records.CreateUpload) -> dict[str | None, str]:
    """An upload for each dataset that pictures go to first."""
    firsts = {_datasets(found, settings)[0] for found in reading.pictures} or {settings.dataset}
    begun = {}
    for dataset in sorted(firsts, key=lambda name: name or ""):
        own = msgspec.structs.replace(settings, dataset=dataset)
        begun[dataset] = app.call("create_upload", body=own).id
    return begun


def _datasets(found: Annotated, settings: records.CreateUpload) -> list[str | None]:
    return [settings.dataset] if settings.dataset else [*found.datasets] or [None]


def _take(
    app: App, uploads: dict[str | None, str], settings: records.CreateUpload, root: Path, found: Annotated
) -> _Picture:
    """Reads the annotations and sends the picture. One whose annotations cannot be read is not sent: it would pass for
    an empty one."""
    name = _name(root, found.path.relative_to(root))
    datasets = _datasets(found, settings)
    regions, warnings = None, []
    if found.load is not None:
        try:
            marks = found.load()
        except (OSError, ValueError) as error:
            source = _name(root, found.source) if found.source else name
            reason = f"{str(error).rstrip('.')}. Its picture {name} is not uploaded, as it would pass for an empty one."
            return _Picture(records.UploadedFile(name=source, outcome="error", reason=reason), [])
        regions, left_out = _settle(marks.regions)
        warnings = marks.warnings + left_out
    outcome = plain.send(app, uploads[datasets[0]], plain.Item(name, found.path))
    return _Picture(outcome, [dataset for dataset in datasets if dataset], regions, warnings)


def _settle(regions: list[records.Region]) -> tuple[list[records.Region], list[str]]:
    """Regions as the server takes them, and what is not as the file has it."""
    kept, warnings = [], []
    for region in regions:
        name = f"the {region.kind} {region.concept[:40]!r} ({', '.join(f'{value:.4g}' for value in region.box)})"
        concept = unicodedata.normalize("NFC", region.concept).strip()
        wrong = not 1 <= len(concept) <= MAX_CONCEPT or any(unicodedata.category(c) in ("Cc", "Cs") for c in concept)
        settled = shapes.settle(region)
        if wrong and not (region.ignored and not concept):
            warnings.append(f"{name} has a name that no concept can have: left out.")
        elif settled.region is None:
            warnings.append(f"{name} {settled.reason or 'is wrong, ' + settled.fault}: left out.")
        else:
            kept.append(msgspec.structs.replace(settled.region, concept=concept))
            if settled.clipped:
                warnings.append(f"{name} reaches beyond the picture: clipped.")
    return kept, warnings


class _Regions:
    """Gathers regions and sends them, many inputs at once."""

    def __init__(self, app: App, reading: Reading, report: plain.UploadReport) -> None:
        self.app, self.kinds, self.report = app, reading.kinds, report
        self._waiting: list[tuple[str, records.InputRegions]] = []
        self._bytes = 0
        self._sent: dict[str, tuple[str, list[records.Region]]] = {}

    def put(self, picture: _Picture) -> None:
        input, name = picture.outcome.input, picture.outcome.name
        if picture.regions is None or input is None:
            return
        if input in self._sent:
            other, known = self._sent[input]
            if known != picture.regions:
                words = f"{name} has the same content as {other}, but other regions: those of {other} are kept."
                self.report.warnings.append(words)
            return
        self._sent[input] = (name, picture.regions)
        self.report.regions += len(picture.regions)
        if self.report.dry_run:
            return
        change = records.InputRegions(input=input, add=picture.regions, replace_kinds=self.kinds)  # type: ignore[arg-type]
        self._bytes += len(msgspec.json.encode(change))
        self._waiting.append((name, change))
        if len(self._waiting) >= INPUTS_A_REQUEST or self._bytes >= BYTES_A_REQUEST:
            self.send()

    def send(self) -> None:
        """All that waits; where the server refuses it, one input after the other, so that only the wrong one fails."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not waiting:
            return
        try:
            self._request([change for _, change in waiting])
        except errors.InvalidRequest as error:
            for name, change in waiting if len(waiting) > 1 else ():
                self._waiting = [(name, change)]
                self.send()
            if len(waiting) == 1:
                name, change = waiting[0]
                self.report.errors.append((name, f"Its regions are not saved: {error.message}"))
                self.report.regions -= len(change.add)

    def _request(self, changes: list[records.InputRegions]) -> None:
        operation = OPERATIONS["annotate_regions"]
        content = msgspec.json.encode(records.AnnotateRegions(inputs=changes))
        response = self.app.lab.connection.send(
            operation.verb,
            operation.url(owner=self.app.owner, app=self.app.id),
            content=lambda: content,
            again=True,  # they replace what is there, so a second time changes nothing
        )
        self.report.warnings += msgspec.json.decode(response.content, type=records.AnnotatedRegions).warnings


def _name(root: Path, below: Path) -> str:
    """A file's name as it is reported: with the folder that was given."""
    return (Path(root.name) / below).as_posix().encode("utf-8", "replace").decode()
