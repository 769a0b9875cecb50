"""What is not known of a concept teaches a detector nothing of it, and everything of the others: head by head."""

from __future__ import annotations

import pytest
import torch
from small_detectors import CONCEPTS, RUNS, small, target
from torch import Tensor, nn

from deepft_lab.training import inheriting
from deepft_lab.training.detection import assigners, ignored, pictures, sampling
from deepft_lab.training.recipes.detector import TwoStage
from deepft_lab.training.tasks.detect import Detect

HEADS = {
    **{template: (template, {}) for template in RUNS if template != "detector-retinanet"},
    "focal": ("detector-retinanet", {"use_focal_loss": True}),
    "hard examples": ("detector-retinanet", {"use_focal_loss": False}),
}

SIZE = torch.tensor([100, 100])


def lost(task: Detect, truth: pictures.Target) -> tuple[Tensor, nn.Module]:
    """The loss of two pictures of one truth, and the network."""
    torch.manual_seed(1)
    model = task.build().train()
    side = min(task.values["image_size"])
    images = torch.randn(2, 3, side, side).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(2)
    return model(images, torch.tensor([[side, side]] * 2), [truth, truth]), model


def taught(task: Detect, truth: pictures.Target) -> list[float]:
    """For each concept how much its rows of the head would move."""
    loss, model = lost(task, truth)
    loss.backward()
    sizes = inheriting._head_sizes(task, model.state_dict())
    total = [0.0] * len(CONCEPTS)
    for key, parameter in model.named_parameters():
        if key not in sizes or key.startswith("head.told."):  # a copy may be told any concept
            continue
        assert parameter.grad is not None
        rows = task.head_rows(key, len(parameter), len(CONCEPTS), sizes[key])
        for place, own in enumerate(rows):
            total[place] += float(parameter.grad[torch.from_numpy(own)].abs().sum())
    return total


@pytest.mark.parametrize("head", HEADS)
def test_a_concept_that_is_somewhere_undrawn_is_not_learned_there_and_the_others_are(head: str) -> None:
    template, values = HEADS[head]
    whole = target((10, 10, 42, 40, 0), ignored=((0, 0, 96, 96, 1),))
    clear = taught(small(template, **values), target((10, 10, 42, 40, 0)))
    unclear = taught(small(template, **values), whole)
    assert min(clear) > 0
    assert unclear[1] == 0 and unclear[0] > 0 and unclear[2] > 0


@pytest.mark.parametrize("head", HEADS)
def test_a_region_ignored_for_every_concept_makes_no_negatives(head: str) -> None:
    template, values = HEADS[head]
    task = small(template, **values)
    assert lost(task, target(ignored=((0, 0, 96, 96, ignored.EVERY),)))[0] == 0
    assert lost(task, target(ignored=((0, 0, 2, 2, ignored.EVERY),)))[0] > 0


def test_what_is_open_at_a_place_goes_by_concept_and_by_how_much_of_it_lies_inside() -> None:
    some = torch.tensor([[0.0, 0, 10, 10], [50, 0, 60, 10], [8, 0, 18, 10]])
    truth = target(ignored=((0, 0, 20, 20, 1), (50, 0, 70, 20, ignored.EVERY), (0, 0, 9, 20, 2)))
    assert ignored.unknown(some, SIZE, truth, 3).tolist() == [
        [False, True, True], [True, True, True], [False, True, False],
    ]  # fmt: skip
    assert not ignored.unknown(some, SIZE, target(), 3).any()
    large = torch.tensor([[-500.0, -500, 600, 600]])  # of which the picture is a small part
    assert ignored.unknown(large, SIZE, target(ignored=((0, 0, 100, 100, 1),)), 3).tolist() == [[False, True, False]]


def test_a_softmax_leaves_an_open_concept_out_unless_it_is_the_label() -> None:
    logits = torch.tensor([[1.0, 2, 3], [1, 2, 3], [1, 2, 3]], requires_grad=True)
    open_ = torch.tensor([[False, True], [False, True], [False, False]])
    labels = torch.tensor([0, 2, 0])
    without = torch.nn.functional.cross_entropy(ignored.masked(logits, labels, open_), labels, reduction="none")
    plain = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert without[0] < plain[0] and without[1] == plain[1] and without[2] == plain[2]
    without[0].backward()
    assert logits.grad is not None and logits.grad[0, 2] == 0 and logits.grad[0, 1] > 0


def test_regions_where_one_concept_is_open_stay_examples_for_the_others_and_objects_stay_unclear() -> None:
    found = torch.tensor([[40.0, 40, 60, 60], [0, 0, 20, 20]])
    truth = target(ignored=((35, 35, 65, 65, 1),))
    regions, labels, _, unknown = sampling.sample_regions(found, SIZE, truth, TwoStage(), 3)
    assert len(regions) == 2 and labels.tolist() == [0, 0]
    at = int((regions[:, 0] == 40).nonzero())
    assert unknown[at].tolist() == [False, True, False] and not unknown[1 - at].any()
    assert sampling.assign_anchors(found, SIZE, truth, (0.3, 0.7))[0].tolist() == [-1, 0]


def test_two_boxes_with_one_best_anchor_have_one_each_and_the_closer_has_the_best() -> None:
    every = torch.tensor([[0.0, 0, 40, 40], [60, 60, 100, 100], [0, 10, 40, 50]])
    for order in (1, -1):
        rows = [(4, 0, 44, 40, 0), (0, 0, 36, 36, 1)][::order]
        truth = target(*rows)
        labels, nearest = assigners.overlap(every, truth, 0.4, 0.95)
        assert truth["labels"][nearest[0]] == 0 and labels[0] == 0, "0 and the first box share 1440 of 1760"
        assert labels[2] == 1 and labels[1] == assigners.NONE
    twice = target((0, 0, 40, 40, 0), (0, 0, 40, 40, 1))
    assert assigners.overlap(every, twice, 0.4, 0.95)[0].tolist() == [0, assigners.NONE, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_assignment_is_the_same_on_a_gpu() -> None:
    torch.manual_seed(0)
    corner = torch.randint(0, 200, (400, 2)).float()
    every = torch.cat((corner, corner + torch.randint(5, 60, (400, 2))), 1)
    truth = target(*[(*box, n % 3) for n, box in enumerate(every[::5].repeat(2, 1).tolist())])
    there = {name: tensor.cuda() for name, tensor in truth.items()}
    for one, other in zip(
        assigners.overlap(every, truth, 0.4, 0.5), assigners.overlap(every.cuda(), there, 0.4, 0.5), strict=True
    ):
        assert torch.equal(one, other.cpu())


@pytest.mark.parametrize("head", HEADS)
def test_class_weights_let_a_rare_concept_count_more(head: str) -> None:
    template, values = HEADS[head]
    task = small(template, **values)
    truth = target((10, 10, 42, 40, 0), (30, 30, 60, 60, 0), (5, 30, 30, 60, 0), (2, 2, 20, 30, 1))
    said = task.balance([truth])
    if template == "detector-faster-rcnn-light":
        assert "as many examples" in said and task._weights is None
        return
    assert said == "" and task._weights is not None
    assert task._weights.tolist() == pytest.approx([4 / 6, 2.0, 1.0])
    model = task.build()
    assert torch.equal(model.head.weights, task._weights) and "head.weights" not in model.state_dict()
    plain, weighted = (taught(some, target((10, 10, 42, 40, 1))) for some in (small(template, **values), task))
    assert weighted[1] > plain[1] * 1.05
