"""RT-DETR's decoder (arXiv 2304.08069): the likeliest places become queries, which layers refine into boxes.

Each box belongs to one query (Hungarian matching, arXiv 2005.12872), so nothing has to be suppressed. Training takes
noised copies of the true boxes along (denoising.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.training.detection import anchors, boxes, denoising, ignored
from deepft_lab.training.detection.deformable import DecoderLayer, Layers
from deepft_lab.training.detection.pictures import Target
from deepft_lab.training.recipes.detector import Found, Queries

CONCEPT_COST, SIDES_COST, IOU_COST = 2.0, 5.0, 2.0  # of a match; the paper's
SIDES_WEIGHT, IOU_WEIGHT = 5.0, 2.0  # in the loss
Seen = list[tuple[Tensor, Tensor]]


class QueryHead(nn.Module):
    """Boxes inside are centre and size, as fractions of the canvas."""

    loose = ("head.",)
    new = ("head.first_concepts.", "head.concepts.", "head.told.")
    weights: Tensor  # of concepts in the loss [concepts]

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], concepts: int, settings: Queries, found: Found
    ) -> None:
        super().__init__()
        width = channels[0]
        self.strides, self.settings, self.found, self.concept_count = list(strides), settings, found, concepts
        self.register_buffer("weights", torch.ones(concepts), persistent=False)
        self.told = nn.Embedding(concepts, width) if settings.denoising else None  # what a copy of a box begins as
        self.enter = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.first_concepts = nn.Linear(width, concepts)
        self.first_boxes = Layers(width, 4)
        self.place = Layers(4, width, 2 * width)
        self.layers = nn.ModuleList(DecoderLayer(width, len(channels)) for _ in range(settings.layers))
        self.concepts = nn.ModuleList(nn.Linear(width, concepts) for _ in range(settings.layers))
        self.boxes = nn.ModuleList(Layers(width, 4) for _ in range(settings.layers))
        for layer in (self.first_concepts, *self.concepts):
            nn.init.constant_(layer.bias, -math.log(99.0))  # type: ignore[arg-type]

    # -- training --

    def loss(self, maps: list[Tensor], sizes: Tensor, targets: Sequence[Target]) -> Tensor:
        """The losses of the chosen places and of each layer, each matched by itself, over the number of boxes.

        Those of the copies are added; they belong to their boxes without matching.
        """
        canvas = self._canvas(maps)
        count = max(1, sum(len(target["boxes"]) for target in targets))
        copies, total = None, maps[0].sum() * 0
        if self.told is not None:
            copies = denoising.copies(targets, canvas, self.concept_count, self.settings.denoising)
            total = total + self.told.weight.sum() * 0  # every parameter has a gradient, which ranks wait for
        ordinary, copied = self._look(maps, copies)
        for logits, found in ordinary:
            for image, (size, target) in enumerate(zip(sizes, targets, strict=True)):
                total = total + self._loss(logits[image].float(), found[image].float(), size, target, canvas)
        for logits, found in copied:
            assert copies is not None
            for image, (size, target) in enumerate(zip(sizes, targets, strict=True)):
                pair, there = copies.pairs[image], copies.present[image]
                lost = self._loss(logits[image].float(), found[image].float(), size, target, canvas, pair, there)
                total = total + lost / copies.groups
        return total / count

    def _loss(
        self, logits: Tensor, found: Tensor, size: Tensor, target: Target, canvas: Tensor,
        pair: tuple[Tensor, Tensor] | None = None, present: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Varifocal loss (arXiv 2008.13367) of all queries, and L1 and GIoU of those that a box belongs to; sums.

        `pair`: queries and their boxes, where they are known; `present`: which of the queries are any.
        """
        corners = boxes.from_centre(found * canvas)
        query, box = pair or _match(logits.detach(), found.detach(), corners.detach(), target, canvas)
        labels, true = target["labels"][box], target["boxes"][box]
        there, wanted = torch.zeros_like(logits), torch.zeros_like(logits)
        there[query, labels] = 1
        wanted[query, labels] = boxes.iou_of_pairs(corners[query].detach(), true)
        known = (~ignored.unknown(corners.detach(), size, target, self.concept_count)).float()
        if present is not None:
            known = known * present[:, None]
        weight = torch.where(there > 0, wanted * self.weights, 0.75 * logits.detach().sigmoid() ** 2 * known)
        total = functional.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="sum")
        total = total + SIDES_WEIGHT * (found[query] - boxes.to_centre(true) / canvas).abs().sum()
        return total + IOU_WEIGHT * boxes.giou_loss(corners[query], true).sum()

    # -- prediction --

    def find(self, maps: list[Tensor], sizes: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes in pixels, scores and labels of each image."""
        logits, placed = self._look(maps)[0][-1]
        canvas = self._canvas(maps)
        found = []
        for own, some, (height, width) in zip(logits.float().sigmoid(), placed.float(), sizes.tolist(), strict=True):
            scores, place = own.flatten().topk(min(self.found.most, own.numel()))
            corners = boxes.clip(boxes.from_centre(some * canvas), height, width)[place // self.concept_count]
            good = (scores > self.found.least_score) & ((corners[:, 2:] - corners[:, :2]) > 0.01).all(1)
            found.append((corners[good], scores[good], (place % self.concept_count)[good]))
        return found

    # -- both --

    def _look(self, maps: Sequence[Tensor], copies: denoising.Copies | None = None) -> tuple[Seen, Seen]:
        """Logits [n, queries, concepts] and boxes of the chosen places and of each layer's queries; and of copies."""
        memory = torch.cat([state.flatten(2).transpose(1, 2) for state in maps], 1)
        start = self._starts(maps)
        entered = self.enter(memory)
        logits = self.first_concepts(entered)
        count = min(self.settings.queries, logits.shape[1])
        chosen = logits.detach().amax(2).topk(count, 1).indices[..., None]
        state = entered.gather(1, chosen.expand(-1, -1, entered.shape[2]))
        reference = (self.first_boxes(state) + start[chosen[..., 0]]).sigmoid()
        found: Seen = [(logits.gather(1, chosen.expand(-1, -1, logits.shape[2])), reference)]
        copied: Seen = []
        state, before = state.detach(), reference.detach()
        extra, unseen, absent = 0, None, None
        if copies is not None and self.told is not None:
            extra = copies.labels.shape[1]
            state = torch.cat((self.told(copies.labels).to(state.dtype), state), 1)
            before = torch.cat((copies.boxes.to(before.dtype), before), 1)
            unseen = denoising.unseen(copies.groups, extra, count, state.device)
            absent = functional.pad(~copies.present, (0, count))
        shapes = [(one.shape[-2], one.shape[-1]) for one in maps]
        for layer, concepts, moves in zip(self.layers, self.concepts, self.boxes, strict=True):
            reference = before.detach()
            state = layer(state, self.place(reference), reference, memory, shapes, unseen, absent)
            move, logits = moves(state), concepts(state)
            # A layer's loss reaches the layer before it too ("look forward twice", arXiv 2203.03605, section 3.5).
            placed = (move + _logit(before)).sigmoid()
            found.append((logits[:, extra:], placed[:, extra:]))
            if extra:
                copied.append((logits[:, :extra], placed[:, :extra]))
            before = (move + _logit(reference)).sigmoid()
        return found, copied

    def _starts(self, maps: Sequence[Tensor]) -> Tensor:
        """[places, 4]: where each place's box starts from, before the sigmoid: a twentieth wide, doubled each level."""
        canvas = self._canvas(maps)
        found = []
        for level, (state, stride) in enumerate(zip(maps, self.strides, strict=True)):
            middle = anchors.centres(state.shape[-2], state.shape[-1], stride, state.device) / canvas[:2]
            found.append(torch.cat((middle, torch.full_like(middle, 0.05 * 2**level)), 1))
        return _logit(torch.cat(found))

    def _canvas(self, maps: Sequence[Tensor]) -> Tensor:
        height, width = (side * self.strides[0] for side in maps[0].shape[-2:])
        return torch.tensor([width, height, width, height], dtype=torch.float32, device=maps[0].device)


def _match(logits: Tensor, found: Tensor, corners: Tensor, target: Target, canvas: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and the boxes that belong to them, at the least cost in all."""
    from scipy.optimize import linear_sum_assignment

    wanted = target["boxes"]
    if not len(wanted):
        nothing = torch.zeros(0, dtype=torch.long, device=logits.device)
        return nothing, nothing
    value = logits.sigmoid()[:, target["labels"]].clamp(1e-6, 1 - 1e-6)
    present = -0.25 * (1 - value) ** 2 * value.log()
    absent = -0.75 * value**2 * (1 - value).log()
    cost = CONCEPT_COST * (present - absent)
    cost = cost + SIDES_COST * torch.cdist(found, boxes.to_centre(wanted) / canvas, p=1)
    pairs = len(corners), len(wanted)
    every = corners[:, None].expand(*pairs, 4).reshape(-1, 4), wanted[None].expand(*pairs, 4).reshape(-1, 4)
    cost = cost + IOU_COST * (boxes.giou_loss(*every).view(pairs) - 1)
    query, box = linear_sum_assignment(cost.nan_to_num(1e6).cpu().numpy())
    return torch.as_tensor(query, device=logits.device), torch.as_tensor(box, device=logits.device)


def _logit(value: Tensor) -> Tensor:
    return value.clamp(1e-4, 1 - 1e-4).logit()
