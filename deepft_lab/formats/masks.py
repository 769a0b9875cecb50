"""Pictures of classes: each picture has a second one whose values say what lies where.

`images/` and `masks/` (or `labels`, `annotations`, `SegmentationClass` ...) lie side by side or with the splits below
them; a pair has the same name but for its ending. Splits (`train/images`, `images/train`) become datasets.

What a value means comes from `values` ({128: "cytoplasm", 255: "nucleus"}; "#ff0000" for colours), else from
`classes.txt` or `classes.json` (also `labels`): lines with names, counted from 0, or `128 cytoplasm`. Without any, a
value is a concept by its number. 0 is the background and makes no region unless `values` names it. 255 is ignored, as
is the custom, unless it is named, or no list is given and the values are grey levels and no numbers (0, 128, 255).

A mask of another size than its picture is brought to the picture's by nearest neighbour.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deepft_lab import masks
from deepft_lab.formats.found import Annotated, Folder, Marks, Reading, dataset_id
from deepft_lab.formats.turning import ORIENTATION, Frame, sizes
from deepft_lab.formats.voc import SPLITS
from deepft_lab.records import Region

IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages"})
MASK_FOLDERS = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "segmentationclass", "segmentations", "segmentation", "gt"}
)
MASK_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
ENDINGS = ("", "_mask", "-mask", "_label", "_labels", "_seg", "_segmentation", "_gt")
LISTS = ("classes.txt", "classes.json", "labels.txt", "labels.json", "label_names.txt", "class_names.txt")
IGNORED = 255
MAX_VALUES = 1024  # in one mask: more than that is a photo, or was saved with loss
INDEX_BELOW = 16  # where the least value besides 0 and 255 is below it, values are numbers of classes and no greys
LOOKED_AT = 50  # masks, to see which kind of values there are
NO_CLASS = re.compile(r"_*(background|ignore|ignored|void|unlabell?ed)_*", re.I)

Values = Mapping[Any, str]


class Meaning(msgspec.Struct):
    """What each value of a mask is: a concept, nothing (""), or ignored (None). Others are called by their number."""

    names: dict[int, str | None]
    listed: bool  # a list was given: what is not in it is not known, so it is ignored

    def of(self, value: int) -> str | None:
        if value in self.names:
            return self.names[value]
        return None if self.listed else _word(value)


def recognise(folder: Folder) -> bool:
    return bool(_pairs(folder))


def read(folder: Folder, values: Values | None = None) -> Reading:
    reading = Reading("masks", ["mask"], [], list(folder.faults))
    pairs = _pairs(folder)
    meaning = _meaning(folder, [folder.root / mask for mask in pairs.values()], values, reading)
    taken = set(pairs.values())
    for mask in _below(folder, MASK_FOLDERS):
        if mask not in taken and mask.suffix.lower() in MASK_SUFFIXES and mask not in pairs:
            reading.faults.append((str(mask), "There is no picture for this mask."))
    for picture in _below(folder, IMAGE_FOLDERS):
        dataset = _split(picture)
        found = Annotated(folder.root / picture, [dataset] if dataset else [])
        if picture in pairs:
            found.source = pairs[picture]
            found.load = partial(_load, folder.root / picture, folder.root / pairs[picture], meaning)
        reading.pictures.append(found)
    return reading


def _pairs(folder: Folder) -> dict[Path, Path]:
    """Pictures and their masks: the same path, but for the folder's name and the ending."""
    known: dict[tuple[tuple[str, ...], str], Path] = {}
    for mask in _below(folder, MASK_FOLDERS):
        if mask.suffix.lower() in MASK_SUFFIXES:
            known[_without(mask, MASK_FOLDERS), mask.stem] = mask
    pairs: dict[Path, Path] = {}
    for picture in _below(folder, IMAGE_FOLDERS):
        below = _without(picture, IMAGE_FOLDERS)
        found = next((known[below, picture.stem + e] for e in ENDINGS if (below, picture.stem + e) in known), None)
        if found is not None:
            pairs[picture] = found
    return pairs


def _below(folder: Folder, names: frozenset[str]) -> list[Path]:
    return [path for path in folder.pictures if names & {part.lower() for part in path.parts[:-1]}]


def _without(path: Path, names: frozenset[str]) -> tuple[str, ...]:
    """The folders of a path without the last one of these names."""
    parts = list(path.parts[:-1])
    place = max(i for i, part in enumerate(parts) if part.lower() in names)
    return (*parts[:place], *parts[place + 1 :])


def _split(picture: Path) -> str | None:
    """The dataset by the folder that is called like a split."""
    found = [part for part in _without(picture, IMAGE_FOLDERS) if part.lower() in SPLITS]
    return dataset_id(found[-1]) if found else None


# -- what values mean ---------------------------------------------------------------------------


def _meaning(folder: Folder, files: list[Path], values: Values | None, reading: Reading) -> Meaning:
    named: dict[int, str | None] = {}
    if values is not None:
        return Meaning({0: "", IGNORED: None} | _keyed(values), True)
    for path in folder.named(*LISTS):
        try:
            named = _listed(folder.root / path)
        except (OSError, ValueError) as error:
            reading.faults.append((str(path), f"The list of classes cannot be read: {error}"))
            continue
        if named:
            classes = [name for name in named.values() if name]
            if len(classes) == 1 and IGNORED not in named and _present(files) <= {0, IGNORED}:
                named[IGNORED] = classes[0]  # the only class, drawn in white
            return Meaning({0: "", IGNORED: None} | named, True)
    present = _present(files)
    others = present - {0, IGNORED}
    names: dict[int, str | None] = {0: ""}
    if others and min(others) < INDEX_BELOW:
        names[IGNORED] = None
    if present:
        words = ", ".join(_word(value) for value in sorted(present - set(names))[:20])
        reading.warnings.append(
            f"No list of classes was found, so concepts are called by the values of the masks: {words}. "
            'Name them by values={128: "cytoplasm", ...}, or by a file classes.txt.'
        )
    return Meaning(names, False)


def _present(files: list[Path]) -> set[int]:
    """The values of some of the masks."""
    present: set[int] = set()
    for path in files[:: max(1, len(files) // LOOKED_AT)]:
        try:
            present |= set(_values_of(_array(path)[0]))
        except ValueError:
            continue  # told when it is its turn
    return present


def _keyed(values: Values) -> dict[int, str | None]:
    """Raises ValueError for a key that is no value of a pixel."""
    found: dict[int, str | None] = {}
    for key, name in values.items():
        text = str(name).strip() if name is not None else None
        found[_key(key)] = None if text is None or text.lower().strip("_") in ("ignore", "ignored", "void") else text
    return found


def _key(key: Any) -> int:
    if isinstance(key, (tuple, list)) and len(key) == 3:
        return (int(key[0]) << 16) + (int(key[1]) << 8) + int(key[2])
    text = str(key).strip()
    try:
        return int(text[1:], 16) if text.startswith("#") else int(text)
    except ValueError:
        raise ValueError(f'{key!r} is no value of a pixel: give a number, or "#ff0000".') from None


def _listed(path: Path) -> dict[int, str | None]:
    """The names in a list of classes; background names nothing, ignored classes are None."""
    text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    if path.suffix.lower() == ".json":
        content = json.loads(text)
        if isinstance(content, list):
            content = dict(enumerate(map(str, content)))
        if not isinstance(content, dict):
            raise ValueError("it is no list and no object.")
        if all(isinstance(value, (int, list)) for value in content.values()):  # names to values
            content = {tuple(v) if isinstance(v, list) else v: k for k, v in content.items()}
        pairs = [(_key(key), str(name)) for key, name in content.items()]
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        numbered = [re.fullmatch(r"(\d+|#[0-9a-fA-F]{6})[\s:,;=]+(.+)", line) for line in lines]
        if lines and all(numbered):
            pairs = [(_key(match[1]), match[2].strip()) for match in numbered if match]
        else:
            begin = -1 if lines and lines[0].lower().strip("_") == "ignore" else 0
            pairs = list(enumerate(lines, start=begin))
    found: dict[int, str | None] = {}
    for value, name in pairs:
        none = NO_CLASS.fullmatch(name)
        found[value if value >= 0 else IGNORED] = name if not none else "" if "back" in name.lower() else None
    return found


def _word(value: int) -> str:
    return f"#{value:06x}" if value > 0xFFFF else str(value)


# -- pixels -------------------------------------------------------------------------------------


def _load(picture: Path, source: Path, meaning: Meaning) -> Marks:
    stored, turn = sizes(picture)
    shown = stored[::-1] if turn >= 5 else stored
    array, turned = _array(source)
    marks = Marks()
    size = (array.shape[1], array.shape[0])
    if size == stored != shown and not turned:
        array = Frame(*stored, turn).pixels(array)
    elif size != shown:
        marks.warnings.append(
            f"the mask has {size[0]} x {size[1]} pixels, the picture {shown[0]} x {shown[1]}: resized by nearest "
            "neighbour."
        )
        array = masks.nearest(array, (shown[1], shown[0]))
    for value in _values_of(array):
        name = meaning.of(value)
        if name == "":
            continue
        mask = masks.encode(array == value)
        box = masks.extent(mask) or (0.0, 0.0, 0.0, 0.0)
        marks.regions.append(Region(kind="mask", concept=name or "", box=box, mask=mask, ignored=name is None))
        if name is None and value != IGNORED:
            marks.warnings.append(f"the value {_word(value)} is in no list of classes: its pixels are ignored.")
    return marks


def _array(path: Path) -> tuple[Any, bool]:
    """The values of a mask, and whether it was turned by its own EXIF. Colours are numbers, red * 65536 + ..."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
            upright = ImageOps.exif_transpose(image) if turned else image
            if upright.mode not in ("1", "L", "P", "I", "I;16", "I;16B", "RGB", "RGBA", "LA"):
                raise ValueError(f"a picture of the kind {upright.mode} is no mask")
            array = np.asarray(upright if upright.mode != "RGBA" else upright.convert("RGB"))
    except Exception as error:  # a border: the decoders raise anything
        raise ValueError(f"The mask cannot be read ({' '.join(str(error).split())[:200]}).") from error
    if array.ndim == 3 and array.shape[2] == 2:
        array = array[:, :, 0]
    if array.ndim == 3:
        grey = bool((array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all())
        wide = array.astype(np.int32)
        array = wide[..., 0] if grey else (wide[..., 0] << 16) + (wide[..., 1] << 8) + wide[..., 2]
    return array.astype(np.int32), turned


def _values_of(array: Any) -> list[int]:
    import numpy as np

    found = np.unique(array)
    if len(found) > MAX_VALUES:
        raise ValueError(f"The mask has {len(found)} different values: it is a photo, or was saved with loss.")
    return [int(value) for value in found]
