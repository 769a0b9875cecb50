"""COCO: JSON files that name pictures, categories and annotations: boxes, polygons, run lengths (compressed or not).

Several files are several datasets, called after the file (`instances_train.json`: train), or after its folder where the
file's own name says nothing (`train/_annotations.coco.json`). Categories go by their names; their numbers mean nothing
beyond their file. `iscrowd` becomes an ignored region. A picture that several files name gets what all of them say.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deepft_lab import masks
from deepft_lab.formats.found import Annotated, Folder, Marks, Names, Reading, dataset_id
from deepft_lab.formats.turning import Frame, frame
from deepft_lab.records import Mask, Region

LOOK_BYTES = 4096  # at the beginning and the end of a file, to see what it is
MAX_BYTES = 4 * 1024**3

_PREFIX = re.compile(r"^(instances|person_keypoints|annotations?|coco|labels?)[_.-]+|[_.-]*(annotations?|coco)$", re.I)
_PLAIN = re.compile(r"^(_?annotations?(\.coco)?|coco|instances(_default)?|labels?|result|default)$", re.I)
_PLAIN_FOLDERS = frozenset({"annotations", "annotation", "labels", "coco", "images"})


class _Picture(msgspec.Struct):
    id: int | str
    file_name: str
    width: float | None = None
    height: float | None = None


class _Category(msgspec.Struct):
    id: int | str
    name: str


class _Annotation(msgspec.Struct):
    image_id: int | str
    category_id: int | str
    bbox: list[float] | None = None
    segmentation: Any = None
    iscrowd: int | bool = 0


class _File(msgspec.Struct):
    """Annotations are looked at one by one, so that a wrong one spoils no other."""

    images: list[_Picture]
    categories: list[_Category]
    annotations: list[msgspec.Raw] = []


_annotation = msgspec.json.Decoder(_Annotation)
_file = msgspec.json.Decoder(_File)


class _Said(msgspec.Struct):
    """What one file says of one picture."""

    size: tuple[float, float] | None
    concepts: dict[int | str, str]
    annotations: list[msgspec.Raw] = []


def recognise(folder: Folder) -> bool:
    return bool(_candidates(folder))


def read(folder: Folder) -> Reading:
    names = Names(folder.pictures)
    reading = Reading("coco", ["box", "polygon", "mask"], [], list(folder.faults))
    said: dict[Path, list[_Said]] = defaultdict(list)
    sources: dict[Path, Path] = {}
    datasets: dict[Path, list[str]] = defaultdict(list)
    unread = False
    # A file that only looks like COCO is passed over, unless there is no other.
    for path in _candidates(folder) or folder.of(".json"):
        try:
            content = _decode(folder.root / path)
        except (OSError, ValueError) as error:
            reading.faults.append((str(path), f"{error} Pictures that only this file names are not uploaded."))
            unread = True
            continue
        dataset = _dataset(path)
        for picture, what in _of_file(content, path, names, reading):
            said[picture].append(what)
            sources.setdefault(picture, path)
            if dataset and dataset not in datasets[picture]:
                datasets[picture].append(dataset)
    folders = {picture.parent for picture in said}
    for picture in folder.pictures:
        found = Annotated(folder.root / picture, datasets.get(picture, []))
        if picture in said:
            found.source = sources[picture]
            found.load = partial(_load, folder.root / picture, said[picture])
        elif unread or picture.parent not in folders:
            continue
        reading.pictures.append(found)
    return reading


def _candidates(folder: Folder) -> list[Path]:
    return [path for path in folder.of(".json") if _looks_like_coco(folder.root / path)]


def _looks_like_coco(path: Path) -> bool:
    """The three keys stand at the top level, where neither the beginning nor the end of a file can miss them all."""
    try:
        with path.open("rb") as file:
            start = file.read(LOOK_BYTES)
            file.seek(max(0, path.stat().st_size - LOOK_BYTES))
            ends = start + file.read(LOOK_BYTES)
    except OSError:
        return False
    marks = (b'"images"', b'"categories"', b'"annotations"', b'"file_name"', b'"category_id"', b'"supercategory"')
    return (
        start.removeprefix(BOM_UTF8).lstrip()[:1] == b"{"
        and sum(mark in ends for mark in marks) >= 2
        and b'"caption"' not in ends
    )


def _decode(path: Path) -> _File:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"The file has more than {MAX_BYTES // 1024**3} GB.")
    try:
        return _file.decode(path.read_bytes().removeprefix(BOM_UTF8))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"The file is no COCO annotation that can be read ({error}).") from None


def _of_file(content: _File, path: Path, names: Names, reading: Reading) -> list[tuple[Path, _Said]]:
    concepts = {category.id: category.name for category in content.categories}
    found: dict[int | str, tuple[Path, _Said]] = {}
    for image in content.images:
        picture = names.find(image.file_name, path.parent, _dataset(path))
        if picture is None:
            reading.faults.append((f"{path}: {image.file_name[:200]}", "There is no such picture below the folder."))
            continue
        size = (image.width, image.height) if image.width and image.height else None
        found[image.id] = (picture, _Said(size, concepts))
    missing = {image.id for image in content.images} - set(found)
    lost = 0
    for raw in content.annotations:
        try:
            owner = _owner.decode(raw).image_id
        except msgspec.MsgspecError:
            owner = None
        if owner in found:
            found[owner][1].annotations.append(raw.copy())
        elif owner not in missing:
            lost += 1
    if lost:
        words = "1 annotation names" if lost == 1 else f"{lost} annotations name"
        reading.faults.append((str(path), f"{words} no picture of the file: left out."))
    return list(found.values())


class _Owner(msgspec.Struct):
    image_id: int | str


_owner = msgspec.json.Decoder(_Owner)


def _load(picture: Path, said: list[_Said]) -> Marks:
    marks = Marks()
    known: list[Region] = []
    for what in said:
        place = frame(picture, what.size)
        marks.warnings += [place.warning] if place.warning else []
        before = list(known)
        for number, raw in enumerate(what.annotations, start=1):
            try:
                region = _region(_annotation.decode(raw), what.concepts, place)
            except (msgspec.MsgspecError, ValueError) as error:
                marks.warnings.append(f"annotation {number}: {str(error).rstrip('.')}: left out.")
                continue
            if region not in before:  # of two files that say the same
                known.append(region)
    marks.regions = known
    return marks


def _region(given: _Annotation, concepts: dict[int | str, str], place: Frame) -> Region:
    if given.category_id not in concepts:
        raise ValueError(f"the category {given.category_id!r} is not in the file")
    concept, ignored = concepts[given.category_id], bool(given.iscrowd)
    shape = given.segmentation
    if isinstance(shape, dict):
        mask = _turned(_mask(shape), place)
        box = masks.extent(mask) or (0.0, 0.0, 0.0, 0.0)
        return Region(kind="mask", concept=concept, box=box, mask=mask, ignored=ignored)
    rings = [ring for ring in shape if isinstance(ring, list) and len(ring) >= 6] if isinstance(shape, list) else []
    if rings:
        polygons = [place.ring(msgspec.convert(ring, list[float])) for ring in rings]
        return Region(kind="polygon", concept=concept, box=(0.0, 0.0, 0.0, 0.0), polygons=polygons, ignored=ignored)
    if given.bbox is None or len(given.bbox) != 4:
        raise ValueError(f"{concept!r} has neither a box of four numbers nor a shape")
    left, top, width, height = given.bbox
    if width < 0 or height < 0:
        raise ValueError(f"the box {given.bbox} of {concept!r} ends before it begins")
    return Region(concept=concept, box=place.box(left, top, left + width, top + height), ignored=ignored)


class _Lengths(msgspec.Struct):
    size: tuple[int, int]  # height, width
    counts: str | list[int]


def _mask(shape: dict[str, Any]) -> Mask:
    given = msgspec.convert(shape, _Lengths)
    height, width = given.size
    if isinstance(given.counts, str):
        return Mask(height, width, given.counts)
    if sum(given.counts) != height * width or min(given.counts, default=0) < 0:
        raise ValueError(f"its run lengths cover {sum(given.counts):,} pixels, and not {width} x {height}")
    return masks.from_runs(given.counts, height, width)


def _turned(mask: Mask, place: Frame) -> Mask:
    reason = masks.check(mask)
    if reason:
        raise ValueError(reason)
    return masks.encode(place.pixels(masks.decode(mask))) if place.turn != 1 else mask


def _dataset(path: Path) -> str | None:
    """Called after the file, or after its folder where the file's name says nothing."""
    stem = path.name.removesuffix(path.suffix)
    if _PLAIN.match(stem):
        parent = path.parent.name
        return dataset_id(parent) if parent and parent.lower() not in _PLAIN_FOLDERS else None
    return dataset_id(_PREFIX.sub("", _PREFIX.sub("", stem)))
