"""Where an annotation's pixels lie in the picture as it is shown.

The rule: coordinates refer to the picture as it is shown (turned as its EXIF orientation says), unless the size that
the annotation states is that of the stored picture and not of the shown one: then they are turned with it. Where the
stated size is neither, they are taken as fractions of the stated size. Without one, the shown picture's size counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

Point = tuple[float, float]

ORIENTATION = 0x0112  # the EXIF tag

# From stored to shown, in fractions.
_TURNS: dict[int, Callable[[float, float], Point]] = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


class Frame(msgspec.Struct):
    """How coordinates in pixels become fractions of the shown picture."""

    width: float
    height: float
    turn: int = 1
    warning: str = ""

    def point(self, x: float, y: float) -> Point:
        x, y = x / self.width, y / self.height
        return _TURNS[self.turn](x, y) if self.turn in _TURNS else (x, y)

    def box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        first, last = self.point(left, top), self.point(right, bottom)
        if self.turn == 1:
            return (*first, *last)
        return min(first[0], last[0]), min(first[1], last[1]), max(first[0], last[0]), max(first[1], last[1])

    def ring(self, numbers: list[float]) -> list[float]:
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        return [value for x, y in pairs for value in self.point(x, y)]

    def pixels(self, array: Any) -> Any:
        """An array of the stored picture's pixels as the shown one has them."""
        import numpy as np

        turned = {
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.T,
            6: lambda a: np.rot90(a, -1),
            7: lambda a: a[::-1, ::-1].T,
            8: lambda a: np.rot90(a),
        }.get(self.turn)
        return np.ascontiguousarray(turned(array)) if turned else array


def sizes(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height as stored, and the EXIF orientation; only the file's head is read. Raises ValueError."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is no reason to talk
        try:
            with Image.open(path) as image:
                stored = image.size
                turn = image.getexif().get(ORIENTATION, 1)
        except Exception as error:  # a border: the decoders raise anything
            raise ValueError(f"The picture cannot be read ({' '.join(str(error).split())[:200]}).") from error
    return stored, turn if turn in _TURNS else 1


def frame(path: Path, stated: tuple[float, float] | None) -> Frame:
    """The frame of a picture for an annotation that states this width and height. Raises ValueError."""
    stored, turn = sizes(path)
    shown = stored[::-1] if turn >= 5 else stored
    if stated is None or min(stated) <= 0 or stated == shown:
        return Frame(shown[0], shown[1])
    if stated == stored:
        return Frame(stored[0], stored[1], turn)
    words = (
        f"The annotation is for {stated[0]:g} x {stated[1]:g} pixels, the picture has {shown[0]} x {shown[1]}: scaled."
    )
    return Frame(stated[0], stated[1], 1, words)
