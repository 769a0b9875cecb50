"""One-stage heads: at every place and for every anchor, which concept is there and where exactly.

RetinaNet (arXiv 1708.02002), YOLOF (arXiv 2103.09460) and SSD (arXiv 1512.02325) differ in their towers, in which
anchors answer for a box, and in the loss. Keys of RetinaNet's and SSD's heads are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.training.detection import anchors, assigners, boxes, ignored, losses, towers
from deepft_lab.training.detection.pictures import Target
from deepft_lab.training.recipes.detector import Dense, Found

CANDIDATES = 1000  # a level and image, before the overlapping ones are taken away
FARTHEST = 32.0  # pixels that YOLOF's boxes may leave their anchor's middle


class DenseHead(nn.Module):
    """A tower for concepts and one for boxes over each map. Its buffer `shapes` keeps the anchors."""

    shapes: Tensor
    weights: Tensor  # of concepts in the loss [concepts]
    new = ("head.classification_head.cls_logits.", "head.classification_head.module_list.")
    loose = ("head.regression_head.",)  # left out of a published file where their shapes differ

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], concepts: int, settings: Dense, found: Found,
        shapes: Tensor,
    ) -> None:  # fmt: skip
        super().__init__()
        self.strides, self.settings, self.found, self.concepts = list(strides), settings, found, concepts
        self.register_buffer("shapes", shapes)
        self.register_buffer("weights", torch.ones(concepts), persistent=False)
        self.softmax = settings.loss == "softmax_hard_examples"
        outputs = concepts + 1 if self.softmax else concepts
        sides = 4 * concepts if settings.per_class_boxes else 4
        each = [int((own > 0).all(1).sum()) for own in shapes]
        self.classification_head, self.regression_head = towers.build(
            settings.towers, channels, each, outputs, sides, prior=None if self.softmax else 0.01
        )

    # -- training --

    def loss(self, maps: list[Tensor], sizes: Tensor, targets: Sequence[Target]) -> Tensor:
        """Concepts' and boxes' losses over the number of anchors that answer for a box."""
        levels, moves = self._look(maps)
        every = torch.cat(self._anchors(maps))
        logits, deltas = torch.cat(levels, 1).float(), torch.cat(moves, 1).float()
        labels, nearest, unknown = [], [], []
        for image, (size, target) in enumerate(zip(sizes, targets, strict=True)):
            own, place = self._assign(every, deltas[image], target)
            open_ = ignored.unknown(every, size, target, self.concepts)
            own[(own == assigners.NONE) & (_beside(every, size) | open_.all(1))] = assigners.UNKNOWN
            labels.append(own)
            nearest.append(place)
            unknown.append(open_)
        assigned = torch.stack(labels)
        positive = assigned >= 0
        count = positive.sum().clamp(min=1)
        total = self._concept_loss(logits, assigned, torch.stack(unknown)) / count
        images, places = positive.nonzero(as_tuple=True)
        if not len(images):
            return total + deltas.sum() * 0  # every parameter has a gradient, which ranks wait for
        wanted = torch.cat(
            [target["boxes"][place[own >= 0]] for target, place, own in zip(targets, nearest, labels, strict=True)]
        )
        found, start = deltas[images, places], every[places]
        if self.settings.per_class_boxes:
            found = found[torch.arange(len(found), device=found.device), assigned[positive]]
        else:
            found = found[:, 0]
        return total + self.settings.box_weight * self._box_loss(found, start, wanted) / count

    def _assign(self, every: Tensor, deltas: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        if self.settings.assigner == "uniform":
            placed = self._decode(deltas.detach(), every)[:, 0]
            return assigners.uniform(every, placed, target)
        low, high = self.settings.negative_iou, self.settings.positive_iou
        return assigners.overlap(every, target, low, high)

    def _concept_loss(self, logits: Tensor, labels: Tensor, unknown: Tensor) -> Tensor:
        """`unknown` [n, anchors, concepts]: what is open at an anchor counts neither for nor against it."""
        known = labels != assigners.UNKNOWN
        if self.softmax:
            labels, weights = (labels + 1).clamp(min=0), functional.pad(self.weights, (1, 0), value=1.0)
            return losses.softmax_hard_examples(ignored.masked(logits, labels, unknown), labels, known, weights)
        wanted = functional.one_hot(labels.clamp(min=0), self.concepts).float() * (labels >= 0)[..., None]
        weights = torch.where(wanted > 0, self.weights, (~unknown).float())
        if self.settings.loss == "focal":
            return (losses.focal(logits, wanted) * weights * known[..., None]).sum()
        return losses.hard_examples(logits, wanted, known, weights)

    def _box_loss(self, found: Tensor, start: Tensor, wanted: Tensor) -> Tensor:
        if self.settings.boxes == "giou":
            return boxes.giou_loss(self._decode(found[:, None], start)[:, 0], wanted).sum()
        aim = boxes.encode(wanted, start, self.settings.coder)
        if self.settings.boxes == "l1":
            return functional.l1_loss(found, aim, reduction="sum")
        return functional.smooth_l1_loss(found, aim, reduction="sum")

    # -- prediction --

    def find(self, maps: list[Tensor], sizes: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes in pixels, scores and labels of each image."""
        logits, deltas = self._look(maps)
        levels = self._anchors(maps)
        found = []
        for image, (height, width) in enumerate(sizes.tolist()):
            some, scores, labels = [], [], []
            for own, moves, start in zip(logits, deltas, levels, strict=True):
                values = own[image].float().softmax(1)[:, 1:] if self.softmax else own[image].float().sigmoid()
                flat = values.flatten()
                best, place = flat.topk(min(CANDIDATES, len(flat)))
                place = place[best > self.found.least_score]
                anchor, concept = place // self.concepts, place % self.concepts
                placed = self._decode(moves[image, anchor].float(), start[anchor])
                turn = concept if self.settings.per_class_boxes else torch.zeros_like(concept)
                some.append(boxes.clip(placed[torch.arange(len(place), device=place.device), turn], height, width))
                scores.append(flat[place])
                labels.append(concept)
            found.append(
                boxes.suppress(
                    torch.cat(some), torch.cat(scores), torch.cat(labels),
                    least_score=self.found.least_score, most_iou=self.found.most_iou, keep=self.found.most,
                )
            )  # fmt: skip
        return found

    # -- both --

    def _look(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each level's logits [n, anchors, outputs] and deltas [n, anchors, 1 or concepts, 4]."""
        logits = self.classification_head(maps)
        deltas, objectness = self.regression_head(maps)
        if objectness is not None:  # YOLOF's: a concept needs an object, and no anchor is told which it is
            logits = [losses.with_object(own, one) for own, one in zip(logits, objectness, strict=True)]
        return logits, [own.unflatten(2, (-1, 4)) for own in deltas]

    def _anchors(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sizes = [(state.shape[-2], state.shape[-1]) for state in maps]
        return anchors.grid(self.shapes, sizes, self.strides, self.settings.anchors.offset)

    def _decode(self, deltas: Tensor, start: Tensor) -> Tensor:
        """[n, k, 4] of deltas and [n, 4] of anchors to [n, k, 4] of boxes."""
        start = start[:, None]
        if self.settings.assigner == "uniform":
            size = start[..., 2:] - start[..., :2]
            near = (deltas[..., :2] * size).clamp(-FARTHEST, FARTHEST) / size
            deltas = torch.cat((near, deltas[..., 2:]), -1)
        return boxes.decode(deltas, start, self.settings.coder)


def _beside(every: Tensor, size: Tensor) -> Tensor:
    """Anchors on the canvas beside the picture, of which nothing is known."""
    middle = (every[:, :2] + every[:, 2:]) / 2
    return (middle[:, 0] > size[1]) | (middle[:, 1] > size[0])
