"""What a reader finds: pictures with their annotations, and faults; and the pictures below a folder.

Names in annotation files are looked up among the pictures that lie below the folder. They are never opened as paths, so
a name such as `../../secret` finds nothing.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path

import msgspec

from deepft_lab.records import Region

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif"})
DATASET_LETTERS = 64

Fault = tuple[str, str]  # a file's name below the folder, and the reason


class Marks(msgspec.Struct):
    """The annotations of one picture. `warnings` say what of them could not be taken."""

    regions: list[Region] = []
    warnings: list[str] = []


class Annotated(msgspec.Struct):
    """One picture. `load` reads its annotations when it is its turn, and raises ValueError or OSError; None: it has
    none, and is an empty picture. `source` is the file that the annotations come from."""

    path: Path
    datasets: list[str] = []
    load: Callable[[], Marks] | None = None
    source: Path | None = None


class Reading(msgspec.Struct):
    """What lies below a folder. `kinds` are those of the regions that the format brings."""

    format: str
    kinds: list[str]
    pictures: list[Annotated]
    faults: list[Fault] = []
    warnings: list[str] = []


class Folder:
    """The files below a folder, each by its path relative to it. Hidden ones are passed over, links not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.files: list[Path] = []
        self.faults: list[Fault] = []
        for folder, folders, files in os.walk(self.root, onerror=self._closed):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            below = Path(folder).relative_to(self.root)
            self.files += [below / name for name in sorted(files) if not name.startswith(".")]

    def _closed(self, error: OSError) -> None:
        below = Path(error.filename).relative_to(self.root)
        self.faults.append((str(below), f"The folder cannot be read: {error.strerror or error}."))

    def of(self, *suffixes: str) -> list[Path]:
        return [path for path in self.files if path.suffix.lower() in suffixes]

    @property
    def pictures(self) -> list[Path]:
        return self.of(*SUFFIXES)

    def named(self, *names: str) -> list[Path]:
        """Files of these names, the nearest to the root first."""
        found = [path for path in self.files if path.name.lower() in names]
        return sorted(found, key=lambda path: (len(path.parts), path))


class Names:
    """Finds a picture by what an annotation file calls it."""

    def __init__(self, pictures: Iterable[Path]) -> None:
        self._paths = {path.as_posix(): path for path in pictures}
        self._ends: dict[str, list[Path]] = defaultdict(list)
        self._stems: dict[str, list[Path]] = defaultdict(list)
        for path in self._paths.values():
            self._ends[path.name].append(path)
            self._stems[path.stem].append(path)

    def find(self, name: str, near: Path = Path(), hint: str | None = None) -> Path | None:
        """The picture that a path or a bare name means; of several, that with the longest common end, in a folder
        called `hint`, or near a folder. None where there is none, or where it is not clear which."""
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        return _nearest(self._ends.get(parts[-1], []), parts, near, hint) if parts else None

    def by_stem(self, stem: str, near: Path = Path()) -> Path | None:
        """The picture of a file of the same name without its ending."""
        return _nearest(self._stems.get(stem, []), [], near, None)


def _nearest(found: list[Path], parts: list[str], near: Path, hint: str | None) -> Path | None:
    if len(found) < 2:
        return found[0] if found else None

    def closeness(path: Path) -> tuple[int, bool, int]:
        end = _alike(reversed(path.parts), reversed(parts))
        return end, hint in path.parts, _alike(path.parent.parts, near.parts)

    ordered = sorted(found, key=closeness, reverse=True)
    return ordered[0] if closeness(ordered[0]) > closeness(ordered[1]) else None


def _alike(first: Iterable[str], second: Iterable[str]) -> int:
    """How many parts two paths begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def dataset_id(name: str) -> str | None:
    """A name as the id of a dataset: other characters become `-`. None where nothing is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:DATASET_LETTERS] or None
