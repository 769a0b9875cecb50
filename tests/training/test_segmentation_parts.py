"""Truth, pixels, losses and metric of segmentation, each against what it should be."""

from __future__ import annotations

import job_folders
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from deepft_lab.manifest import Entry
from deepft_lab.records import Region
from deepft_lab.training.augment import Flip
from deepft_lab.training.recipes.segmenter import Augment, Loss
from deepft_lab.training.segmentation import losses, pixels
from deepft_lab.training.segmentation.metric import Confusion
from deepft_lab.training.segmentation.truth import UNKNOWN, Truth

CONCEPTS = ["cell", "nucleus"]
NO_FLIP = Flip(0.0, "horizontal")


def block(top: int, bottom: int, left: int, right: int, side: int = 10) -> numpy.ndarray:
    found = numpy.zeros((side, side), bool)
    found[top:bottom, left:right] = True
    return found


def truth(*regions: Region, side: int = 10, **labels: int) -> Truth:
    return Truth(Entry("i", "i", side, side, labels, list(regions)), CONCEPTS)


def box(concept: str, *, ignored: bool = False) -> Region:
    return Region(kind="box", concept=concept, box=(0.2, 0.2, 0.6, 0.6), ignored=ignored)


def test_a_small_region_on_a_large_one_is_seen_whichever_comes_first() -> None:
    cell, nucleus = (
        job_folders.mask_region("cell", block(1, 9, 1, 9)),
        job_folders.mask_region("nucleus", block(3, 5, 3, 5)),
    )
    for regions in ((cell, nucleus), (nucleus, cell)):
        drawn = truth(*regions).at(10, 10)
        assert drawn[4, 4] == 2 and drawn[7, 7] == 1 and drawn[0, 0] == 0
        assert (drawn == 2).sum() == 4 and (drawn == 1).sum() == 60


def test_a_mask_of_another_size_lies_over_the_whole_picture() -> None:
    half = numpy.zeros((4, 6), bool)
    half[:, :3] = True
    drawn = truth(job_folders.mask_region("cell", half)).at(20, 10)
    assert (drawn[:, :5] == 1).all() and (drawn[:, 5:] == 0).all()


def test_what_is_ignored_is_unknown_even_over_a_mask() -> None:
    mask = job_folders.mask_region("cell", block(0, 10, 0, 10))
    for concept in ("", "nucleus"):
        drawn = truth(mask, box(concept, ignored=True)).at(10, 10)
        assert (drawn == UNKNOWN).sum() == 16 and (drawn == 1).sum() == 84
    assert (truth(mask, box("other", ignored=True)).at(10, 10) == 1).all()


def test_a_box_says_that_its_concept_is_somewhere_inside() -> None:
    drawn = truth(box("cell"), job_folders.mask_region("nucleus", block(2, 4, 2, 4))).at(10, 10)
    assert (drawn == UNKNOWN).sum() == 12 and (drawn == 2).sum() == 4
    assert truth(box("cell")).boxed == {"cell"}


def test_without_regions_all_is_background_unless_a_label_says_that_something_is_there() -> None:
    assert (truth().at(3, 1) == 0).all()
    assert (truth(cell=0).at(3, 1) == 0).all()
    assert (truth(cell=1).at(3, 1) == UNKNOWN).all()
    assert (truth(job_folders.mask_region("cell", block(0, 5, 0, 10)), cell=1).at(10, 10)[5:] == 0).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_picture_and_map_go_the_same_way(height: int, width: int, seed: int) -> None:
    """A picture whose colour is its map: after any change the two still agree."""
    random = numpy.random.default_rng(seed)
    drawn = numpy.zeros((height, width), numpy.int16)
    drawn[: max(1, height // 2)] = 1
    picture = torch.from_numpy(numpy.repeat((drawn * 200).astype(numpy.uint8)[..., None], 3, 2))
    size = pixels.size_of(random.choice([16, 24, 33], int(random.integers(1, 3))).tolist())
    flip = Flip(0.5, str(random.choice(["horizontal", "vertical"])))
    image, part = pixels.train_pixels(picture, drawn, size, Augment(largest_share=0.75), flip, (0.0, 0.0, 0.0), random)
    assert image.shape == (3, *part.shape) == (3, size.height, size.width)
    known = part != UNKNOWN
    if not known.any():
        return
    wrong = (image[0].numpy() > 100) != (part == 1)
    rows = numpy.flatnonzero((wrong & known).any(1))
    assert len(rows) <= 2 + 2 * size.height // min(height, size.height)  # only where the two colours meet


def test_without_changes_a_crop_is_the_picture_itself() -> None:
    picture = torch.randint(0, 255, (32, 32, 3), dtype=torch.uint8)
    drawn = numpy.arange(32 * 32, dtype=numpy.int16).reshape(32, 32)
    still = Augment(scale=(1.0, 1.0))
    random = numpy.random.default_rng(1)
    image, part = pixels.train_pixels(picture, drawn, pixels.size_of([32]), still, NO_FLIP, (0, 0, 0), random)
    assert torch.equal(image, picture.permute(2, 0, 1)) and (part == drawn).all()


def test_one_value_is_the_shorter_side_and_two_are_width_and_height() -> None:
    assert pixels.size_of([64]).of(100, 200) == (64, 128)
    assert pixels.size_of(64).of(200, 100) == (128, 64)
    assert pixels.size_of([96, 64]).of(1000, 30) == (64, 96)
    assert pixels.size_of([32]).of(1, 100_000) == (32, 128)  # squeezed
    assert pixels.size_of([32]).of(1, 1) == (32, 32)


def test_the_figures_are_those_of_a_count_by_hand() -> None:
    random = numpy.random.default_rng(3)
    places = [(random.integers(-1, 3, (9, 7)), random.integers(0, 3, (9, 7))) for _ in range(5)]
    confusion = Confusion(3)
    for wanted, found in places:
        confusion.add_maps(wanted.astype(numpy.int16), found.astype(numpy.int16))
    whole, by_concept = confusion.result(CONCEPTS)
    wanted, found = (numpy.concatenate([pair[side].ravel() for pair in places]) for side in (0, 1))
    wanted, found = wanted[wanted >= 0], found[wanted >= 0]
    ious = [((wanted == p) & (found == p)).sum() / ((wanted == p) | (found == p)).sum() for p in range(3)]
    assert whole["mIoU"] == pytest.approx(sum(ious) / 3)
    assert whole["accuracy"] == pytest.approx((wanted == found).mean())
    assert by_concept["nucleus"]["IoU"] == pytest.approx(ious[2])
    assert by_concept["nucleus"]["dice"] == pytest.approx(2 * ious[2] / (1 + ious[2]))


def test_a_concept_that_is_neither_there_nor_found_is_left_out_of_the_mean() -> None:
    confusion = Confusion(3)
    confusion.add_maps(numpy.array([[0, 1]], numpy.int16), numpy.array([[0, 1]], numpy.int16))
    whole, by_concept = confusion.result(CONCEPTS)
    assert whole["mIoU"] == 1.0 and by_concept["nucleus"]["IoU"] is None
    assert Confusion(2).result(["cell"])[0]["mIoU"] is None


def test_losses_of_parts_are_that_of_the_whole_and_unknown_pixels_pull_at_nothing() -> None:
    logits = torch.randn(4, 3, 5, 6, requires_grad=True)
    targets = torch.randint(-1, 3, (4, 10, 12), dtype=torch.int16)
    targets[0] = UNKNOWN
    settings = Loss(dice=0.5)
    whole = losses.loss([logits, logits], targets, settings)
    parts = [losses.loss([logits[at : at + 2]] * 2, targets[at : at + 2], settings) for at in (0, 2)]
    assert whole.item() == pytest.approx(sum(part.item() for part in parts) / 2, rel=1e-5)
    whole.backward()
    assert logits.grad is not None and (logits.grad[0] == 0).all() and (logits.grad[1] != 0).any()


def test_cross_entropy_and_dice_are_those_of_their_definitions() -> None:
    logits, targets = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    assert float(losses.cross_entropy(logits, targets)) == pytest.approx(
        float(functional.cross_entropy(logits, targets))
    )
    perfect = functional.one_hot(targets, 3).movedim(-1, 1).float() * 100
    assert float(losses.dice(perfect, targets)) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.dice(perfect.roll(1, 1), targets)) == pytest.approx(1.0, abs=1e-5)


def test_the_truth_of_a_large_picture_is_compared_at_a_bounded_size() -> None:
    large = Truth(Entry("i", "i", 6000, 4000), CONCEPTS)
    confusion = Confusion(3)
    confusion.add(large, numpy.zeros((8, 12), numpy.int16))
    assert confusion.counts.sum() <= 4_010_000 and confusion.result(CONCEPTS)[0]["mIoU"] == 1.0
