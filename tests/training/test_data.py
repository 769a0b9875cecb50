"""Batches: every example once, ranks apart, the same again with the same seed; pixels as the network sees them."""

from __future__ import annotations

import io
import math
import pickle
import shutil
from typing import Any

import numpy
import pytest
import small_detectors
import torch

from deepft_lab.training import augment, data
from deepft_lab.training.recipes.parts import Augment, RandAugment


def epoch_of(order: data.TrainingOrder, epoch: int = 1) -> list[list[data.Key]]:
    order.epoch = epoch
    return list(order)


@pytest.mark.parametrize(("examples", "batch_size", "ranks"), [(10, 4, 1), (9, 4, 1), (1, 4, 1), (7, 2, 2), (64, 8, 2)])
def test_an_epoch_has_every_example_and_no_batch_of_one(examples: int, batch_size: int, ranks: int) -> None:
    orders = [data.TrainingOrder(examples, batch_size=batch_size, seed=1, rank=r, ranks=ranks) for r in range(ranks)]
    epochs = [epoch_of(order) for order in orders]
    assert {key[0] for batches in epochs for batch in batches for key in batch} == set(range(examples))
    assert {len(batches) for batches in epochs} == {len(orders[0])} == {math.ceil(examples / (batch_size * ranks))}
    for parts in zip(*epochs, strict=True):
        assert len({len(part) for part in parts}) == 1  # ranks in step
        assert 2 <= len(parts[0]) <= batch_size


def test_orders_differ_between_epochs_and_agree_for_a_seed() -> None:
    order = data.TrainingOrder(50, batch_size=8, seed=1)
    assert epoch_of(order, 1) != epoch_of(order, 2)
    assert epoch_of(order, 2) == epoch_of(data.TrainingOrder(50, batch_size=8, seed=1), 2)
    assert epoch_of(order, 2) != epoch_of(data.TrainingOrder(50, batch_size=8, seed=2), 2)


def test_repeated_augmentation_shows_an_image_in_a_row_and_keeps_the_length() -> None:
    keys = [key for batch in epoch_of(data.TrainingOrder(30, batch_size=6, seed=1, repeats=3)) for key in batch]
    assert len(keys) == 30
    assert keys[0][0] == keys[1][0] == keys[2][0] != keys[3][0]
    assert len({key[2] for key in keys}) == 30  # each is changed in its own way


def test_validation_visits_all_once_with_any_number_of_ranks() -> None:
    for ranks in (1, 2, 3):
        keys = [list(data.ValidationOrder(7, batch_size=2, rank=r, ranks=ranks).keys) for r in range(ranks)]
        assert len({len(part) for part in keys}) == 1
        together = [part[turn][0] for turn in range(len(keys[0])) for part in keys]
        assert together[:7] == list(range(7))
    assert list(data.ValidationOrder(0, batch_size=2)) == []


class Grey:
    """Pictures that are all the same."""

    def __getitem__(self, place: int) -> torch.Tensor:
        return torch.full((40, 48, 3), 127, dtype=torch.uint8)


def examples_of_a_detector(count: int) -> data.Examples:
    def target(boxes: int) -> dict[str, torch.Tensor]:
        return {
            "boxes": torch.tensor([[0.1, 0.2, 0.5, 0.9]]).repeat(boxes, 1), "labels": torch.arange(boxes) % 3,
            "ignored": torch.zeros(0, 4), "ignored_labels": torch.zeros(0, dtype=torch.long),
            "size": torch.tensor([40, 48]),
        }  # fmt: skip

    task, targets = small_detectors.small("detector-yolox"), [target(place % 3) for place in range(count)]
    return data.Examples(Grey(), range(count), [], targets, task, 1)  # type: ignore[arg-type]


def test_a_batch_leaves_its_process_in_a_few_tensors_and_arrives_as_it_was() -> None:
    batch = examples_of_a_detector(7).__getitems__([(place, 1, place) for place in range(7)])

    class Counting(pickle.Pickler):
        tensors = 0

        def reducer_override(self, value: object) -> Any:
            self.tensors += isinstance(value, torch.Tensor)
            return NotImplemented

    packed = io.BytesIO()
    pickler = Counting(packed)
    pickler.dump(batch)
    arrived = pickle.loads(packed.getvalue())
    assert pickler.tensors == 7  # pictures, sizes, and five of all targets together
    assert torch.equal(arrived.images, batch.images) and torch.equal(arrived.sizes, batch.sizes)
    assert arrived.images.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(arrived.targets, batch.targets, strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)


def test_processes_that_prepare_batches_give_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = examples_of_a_detector(9)
    order = data.TrainingOrder(9, batch_size=4, seed=1)
    for one, other in zip(
        data.batches(examples, order, workers=0, pin=False), data.batches(examples, order, workers=1, pin=False),
        strict=True,
    ):  # fmt: skip
        assert torch.equal(one.images, other.images)
        assert all(
            torch.equal(mine["boxes"], its["boxes"]) for mine, its in zip(one.targets, other.targets, strict=True)
        )


def test_as_many_processes_prepare_batches_as_shared_memory_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = examples_of_a_detector(2)
    one = examples.__getitems__([(0, 1, 0)]).images.numel()
    for room, expected in ((0, 0), (6 * 32 * one, 1), (20 * 32 * one, 3), (10**12, 8)):
        monkeypatch.setattr(data.shutil, "disk_usage", lambda path, room=room: shutil._ntuple_diskusage(room, 0, room))
        assert data.processes(examples, 8, 32, share=1.0) == expected
    assert data.processes(examples, 0, 32, share=1.0) == 0


def test_the_middle_of_a_picture_is_what_is_tested() -> None:
    stripes = torch.zeros((20, 60, 3), dtype=torch.uint8)
    stripes[:, 20:40] = 255
    middle = augment.test_pixels(stripes, 32, 1.0)
    assert middle.shape == (3, 32, 32)
    assert middle[:, :, 4:-4].min() == 255


def test_the_same_key_gives_the_same_pixels_and_another_gives_others() -> None:
    random_picture = torch.randint(0, 255, (50, 70, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    settings = Augment(randaugment=RandAugment(magnitude=7, deviation=0.5, operations=4))

    def changed(*key: int) -> torch.Tensor:
        flip = augment.Flip(0.5, "horizontal")
        return augment.train_pixels(random_picture, 32, settings, flip, numpy.random.default_rng(key))

    assert torch.equal(changed(1, 2, 3), changed(1, 2, 3))
    assert len({changed(1, 2, position).numpy().tobytes() for position in range(20)}) == 20


def test_a_batch_is_what_its_pictures_are_alone() -> None:
    source = torch.Generator().manual_seed(1)
    sizes = [(50, 70), (33, 20), (1, 1), (8, 300)]
    shown = [torch.randint(0, 255, (*size, 3), dtype=torch.uint8, generator=source) for size in sizes]
    settings = Augment(randaugment=RandAugment(magnitude=7, deviation=0.5, operations=2))
    flip = augment.Flip(0.5, "horizontal")

    def randoms() -> list[numpy.random.Generator]:
        return [numpy.random.default_rng(place) for place in range(len(shown))]

    together = augment.train_images(shown, 32, settings, flip, randoms())
    alone = [
        augment.train_pixels(picture, 32, settings, flip, one) for picture, one in zip(shown, randoms(), strict=True)
    ]
    assert together.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, torch.stack(alone))
    plain = augment.train_images(shown, 32, Augment(), augment.Flip(0.0, "horizontal"), randoms())
    for image, picture, one in zip(plain, shown, randoms(), strict=True):
        top, left, height, width = augment._random_box(*picture.shape[:2], Augment(), one)
        assert torch.equal(image, augment.resize(picture[top : top + height, left : left + width], (32, 32)))


def test_crops_are_spread_as_those_of_torchvision() -> None:
    from torchvision.transforms import v2

    size, scale, ratio, count = (90, 140), (0.2, 1.0), (3 / 4, 4 / 3), 4000
    random = numpy.random.default_rng(1)
    ours = numpy.array(
        [augment._random_box(*size, Augment(crop_scale=scale, crop_ratio=ratio), random) for _ in range(count)]
    )
    torch.manual_seed(1)
    drawn = v2.RandomResizedCrop(32, scale=scale, ratio=ratio)
    picture = torch.empty((3, *size))
    boxes = [drawn.make_params([picture]) for _ in range(count)]
    theirs = numpy.array([[box[name] for name in ("top", "left", "height", "width")] for box in boxes])
    for mine, other in zip(ours.T, theirs.T, strict=True):
        assert mine.mean() == pytest.approx(other.mean(), abs=4 * other.std() / count**0.5 * 2**0.5)
        for share in (0.1, 0.5, 0.9):
            assert numpy.quantile(mine, share) == pytest.approx(numpy.quantile(other, share), abs=3)


def test_normalised_pixels_have_their_mean_and_deviation_by_channel() -> None:
    pixels = torch.randint(0, 255, (3, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mean, deviation = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    wanted = (pixels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]
    for layout in (torch.contiguous_format, torch.channels_last):
        found = augment.normalise(pixels.contiguous(memory_format=layout), mean, deviation)
        assert found.dtype == torch.float32 and found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_flips_follow_their_direction() -> None:
    corner = torch.zeros((32, 32, 3), dtype=torch.uint8)
    corner[:16, :16] = 255
    whole = Augment(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))
    random = numpy.random.default_rng(0)
    mirrored = augment.train_pixels(corner, 32, whole, augment.Flip(1.0, "horizontal"), random)
    assert mirrored[0, 0, 31] == 255 and mirrored[0, 0, 0] == 0
    turned = augment.train_pixels(corner, 32, whole, augment.Flip(1.0, "vertical"), random)
    assert turned[0, 31, 0] == 255 and turned[0, 0, 0] == 0


def test_every_operation_of_randaugment_keeps_size_and_mode() -> None:
    from PIL import Image

    from deepft_lab.training.randaugment import OPERATIONS

    image = Image.fromarray(numpy.random.default_rng(1).integers(0, 255, (24, 30, 3), dtype=numpy.uint8))
    for operation in OPERATIONS:
        for strength, sign in ((0.0, 1.0), (0.7, -1.0), (1.0, 1.0)):
            changed = operation(image, strength, sign)
            assert (changed.size, changed.mode) == (image.size, "RGB")


def test_mixed_images_show_the_concepts_of_both_above_the_threshold() -> None:
    pixels = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 3, 8, 8).contiguous()
    targets = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    settings, seen = Augment(mixup=0.2, cutmix=1.0), set()
    for seed in range(60):
        mixed, wanted = augment.mix(pixels, targets, settings, 0.2, numpy.random.default_rng(seed))
        share = float(mixed[1].mean())  # of the second image in its own mixture
        assert wanted[1, 1] == (1.0 if share > 0.2 else 0.0)
        assert wanted[1, 0] == (1.0 if 1 - share > 0.2 else 0.0)
        seen.add(tuple(wanted[1].tolist()))
    assert len(seen) > 1


def test_without_a_threshold_targets_are_shares_and_unknown_stays_unknown() -> None:
    pixels = torch.zeros((2, 3, 4, 4))
    targets = torch.tensor([[1.0, -1.0], [0.0, 1.0]])
    _, wanted = augment.mix(pixels, targets, Augment(mixup=1.0), None, numpy.random.default_rng(1))
    assert wanted[:, 1].tolist() == [-1.0, -1.0]
    assert float(wanted[:, 0].sum()) == pytest.approx(1.0)
