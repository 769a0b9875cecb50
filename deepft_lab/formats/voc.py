"""Pascal VOC: one XML file a picture, in `Annotations/` beside `JPEGImages/`, or beside the pictures.

Corners are taken as they stand, without the offset of one pixel that the original challenge had: other programs write
none. A `difficult` object becomes an ignored region, as in the challenge, where it counts neither for nor against a
detection. Splits are the lists in `ImageSets/Main/`, or `train.txt`, `val.txt` ... in the folder itself; a list that is
the union of others (`trainval`) makes no dataset of its own, and neither do the lists of single classes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from deepft_lab.formats.found import Annotated, Folder, Marks, Names, Reading, dataset_id
from deepft_lab.formats.turning import frame
from deepft_lab.records import Region

MAX_BYTES = 64 * 1024 * 1024  # of one XML file
MASKS = frozenset({"segmentationclass", "segmentationobject"})
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "trainval", "dev", "eval"})
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def recognise(folder: Folder) -> bool:
    """XML files, of which one of the first begins like an annotation."""
    return any(_begins_well(folder.root / path) for path in folder.of(".xml")[:20])


def read(folder: Folder) -> Reading:
    pictures = [path for path in folder.pictures if not MASKS & {part.lower() for part in path.parts[:-1]}]
    of_voc = [path for path in pictures if "jpegimages" in {part.lower() for part in path.parts[:-1]}]
    pictures = of_voc or pictures
    names = Names(pictures)
    reading = Reading("voc", ["box"], [], list(folder.faults))
    sources: dict[Path, Path] = {}
    for path in folder.of(".xml"):
        picture = names.by_stem(path.stem, path.parent) or _named_within(folder, path, names)
        if picture is None:
            reading.faults.append((str(path), "There is no picture for this annotation below the folder."))
        elif picture in sources:
            reading.faults.append((str(path), f"The picture {picture} has an annotation already: {sources[picture]}."))
        else:
            sources[picture] = path
    datasets = _splits(folder, names, reading)
    for picture in pictures:
        found = Annotated(folder.root / picture, datasets.get(picture, []))
        if picture in sources:
            found.source = sources[picture]
            found.load = partial(_load, folder.root / sources[picture], folder.root / picture)
        reading.pictures.append(found)
    return reading


def _begins_well(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"<annotation" in file.read(2048)
    except OSError:
        return False


def _named_within(folder: Folder, path: Path, names: Names) -> Path | None:
    try:
        name = _parse(folder.root / path).findtext("filename") or ""
    except (OSError, ValueError):
        return None
    return names.find(name.strip(), path.parent)


def _parse(path: Path) -> ElementTree.Element:
    """The root of an XML file. Raises ValueError in words; entities are refused, since they can grow without bound."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"The file has more than {MAX_BYTES // 1024**2} MB.")
    content = path.read_bytes()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("The file declares entities, which are not read.")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"The file is no XML that can be read ({error}).") from None


def _load(source: Path, picture: Path) -> Marks:
    root = _parse(source)
    if root.tag != "annotation":
        raise ValueError(f"The file is no Pascal VOC annotation: it begins with <{root.tag}>.")
    size = _number(root.findtext("size/width")), _number(root.findtext("size/height"))
    stated = None if size[0] is None or size[1] is None else (size[0], size[1])
    place = frame(picture, stated)
    marks = Marks([], [place.warning] if place.warning else [])
    for number, thing in enumerate(root.findall("object"), start=1):
        concept = (thing.findtext("name") or "").strip()
        corners = [_number(thing.findtext(f"bndbox/{corner}")) for corner in CORNERS]
        if not concept or None in corners:
            what = "has no name" if not concept else "has no box of four numbers"
            marks.warnings.append(f"object {number} {concept!r} {what}: left out.")
            continue
        left, top, right, bottom = (corner for corner in corners if corner is not None)
        if left > right or top > bottom:  # turning would put the corners in order, and so hide it
            marks.warnings.append(
                f"the box {concept!r} ({left:g}, {top:g}, {right:g}, {bottom:g}) ends before it begins: left out."
            )
            continue
        difficult = _number(thing.findtext("difficult")) or 0
        box = place.box(left, top, right, bottom)
        marks.regions.append(Region(concept=concept, box=box, ignored=difficult > 0))
    return marks


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _splits(folder: Folder, names: Names, reading: Reading) -> dict[Path, list[str]]:
    """The datasets of each picture."""
    main = [path for path in folder.of(".txt") if [part.lower() for part in path.parts[-3:-1]] == ["imagesets", "main"]]
    lists = main or [path for path in folder.of(".txt") if path.stem.lower() in SPLITS]
    members: dict[str, set[Path]] = {}
    for path in lists:
        lines = {line: _member(line, path, names) for line in _lines(folder.root / path)}
        if any(line.split()[1:] in (["-1"], ["0"], ["1"]) and picture is None for line, picture in lines.items()):
            continue  # which pictures bear one class
        found = set(lines.values())
        if lost := [line for line, picture in lines.items() if picture is None]:
            words = f"{len(lost)} of {len(lines)} lines name no picture below the folder, such as {lost[0][:200]!r}"
            reading.warnings.append(f"{path}: {words}.")
        id = dataset_id(path.stem)
        if id:
            members[id] = members.get(id, set()) | {picture for picture in found if picture}
    datasets: dict[Path, list[str]] = defaultdict(list)
    for id, pictures in sorted(members.items()):
        parts = [other for name, other in members.items() if name != id and other < pictures]
        if pictures and parts and set().union(*parts) == pictures:
            continue
        for picture in pictures:
            datasets[picture].append(id)
    return datasets


def _member(line: str, path: Path, names: Names) -> Path | None:
    """The picture that a line of a list names, with or without its ending."""
    return names.find(line, path.parent) or names.by_stem(Path(line).name, path.parent)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip()]
