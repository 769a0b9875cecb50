"""The pictures that browsers show: the whole one, and thumbnails, which are kept beside the blobs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import RowMapping

from deepft_lab import spec
from deepft_lab.lab.access import find_app
from deepft_lab.lab.inputs import find_input
from deepft_lab.records import Caller, File, PictureQuery

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

SIDES = (64, 128, 256, 512, 1024)  # the sizes that are kept
_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


def picture(lab: Lab, caller: Caller, *, owner: str, app: str, input: str) -> File:
    """The file itself where a browser shows it as training sees it; else a JPEG made from it."""
    row = _row(lab, owner, app, input)
    if row["plain"]:
        return File(content_type=_TYPES[row["format"]], path=str(lab.blobs.path(row["sha256"])))
    return _made(lab, row, "shown", lambda path: lab.pictures.shown(path))


def thumbnail(lab: Lab, caller: Caller, *, owner: str, app: str, input: str, query: PictureQuery) -> File:
    """A JPEG whose longer side is the next kept size of at least `side`."""
    row = _row(lab, owner, app, input)
    side = next((kept for kept in SIDES if kept >= query.side), SIDES[-1])
    return _made(lab, row, str(side), lambda path: lab.pictures.thumbnail(path, side))


def kept(lab: Lab, sha256: str) -> list[Path]:
    """Every picture that was made from a blob."""
    folder = lab.thumbnails / sha256[:2]
    return [folder / f"{sha256}-{what}.jpg" for what in (*SIDES, "shown")]


def _row(lab: Lab, owner: str, app: str, input: str) -> RowMapping:
    with lab.database.reading() as connection:
        return find_input(connection, find_app(connection, owner, app)["key"], input)


def _made(lab: Lab, row: RowMapping, what: str, make) -> File:
    path = lab.thumbnails / row["sha256"][:2] / f"{row['sha256']}-{what}.jpg"
    if path.exists():
        return File(content_type="image/jpeg", path=str(path))
    content = make(lab.blobs.path(row["sha256"]))
    with suppress(OSError):  # a full disk is no reason not to show the picture
        path.parent.mkdir(mode=0o700, exist_ok=True)
        spec.write_whole(path, content)
    return File(content_type="image/jpeg", content=content)
