"""Uploads from Python: walks files and folders, sends four at a time, and reports on each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deepft_lab import errors, formats, records
from deepft_lab.api import OPERATIONS
from deepft_lab.client import shown
from deepft_lab.formats import SUFFIXES

if TYPE_CHECKING:
    from deepft_lab.client.app import App

PARALLEL = 4
IN_MEMORY = 8 * 1024 * 1024  # larger files are read while they are sent
_NAMED = 5  # folders of a hint
FORMATS = ("auto", "images", "folders", *formats.FORMATS)

Sources = Any  # str | Path | bytes | PIL image | a list of these
Progress = Callable[[int, int], None]


class Files(list[str]):
    """Names of files. Compares with a number by how many there are: `report.added == 244`."""

    def __eq__(self, other: object) -> bool:
        return len(self) == other if isinstance(other, int) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


class UploadReport:
    """What became of an upload: names that were added, that were there already, and errors with their reasons."""

    def __init__(self, dry_run: bool = False) -> None:
        self.added = Files()
        self.duplicates = Files()
        self.errors: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.inputs: list[str] = []  # ids of all inputs that the files are now
        self.regions = 0  # that the files' annotations hold, without those that were left out
        self.format = "images"  # as it was recognised
        self.dry_run = dry_run
        self.hint = ""  # what may have been meant

    def note(self, file: records.UploadedFile) -> None:
        """Takes one file's outcome in."""
        if file.outcome == "error":
            self.errors.append((file.name, file.reason))
        else:
            (self.added if file.outcome == "added" else self.duplicates).append(file.name)
            if file.input is not None:
                self.inputs.append(file.input)
        self.warnings += [f"{file.name}: {warning}" for warning in file.warnings]

    def __repr__(self) -> str:
        parts = [f"{len(self.added)} added", shown.count(len(self.duplicates), "duplicate")]
        parts += [shown.count(len(self.errors), "error")]
        parts += [shown.count(self.regions, "region")] if self.format in formats.FORMATS else []
        parts += [shown.count(len(self.warnings), "warning")] if self.warnings else []
        said = f"<UploadReport{' of a dry run' if self.dry_run else ''}: {', '.join(parts)}>"
        return f"{said}\n{self.hint}" if self.hint else said

    def _repr_html_(self) -> str:
        rows = [("error", name, reason) for name, reason in self.errors]
        rows += [("warning", "", warning) for warning in self.warnings]
        rows += [("hint", "", self.hint)] if self.hint else []
        title = repr(self).splitlines()[0].strip("<>")
        return shown.table(title, ("", "file", "why"), rows[: shown.ROWS], len(rows) - shown.ROWS)


class Item(msgspec.Struct, frozen=True):
    """One thing to send: its name with folders, and a path or its bytes. `reason`: why it is not sent."""

    name: str
    path: Path | None = None
    content: bytes = b""
    reason: str = ""


def upload(
    app: App,
    sources: Sources,
    *,
    dataset: str | None,
    concepts: str | Sequence[str] | None,
    metadata: dict[str, Any] | None,
    format: str,
    values: Mapping[Any, str] | None,
    dry_run: bool,
    progress: Progress | None,
) -> UploadReport:
    """Carries out :meth:`deepft_lab.client.app.App.upload`."""
    if format not in FORMATS:
        raise errors.InvalidRequest(
            f"The format {format!r} cannot be imported yet; there is {', '.join(FORMATS)}. Others come later."
        )
    if metadata is not None and not isinstance(metadata, dict):
        raise errors.InvalidRequest(f"metadata is an object such as {{'site': 'A'}}, not {metadata!r}.")
    try:
        msgspec.json.encode(metadata)
    except (TypeError, ValueError) as error:
        raise errors.InvalidRequest(f"metadata is what JSON can hold: {error}.") from None
    if concepts is not None and not hasattr(concepts, "__iter__"):
        raise errors.InvalidRequest(f'concepts are names, or "folders", not {concepts!r}.')
    if concepts == "folder":
        raise errors.InvalidRequest(
            'concepts = "folders" makes the folders of the pictures concepts; ["folder"] is one concept of that name.'
        )
    from_folders = concepts == "folders" or (format == "folders" and concepts is None)
    names = [] if from_folders or concepts is None else [concepts] if isinstance(concepts, str) else list(concepts)
    show = progress or _line(sys.stderr)
    settings = records.CreateUpload(
        dataset=dataset,
        concepts=names,
        concepts_from_folders=from_folders,
        metadata=metadata or {},
        dry_run=dry_run,
    )
    report = UploadReport(dry_run)
    reading = None if from_folders else _annotations(sources, format, values)
    if reading is not None:
        from deepft_lab.client.annotated import upload_annotated

        upload_annotated(app, reading, Path(sources).expanduser().resolve(), settings, report, show)
        return report
    items = list(collect(sources))
    if not items:
        report.warnings.append("There are no files in what was given; hidden ones are left out.")
    if format == "auto" and concepts is None:
        report.hint = _hint(items)
    created = app.call("create_upload", body=settings)
    done = 0
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="deepft-upload") as pool:
        try:
            for outcome in pool.map(lambda item: send(app, created.id, item), items):
                done += 1
                report.note(outcome)
                show(done, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return report


def _hint(items: Sequence[Item]) -> str:
    """Pictures in several folders are often sorted by what they show."""
    folders = sorted({Path(item.name).parent.name for item in items if item.path is not None and not item.reason})
    if len(folders) < 2:
        return ""
    named = ", ".join(folders[:_NAMED]) + (" ..." if len(folders) > _NAMED else "")
    return f"The pictures lie in {len(folders)} folders ({named}). Are they concepts? Upload with concepts='folders'."


def collect(sources: Sources) -> Iterator[Item]:
    """Everything that the sources name. The last folder of a file's name is the folder that it lies in."""
    one = isinstance(sources, (str, Path, bytes, bytearray)) or _is_picture(sources) or not hasattr(sources, "__iter__")
    for place, source in enumerate([sources] if one else sources, start=1):
        if _is_picture(source):
            from deepft_lab.client.version import png

            yield Item(Path(getattr(source, "filename", "") or f"image-{place:04d}.png").name, content=png(source))
        elif isinstance(source, (bytes, bytearray)):
            yield Item(f"image-{place:04d}", content=bytes(source))
        elif isinstance(source, str) and "://" in source:
            raise errors.InvalidRequest(f"{source!r} is an address. Download the file, and give its path or its bytes.")
        elif isinstance(source, (str, Path)):
            yield from _collect_path(Path(source).expanduser())
        else:
            raise errors.InvalidRequest(f"A path, bytes or a PIL image can be uploaded, not {type(source).__name__}.")


def _collect_path(path: Path) -> Iterator[Item]:
    if not path.exists():
        raise errors.InvalidRequest(f"There is no file or folder {str(path)!r}.")
    if not path.is_dir():
        parent = path.resolve().parent.name
        yield Item(_text(Path(parent) / path.name), path)
        return
    root = path.resolve()
    closed: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(root.name) / Path(folder).relative_to(root)
        for name in sorted(files):
            if name.startswith("."):
                continue
            suffix = Path(name).suffix.lower()
            unknown = bool(suffix) and suffix not in SUFFIXES
            reason = (
                f"{suffix} is no picture that can be read: JPEG, PNG, TIFF, BMP, WEBP and GIF are." if unknown else ""
            )
            yield Item(_text(below / name), Path(folder) / name, reason=reason)
    for error in closed:
        below = Path(root.name) / Path(error.filename).relative_to(root)
        yield Item(_text(below), reason=f"The folder cannot be read: {error.strerror or error}.")


def _text(path: Path) -> str:
    """A path as text that can be sent; Linux allows names that are no UTF-8."""
    return path.as_posix().encode("utf-8", "replace").decode()


def _annotations(sources: Sources, format: str, values: Mapping[Any, str] | None) -> formats.Reading | None:
    """The annotations of a folder; None where it has none, or where pictures alone are meant."""
    if format in ("images", "folders") and values is None:
        return None
    if isinstance(sources, (str, Path)) and Path(sources).expanduser().is_dir():
        return formats.read(Path(sources).expanduser(), format, values)
    if format == "auto" and values is None:
        return None
    if isinstance(sources, (str, Path)) and not Path(sources).expanduser().exists():
        raise errors.InvalidRequest(f"There is no file or folder {str(sources)!r}.")
    raise errors.InvalidRequest(f"Annotations of the format {format!r} are read from one folder; give its path.")


def send(app: App, upload: str, item: Item) -> records.UploadedFile:
    """One file. A fault of this file is its outcome; a fault of all (no room, no right) is raised."""
    if item.reason:
        return records.UploadedFile(name=item.name, outcome="error", reason=item.reason)
    try:
        size = item.path.stat().st_size if item.path else len(item.content)
        if item.path is not None and not item.path.is_file():  # reading a pipe would wait for ever
            return records.UploadedFile(name=item.name, outcome="error", reason="It is no file but a pipe or device.")
        large = item.path if item.path is not None and size > IN_MEMORY else None
        content = item.content if item.path is None or large else item.path.read_bytes()
    except OSError as error:
        reason = f"It cannot be read: {error.strerror or error}."
        return records.UploadedFile(name=item.name, outcome="error", reason=reason)
    operation = OPERATIONS["upload_file"]
    try:
        response = app.lab.connection.send(
            operation.verb,
            operation.url(owner=app.owner, app=app.id, upload=upload),
            query=records.UploadQuery(name=item.name),
            content=(lambda: _pieces(large)) if large else (lambda: content),
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
            again=True,  # the same content twice is one input
        )
    except (errors.BadImage, errors.TooLarge, errors.InvalidRequest) as error:
        return records.UploadedFile(name=item.name, outcome="error", reason=error.message)
    outcome = msgspec.json.decode(response.content, type=records.UploadedFile)
    return msgspec.structs.replace(outcome, name=item.name)  # with its folders: two may hold a file of one name


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            yield piece


def _is_picture(source: Any) -> bool:
    """A PIL image, without importing PIL."""
    return hasattr(source, "save") and hasattr(source, "mode")


def _line(stream: Any) -> Progress:
    """A line that counts, on a terminal; nothing elsewhere."""
    if not (hasattr(stream, "isatty") and stream.isatty()):
        return lambda done, total: None

    def show(done: int, total: int) -> None:
        stream.write(f"\r  {done} of {total} files" + ("\n" if done == total else ""))
        stream.flush()

    return show
