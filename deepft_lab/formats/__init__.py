"""Readers of annotations that others have written: `voc`, `coco`, `masks`.

    reading = read(Path("cells"))          # by itself, or format="coco"; None: there are pictures only
    for picture in reading.pictures:
        marks = picture.load()             # regions in fractions of the picture, and warnings

Each reader is a module with `recognise(folder)` and `read(folder)`. A fault is a file's name and a reason; it ends
nothing. Nothing is opened that does not lie below the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepft_lab.errors import InvalidRequest
from deepft_lab.formats import coco, masks, voc
from deepft_lab.formats.found import SUFFIXES, Annotated, Folder, Marks, Reading

FORMATS = ("voc", "coco", "masks")
SOUGHT = {
    "voc": "XML files beside the pictures, or in Annotations/",
    "coco": "a JSON file with images, categories and annotations",
    "masks": "images/ and masks/ side by side, with files of the same names",
}

__all__ = ["FORMATS", "SUFFIXES", "Annotated", "Marks", "Reading", "read"]


def read(path: Path, format: str = "auto", values: Mapping[Any, str] | None = None) -> Reading | None:
    """What lies below a folder. `auto` tells the formats apart, VOC before COCO before masks, and gives None where
    there are no annotations. `values` says what the values of masks mean. Raises InvalidRequest, also where a format
    is named and nothing of it is there: pictures alone would pass for empty ones."""
    folder = Folder(path)
    reading = _read(folder, format, values)
    if reading is not None and not reading.faults and not any(picture.load for picture in reading.pictures):
        raise InvalidRequest(
            f"There are no annotations of the format {reading.format!r} below {str(path)!r}; looked for: "
            f'{SOUGHT[reading.format]}. With format="images" the pictures come alone.'
        )
    return reading


def _read(folder: Folder, format: str, values: Mapping[Any, str] | None) -> Reading | None:
    if values is not None and format == "auto":
        format = "masks"
    if values is not None and format != "masks":
        raise InvalidRequest(f"values says what the pixels of masks mean; the format {format!r} has none.")
    if format in ("masks", "auto") and (format == "masks" or not (voc.recognise(folder) or coco.recognise(folder))):
        try:
            return masks.read(folder, values) if format == "masks" or masks.recognise(folder) else None
        except ValueError as error:
            raise InvalidRequest(f"values cannot be understood: {error}") from None
    if format == "voc" or (format == "auto" and voc.recognise(folder)):
        return voc.read(folder)
    return coco.read(folder)
