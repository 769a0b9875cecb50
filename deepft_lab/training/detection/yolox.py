"""YOLOX's head (arXiv 2107.08430): no anchors, concepts and boxes apart, SimOTA chooses who answers for a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.training.detection import anchors, boxes, ignored
from deepft_lab.training.detection.darknet import Convolution
from deepft_lab.training.detection.pictures import Target
from deepft_lab.training.recipes.detector import Found, Yolox

RADIUS = 2.5  # strides around a box's middle in which a place may answer for it
MOST = 10  # predictions whose overlap with a box says how many answer for it
BOX_WEIGHT, IOU_COST = 5.0, 3.0  # the paper's code: weight of the box's loss, and of overlap in the assignment


class YoloxHead(nn.Module):
    """Two towers a level: concepts, and boxes with objectness."""

    loose = ("head.",)
    weights: Tensor  # of concepts in the loss [concepts]

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], concepts: int, settings: Yolox, found: Found
    ) -> None:
        super().__init__()
        width, self.strides, self.found, self.concepts = settings.channels, list(strides), found, concepts
        self.register_buffer("weights", torch.ones(concepts), persistent=False)
        self.stems = nn.ModuleList(Convolution(count, width, 1) for count in channels)
        self.concept_towers = nn.ModuleList(_tower(width) for _ in channels)
        self.box_towers = nn.ModuleList(_tower(width) for _ in channels)
        self.concept_last = nn.ModuleList(nn.Conv2d(width, concepts, 1) for _ in channels)
        self.box_last = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in channels)
        self.object_last = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in channels)
        for layer in (*self.concept_last, *self.object_last):
            nn.init.constant_(layer.bias, -math.log(99.0))  # type: ignore[arg-type]

    @property
    def new(self) -> tuple[str, ...]:
        return ("head.concept_last.",)

    # -- training --

    def loss(self, maps: list[Tensor], sizes: Tensor, targets: Sequence[Target]) -> Tensor:
        """IoU loss, and cross-entropy of objectness and concepts, over the number of places that answer for a box."""
        placed, objects, logits, middles, strides = self._look(maps)
        count, total = 0, placed.sum() * 0  # every parameter has a gradient, which ranks wait for
        total = total + logits.sum() * 0
        cells = torch.cat((middles - strides[:, None] / 2, middles + strides[:, None] / 2), 1)
        for image, (size, target) in enumerate(zip(sizes, targets, strict=True)):
            with torch.no_grad():
                chosen, nearest, overlap = _assign(
                    placed[image], objects[image], logits[image], middles, strides, target, self.concepts
                )
                known = (middles[:, 0] <= size[1]) & (middles[:, 1] <= size[0])
                unknown = ignored.unknown(torch.cat((placed[image], cells)), size, target, self.concepts)
                unknown = unknown[: len(cells)] | unknown[len(cells) :]  # of what is found there, or of the place
                known &= ~unknown.any(1) | chosen  # an object of whatever concept may be there
            there = chosen.float()
            lost = functional.binary_cross_entropy_with_logits(objects[image], there, reduction="none")
            total = total + (lost * known).sum()
            if chosen.any():
                count += int(chosen.sum())
                wanted = target["boxes"][nearest]
                total = total + BOX_WEIGHT * _iou_loss(placed[image][chosen], wanted).sum()
                own = functional.one_hot(target["labels"][nearest], self.concepts)
                weights = torch.where(own > 0, self.weights, (~unknown[chosen]).float())
                total = total + functional.binary_cross_entropy_with_logits(
                    logits[image][chosen], own * overlap[:, None], weights, reduction="sum"
                )
        return total / max(1, count)

    # -- prediction --

    def find(self, maps: list[Tensor], sizes: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes in pixels, scores and labels of each image."""
        placed, objects, logits, _, _ = self._look(maps)
        values = logits.sigmoid() * objects.sigmoid()[..., None]
        found = []
        for own, scores, (height, width) in zip(placed, values, sizes.tolist(), strict=True):
            flat = scores.flatten()
            best, place = flat.topk(min(1000, len(flat)))
            place = place[best > self.found.least_score]
            found.append(
                boxes.suppress(
                    boxes.clip(own[place // self.concepts], height, width), flat[place], place % self.concepts,
                    least_score=self.found.least_score, most_iou=self.found.most_iou, keep=self.found.most,
                )
            )  # fmt: skip
        return found

    # -- both --

    def _look(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Boxes [n, places, 4], objectness [n, places], logits [n, places, concepts]; middles and strides of places."""
        placed, objects, logits, middles, strides = [], [], [], [], []
        for level, (state, stride) in enumerate(zip(maps, self.strides, strict=True)):
            state = self.stems[level](state)
            near, far = self.concept_towers[level](state), self.box_towers[level](state)
            place = anchors.centres(state.shape[-2], state.shape[-1], stride, state.device, 0.0)
            sides = _rows(self.box_last[level](far)).float()
            middle = place + sides[..., :2] * stride
            half = sides[..., 2:].clamp(max=boxes.LARGEST_GROWTH * 2).exp() * stride / 2
            placed.append(torch.cat((middle - half, middle + half), -1))
            objects.append(_rows(self.object_last[level](far)).float()[..., 0])
            logits.append(_rows(self.concept_last[level](near)).float())
            middles.append(place + stride / 2)
            strides.append(torch.full((len(place),), float(stride), device=state.device))
        return torch.cat(placed, 1), torch.cat(objects, 1), torch.cat(logits, 1), torch.cat(middles), torch.cat(strides)


def _assign(
    placed: Tensor, objects: Tensor, logits: Tensor, middles: Tensor, strides: Tensor, target: Target, concepts: int
) -> tuple[Tensor, Tensor, Tensor]:
    """SimOTA: which places answer [places], for which box and how well they overlap it [chosen].

    Each box takes its cheapest candidates, as many as the best overlaps add up to; a place serves its cheapest box.
    """
    wanted, labels = target["boxes"], target["labels"]
    nobody = torch.zeros(len(placed), dtype=torch.bool, device=placed.device)
    if not len(wanted):
        return nobody, labels, placed.new_zeros(0)
    x, y = middles[:, 0, None], middles[:, 1, None]
    inside = (x > wanted[:, 0]) & (x < wanted[:, 2]) & (y > wanted[:, 1]) & (y < wanted[:, 3])
    centre = (wanted[:, :2] + wanted[:, 2:]) / 2
    reach = RADIUS * strides[:, None]
    central = ((x - centre[:, 0]).abs() < reach) & ((y - centre[:, 1]).abs() < reach)
    place = (inside | central).any(1).nonzero()[:, 0]
    if not len(place):
        return nobody, labels[:0], placed.new_zeros(0)
    overlap = boxes.iou(placed[place], wanted)
    value = (logits[place].sigmoid() * objects[place, None].sigmoid()).sqrt().clamp(1e-7, 1 - 1e-7)
    every = -(1 - value).log().sum(1, keepdim=True)
    right = value[:, labels]
    concept_cost = every + (1 - right).log() - right.log()
    both = (inside & central)[place]
    cost = concept_cost - IOU_COST * (overlap + 1e-8).log() + 1e5 * ~both
    chosen = torch.zeros_like(overlap, dtype=torch.bool)
    numbers = overlap.topk(min(MOST, len(place)), 0).values.sum(0).int().clamp(min=1)
    for box, number in enumerate(numbers.tolist()):
        chosen[cost[:, box].topk(min(number, len(place)), largest=False).indices, box] = True
    crowded = chosen.sum(1) > 1
    if crowded.any():
        cheapest = cost[crowded].argmin(1)
        chosen[crowded] = functional.one_hot(cheapest, len(wanted)).bool()
    serving = chosen.any(1)
    nearest = chosen[serving].int().argmax(1)
    nobody[place[serving]] = True
    return nobody, nearest, overlap[serving].gather(1, nearest[:, None])[:, 0]


def _iou_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """1 - IoU², box by box."""
    return 1 - boxes.iou_of_pairs(found, wanted) ** 2


def _rows(state: Tensor) -> Tensor:
    return state.permute(0, 2, 3, 1).flatten(1, 2)


def _tower(width: int) -> nn.Sequential:
    return nn.Sequential(Convolution(width, width, 3), Convolution(width, width, 3))
