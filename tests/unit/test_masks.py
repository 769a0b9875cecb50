"""Run lengths: the same as others write and read, and nothing that breaks them."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from deepft_lab import masks
from deepft_lab.records import Mask

arrays = some.tuples(some.integers(1, 40), some.integers(1, 40), some.integers(0, 2**32 - 1), some.floats(0, 1)).map(
    lambda drawn: (np.random.default_rng(drawn[2]).random(drawn[:2]) < drawn[3]).astype(np.uint8)
)


@settings(deadline=None)
@given(arrays)
def test_a_mask_comes_back_as_it_was(array: np.ndarray) -> None:
    mask = masks.encode(array)
    assert masks.check(mask) == ""
    assert (masks.decode(mask) == array).all()
    assert masks.from_runs(masks.runs(mask.counts), *array.shape) == mask
    rows, columns = np.nonzero(array)
    height, width = array.shape
    if rows.size:
        box = columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height
        assert masks.extent(mask) == pytest.approx(box)
    else:
        assert masks.extent(mask) is None


@settings(deadline=None)
@given(arrays)
def test_others_write_and_read_the_same(array: np.ndarray) -> None:
    from faster_coco_eval.core import mask as peer

    theirs = peer.encode(np.asfortranarray(array))
    assert theirs["counts"].decode() == masks.encode(array).counts
    mine = masks.encode(array)
    assert (peer.decode({"size": [mine.height, mine.width], "counts": mine.counts.encode()}) == array).all()


def test_long_runs_need_many_characters() -> None:
    array = np.zeros((3000, 2000), np.uint8)
    array[1500:, 700:1999] = 1
    mask = masks.encode(array)
    assert (masks.decode(mask) == array).all() and len(mask.counts) < 20_000
    whole = masks.encode(np.ones((5, 5)))
    assert masks.runs(whole.counts) == [0, 25] and masks.extent(whole) == (0, 0, 1, 1)


@pytest.mark.parametrize("counts", ["P", "!", "0" * 3, "é", "", "1", "oooooooooooooooo"])
def test_run_lengths_that_are_none_are_told(counts: str) -> None:
    mask = Mask(4, 4, counts)
    assert masks.check(mask)
    with pytest.raises(ValueError):
        masks.decode(mask)


@settings(deadline=None)
@given(some.text(alphabet=[chr(c) for c in range(40, 120)], max_size=30), some.integers(-1, 9), some.integers(0, 9))
def test_no_text_breaks_the_check(counts: str, height: int, width: int) -> None:
    mask = Mask(height, width, counts)
    if masks.check(mask) == "":
        assert masks.decode(mask).shape == (height, width)


def test_another_size_takes_the_nearest_pixel() -> None:
    array = np.array([[0, 1], [1, 0]], np.uint8)
    large = masks.decode(masks.encode(array), (4, 6))
    assert large.tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[1, 1, 1, 0, 0, 0]] * 2
    assert (masks.nearest(large, (2, 2)) == array).all()


def test_polygons_are_filled_where_a_pixels_centre_lies_inside() -> None:
    square = masks.draw([[0.25, 0.25, 0.75, 0.25, 0.75, 0.75, 0.25, 0.75]], 8, 8)
    wanted = np.zeros((8, 8), np.uint8)
    wanted[2:6, 2:6] = 1
    assert (square == wanted).all()
    thin = masks.draw([[0.1, 0.5, 0.9, 0.5, 0.9, 0.501]], 8, 8)
    assert thin.any(), "what is thinner than a pixel does not vanish"
    two = masks.draw([[0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5], [0.25, 0.25, 1, 0.25, 1, 1, 0.25, 1]], 8, 8)
    assert two.sum() == 16 + 36 - 4, "rings are joined"


@pytest.mark.parametrize("seed", range(5))
def test_polygons_are_filled_as_others_do(seed: int) -> None:
    from faster_coco_eval.core import mask as peer

    random = np.random.default_rng(seed)
    angles = np.sort(random.random(12)) * 2 * math.pi
    radius = random.uniform(0.2, 0.45, 12)
    ring = np.stack([0.5 + radius * np.cos(angles), 0.5 + radius * np.sin(angles)], 1)
    mine = masks.draw([ring.ravel().tolist()], 120, 160)
    theirs = peer.decode(peer.frPyObjects([(ring * (160, 120)).ravel().tolist()], 120, 160))[:, :, 0]
    assert (mine & theirs).sum() / (mine | theirs).sum() > 0.97


def test_what_a_server_needs_loads_no_numpy() -> None:
    code = (
        "import sys; from deepft_lab import masks, shapes, lab; from deepft_lab.records import Mask\n"
        "assert masks.check(Mask(1, 2, '2')) == '' and masks.extent(Mask(1, 2, '02')) == (0, 0, 1, 1)\n"
        "assert 'numpy' not in sys.modules and 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
