"""RT-DETR's denoising queries: copies of the true boxes, whom they see, and what they do to the loss."""

from __future__ import annotations

import torch
from small_detectors import small, target

from deepft_lab.training.detection import boxes, denoising

CANVAS = torch.tensor([64.0, 64, 64, 64])
TWO = target((8, 8, 24, 40, 0), (30, 30, 60, 50, 2))
ONE = target((10, 20, 30, 60, 1))


def copies(queries: int = 10, *targets: object) -> denoising.Copies:
    found = denoising.copies(targets or [TWO, ONE, target()], CANVAS, 3, queries)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_copies_with_little_noise_stay_near_their_box_and_those_with_much_leave_it() -> None:
    torch.manual_seed(0)
    found = copies(200)
    assert found.groups == 100 and found.boxes.shape == (3, 400, 4)
    corners = boxes.from_centre(found.boxes) * CANVAS
    for image, truth in enumerate((TWO, ONE)):
        query, box = found.pairs[image]
        true = truth["boxes"][box]
        half = (true[:, 2:] - true[:, :2]).repeat(1, 2) / 2
        assert len(query) == 100 * len(truth["boxes"])
        assert ((corners[image, query] - true).abs() <= half + 1e-3).all()
        far = query + 2  # behind the two of little noise
        some = far[(found.boxes[image, far, 2:] > 0).all(1)]  # whose corners have not crossed
        own = truth["boxes"][some % 2]
        moved, half = (corners[image, some] - own).abs(), (own[:, 2:] - own[:, :2]).repeat(1, 2) / 2
        cut = (corners[image, some] < 0.01) | (corners[image, some] > 63.99)
        assert 40 < len(some) < len(far) and (cut | (moved > 0.999 * half)).all()
        kept = (found.labels[image, query] == truth["labels"][box]).float().mean()
        assert 0.72 < kept < 0.95, "a quarter is told a concept at random, which may be the right one"
    assert found.present.sum(1).tolist() == [400, 200, 0]
    assert found.pairs[2][0].shape == (0,)


def test_many_boxes_have_one_group_and_none_has_no_copies() -> None:
    assert copies(1).groups == 1 and copies(1).boxes.shape[1] == 4
    assert denoising.copies([target(), target()], CANVAS, 3, 100) is None


def test_no_query_sees_a_copy_and_no_copy_another_group() -> None:
    hidden = denoising.unseen(2, 8, 3, torch.device("cpu"))
    assert hidden[8:, :8].all() and not hidden[8:, 8:].any()
    assert not hidden[:8, 8:].any()
    assert not hidden[:4, :4].any() and hidden[:4, 4:8].all() and hidden[4:8, :4].all()


def test_copies_change_nothing_of_what_ordinary_queries_find() -> None:
    torch.manual_seed(0)
    head = small("detector-rt-detr").build().head
    maps = [torch.randn(3, 32, 64 // stride, 64 // stride) for stride in (8, 16, 32)]
    with torch.no_grad():
        plain, none = head._look(maps)
        given = copies()
        ordinary, copied = head._look(maps, given)
        assert none == [] and len(copied) == len(ordinary) - 1
        for one, other in zip(plain, ordinary, strict=True):
            assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))
        # Another group's copies, and what fills an image up, are not seen either.
        labels = given.labels.clone()
        labels[:, 4:] = (labels[:, 4:] + 1) % 3
        labels[1, [1, 3]] = (labels[1, [1, 3]] + 1) % 3
        _, others = head._look(maps, given._replace(labels=labels))
        for (one, _), (other, _) in zip(copied, others, strict=True):
            assert torch.allclose(one[:, :1], other[:, :1], atol=1e-5)
            assert not torch.allclose(one[:, 4:], other[:, 4:], atol=1e-5)


def test_training_learns_from_copies_and_prediction_has_none() -> None:
    task = small("detector-rt-detr")
    torch.manual_seed(0)
    model = task.build().train()
    images, sizes = torch.randn(2, 3, 64, 64), torch.tensor([[64, 64]] * 2)
    loss = model(images, sizes, [TWO, ONE])
    loss.backward()
    assert model.head.told.weight.grad.abs().sum() > 0
    model.head.told.weight.data.fill_(torch.nan)
    with torch.no_grad():
        found = model.eval()(images, sizes)
    assert all(boxes.isfinite().all() for boxes, _, _ in found)
    assert small("detector-rt-detr", {"head": {"denoising": 0}}).build().head.told is None
