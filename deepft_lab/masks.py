"""Masks as run lengths, and back: COCO's compressed form, column by column, beginning with the pixels outside.

    mask = encode(array)            # bool, height x width -> records.Mask
    array = decode(mask)            # uint8 of 0 and 1, height x width
    array = decode(mask, (96, 128)) # resized by nearest neighbour to height 96, width 128
    array = draw(polygons, 96, 128) # outer rings in fractions -> uint8

The form: run lengths follow each other, from the third on as the difference to the one before the last. Each is a
sequence of characters from `0` on that hold five bits, the lowest first, and one that says whether another follows.
What a server needs (`check`, `extent`) is plain Python, so that it loads no numpy; the rest is vectorised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deepft_lab.records import Mask

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

MAX_SIDE = 65_535
MAX_PIXELS = 100_000_000  # as many as a picture may have, and some more

Box = tuple[float, float, float, float]


def runs(counts: str) -> list[int]:
    """The run lengths. Raises ValueError for a text that is none."""
    found: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the character {character!r} is no part of run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            if shift > 60:
                raise ValueError("a run length is too large")
            continue
        if bits & 16:
            value -= 1 << shift
        found.append(value + found[-2] if len(found) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the last run length is cut off")
    return found


def check(mask: Mask) -> str:
    """Why the mask cannot be used, or nothing."""
    if not (1 <= mask.height <= MAX_SIDE and 1 <= mask.width <= MAX_SIDE):
        return f"a mask of {mask.width} x {mask.height} pixels is not possible"
    if mask.height * mask.width > MAX_PIXELS:
        return f"a mask of {mask.width} x {mask.height} pixels is above the limit of {MAX_PIXELS:,}"
    try:
        lengths = runs(mask.counts)
    except ValueError as error:
        return str(error)
    if any(length < 0 for length in lengths):
        return "a run length is negative"
    if sum(lengths) != mask.height * mask.width:
        return f"the run lengths cover {sum(lengths):,} pixels, the mask has {mask.width} x {mask.height}"
    return ""


def extent(mask: Mask) -> Box | None:
    """The box around the pixels, in fractions of the mask's sides; None for an empty mask."""
    height, width = mask.height, mask.width
    left, top, right, bottom = width, height, -1, -1
    position = 0
    for place, length in enumerate(runs(mask.counts)):
        if place % 2 and length:
            first, last = position, position + length - 1
            left, right = min(left, first // height), max(right, last // height)
            whole = first // height != last // height  # it goes over the end of a column
            top = 0 if whole else min(top, first % height)
            bottom = height - 1 if whole else max(bottom, last % height)
        position += length
    if right < 0:
        return None
    return left / width, top / height, (right + 1) / width, (bottom + 1) / height


def encode(array: Array) -> Mask:
    """Run lengths of an array (height x width); whatever is not 0 belongs to the mask."""
    import numpy as np

    height, width = array.shape
    flat = np.asarray(array != 0).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    begin = [0, 0] if flat.size and flat[0] else [0]  # the first run is one of outside, if of length 0
    return from_runs(np.diff(np.concatenate([begin, edges, [flat.size]])), height, width)


def from_runs(lengths: Array | Sequence[int], height: int, width: int) -> Mask:
    """The mask of plain run lengths."""
    import numpy as np

    values = np.asarray(lengths, dtype=np.int64).copy()
    values[3:] -= np.asarray(lengths, dtype=np.int64)[1:-2]
    codes: list[Array] = []
    more: list[Array] = [np.ones(values.shape, bool)]
    while more[-1].any():
        bits = values & 31
        values = values >> 5
        follows = np.where(bits & 16, values != -1, values != 0)
        codes.append((bits | (follows << 5)) + 48)
        more.append(more[-1] & follows)
    kept = np.stack(more[:-1], 1) if codes else np.zeros((0, 0), bool)
    text = np.stack(codes, 1)[kept] if codes else np.zeros(0, np.int64)
    return Mask(int(height), int(width), text.astype(np.uint8).tobytes().decode("ascii"))


def decode(mask: Mask, size: tuple[int, int] | None = None) -> Array:
    """The pixels: uint8 of 0 and 1, height x width. `size` (height, width) resizes by nearest neighbour.

    Raises ValueError for run lengths that do not fit the mask's size.
    """
    import numpy as np

    lengths = _runs_of(mask.counts)
    if (lengths.size and lengths.min() < 0) or lengths.sum() != mask.height * mask.width:
        raise ValueError(f"The run lengths do not fit a mask of {mask.width} x {mask.height} pixels.")
    values = (np.arange(lengths.size) % 2).astype(np.uint8)
    pixels = np.repeat(values, lengths).reshape((mask.height, mask.width), order="F")
    return pixels if size is None else nearest(pixels, size)


def nearest(array: Array, size: tuple[int, int]) -> Array:
    """The array resized to (height, width): each pixel takes the value at its centre."""
    import numpy as np

    height, width = size
    if array.shape[:2] == (height, width):
        return array
    rows = ((np.arange(height) + 0.5) * array.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * array.shape[1] / width).astype(np.int64)
    return array[rows[:, None], columns[None, :]]


def draw(polygons: Sequence[Sequence[float]], height: int, width: int) -> Array:
    """Polygons (outer rings x, y, x, y ... in fractions) as pixels: uint8 of 0 and 1, height x width.

    A pixel belongs to a polygon when its centre lies inside, which is also how run lengths are counted elsewhere; a
    thin polygon that holds no centre keeps the pixels that its outline touches.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    drawn = np.zeros((height, width), np.uint8)
    for ring in polygons:
        pixels = _fill(np.asarray(ring, np.float64).reshape(-1, 2) * (width, height), height, width)
        if not pixels.any():
            thin = Image.new("L", (width, height))
            points = [(x * width - 0.5, y * height - 0.5) for x, y in zip(ring[::2], ring[1::2], strict=False)]
            ImageDraw.Draw(thin).line([*points, points[0]], fill=1)
            pixels = np.asarray(thin)
        drawn |= pixels
    return drawn


def _fill(points: Array, height: int, width: int) -> Array:
    """Even-odd filling by the crossings of each row's middle with the polygon's sides."""
    import numpy as np

    begin, end = points, np.roll(points, -1, axis=0)
    rows = np.arange(height) + 0.5
    low, high = np.minimum(begin[:, 1], end[:, 1]), np.maximum(begin[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    count = last - first
    side = np.repeat(np.arange(len(points)), count)
    row = np.arange(side.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    slope = (end[:, 0] - begin[:, 0]) / np.where(high > low, end[:, 1] - begin[:, 1], 1.0)
    x = begin[side, 0] + (rows[row] - begin[side, 1]) * slope[side]
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    crossings = np.zeros((height, width + 1), np.uint8)
    np.add.at(crossings, (row, column), 1)
    return (np.cumsum(crossings[:, :width], axis=1, dtype=np.int64) % 2).astype(np.uint8)


def _runs_of(counts: str) -> Array:
    """As `runs`, vectorised."""
    import numpy as np

    codes = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    if not codes.size:
        return np.zeros(0, np.int64)
    ends = np.flatnonzero(codes & 32 == 0)
    if not ends.size or ends[-1] != codes.size - 1:
        raise ValueError("The last run length is cut off.")
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = np.arange(codes.size) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    values -= np.where(codes[ends] & 16, 1, 0) << (5 * (ends - starts + 1))
    for parity in (1, 2):
        values[parity::2] = np.cumsum(values[parity::2])
    return values
