"""Faster R-CNN (arXiv 1506.01497): proposals from anchors, then a closer look at each. Keys are torchvision's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import MultiScaleRoIAlign, nms

from deepft_lab.training.detection import anchors, boxes, ignored, sampling
from deepft_lab.training.detection.pictures import Target
from deepft_lab.training.recipes.detector import Found, TwoStage

REGION_CODER = (10.0, 5.0)  # weights of shifts and sizes of a region's regression
_SIDE = 7  # of the grid of features that is read from a region


class Proposals(nn.Module):
    """The head over each map: is there an object at an anchor, and where exactly."""

    def __init__(self, channels: int, hidden: int, each: int, convolutions: int) -> None:
        super().__init__()
        widths = [channels, *[hidden] * convolutions]
        self.conv = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True)) for a, b in pairwise(widths))
        )
        self.cls_logits = nn.Conv2d(hidden, each, 1)
        self.bbox_pred = nn.Conv2d(hidden, each * 4, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each level's logits [n, anchors] and deltas [n, anchors, 4]."""
        logits, deltas = [], []
        for state in map(self.conv, maps):
            logits.append(self.cls_logits(state).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.bbox_pred(state).permute(0, 2, 3, 1).reshape(len(state), -1, 4))
        return logits, deltas


class Predictor(nn.Module):
    """Concepts (0 is the background) and boxes of a region."""

    def __init__(self, features: int, concepts: int, per_class: bool) -> None:
        super().__init__()
        self.cls_score = nn.Linear(features, concepts + 1)
        self.bbox_pred = nn.Linear(features, 4 * (concepts + 1 if per_class else 1))
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        nn.init.zeros_(self.cls_score.bias)
        nn.init.zeros_(self.bbox_pred.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(features), self.bbox_pred(features).unflatten(1, (-1, 4))


class TwoStageHead(nn.Module):
    """Proposals and regions. Its buffer `shapes` keeps the anchors, so that fitted ones travel with the model."""

    shapes: Tensor
    weights: Tensor  # of concepts in the loss [concepts]
    new = ("head.roi_heads.box_predictor.",)  # keys that depend on the concepts
    loose = ("head.rpn.head.cls_logits.", "head.rpn.head.bbox_pred.")  # left out of a file where their shapes differ

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], concepts: int, settings: TwoStage, found: Found,
        shapes: Tensor,
    ) -> None:  # fmt: skip
        super().__init__()
        self.strides, self.settings, self.found, self.concepts = list(strides), settings, found, concepts
        self.register_buffer("shapes", shapes)
        self.register_buffer("weights", torch.ones(concepts), persistent=False)
        hidden = settings.proposal_channels or channels[0]
        self.rpn = nn.ModuleDict(
            {"head": Proposals(channels[0], hidden, shapes.shape[1], settings.proposal_convolutions)}
        )
        read = [str(level) for level in range(min(settings.region_levels, len(strides)))]
        self.read = MultiScaleRoIAlign(read, _SIDE, settings.region_sampling)
        layers, width = _box_head(channels[0], settings)
        self.roi_heads = nn.ModuleDict(
            {"box_head": layers, "box_predictor": Predictor(width, concepts, settings.per_class_boxes)}
        )

    # -- training --

    def loss(self, maps: list[Tensor], sizes: Tensor, targets: Sequence[Target]) -> Tensor:
        """The sum of the four losses, a mean over the batch's images."""
        logits, deltas = self.rpn["head"](maps)
        levels = self._anchors(maps)
        every = torch.cat(levels)
        all_logits, all_deltas = torch.cat(logits, 1).float(), torch.cat(deltas, 1).float()
        assigned = [
            sampling.assign_anchors(every, size, target, self.settings.anchor_iou)
            for size, target in zip(sizes, targets, strict=True)
        ]
        total = _proposal_loss(all_logits, all_deltas, every, assigned, targets, self.settings)
        with torch.no_grad():
            proposals = self._propose(logits, deltas, levels, sizes, training=True)
            picked = [
                sampling.sample_regions(found, size, target, self.settings, self.concepts)
                for found, size, target in zip(proposals, sizes, targets, strict=True)
            ]
        regions = [region for region, *_ in picked]
        labels, true, unknown = (torch.cat(some) for some in list(zip(*picked, strict=True))[1:])
        if not len(labels):  # every parameter has a gradient all the same, which ranks wait for
            return total + sum(parameter.sum() * 0 for parameter in self.roi_heads.parameters())
        concept_logits, region_deltas = self._look(maps, regions, sizes)
        weights = functional.pad(self.weights, (1, 0), value=1.0)  # the background's is 1
        concept_logits = ignored.masked(concept_logits, labels, unknown)
        lost = functional.cross_entropy(concept_logits, labels, weights, reduction="sum")
        total = total + lost / len(labels) + region_deltas.sum() * 0
        positive = labels > 0
        if positive.any():
            place = labels[positive] if region_deltas.shape[1] > 1 else torch.zeros_like(labels[positive])
            own, start = region_deltas[positive, place], torch.cat(regions)[positive]
            wanted = true[positive]
            if self.settings.giou:
                lost = boxes.giou_loss(boxes.decode(own, start, REGION_CODER), wanted).sum()
            else:
                lost = functional.smooth_l1_loss(
                    own, boxes.encode(wanted, start, REGION_CODER), beta=1 / 9, reduction="sum"
                )
            total = total + self.settings.box_weight * lost / len(labels)
        return total

    # -- prediction --

    def find(self, maps: list[Tensor], sizes: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes in pixels, scores and labels of each image."""
        logits, deltas = self.rpn["head"](maps)
        proposals = self._propose(logits, deltas, self._anchors(maps), sizes, training=False)
        concept_logits, region_deltas = self._look(maps, proposals, sizes)
        counts = [len(some) for some in proposals]
        found = []
        for own, values, moves, (height, width) in zip(
            proposals, concept_logits.softmax(1).split(counts), region_deltas.split(counts), sizes.tolist(), strict=True
        ):
            concepts = values.shape[1] - 1
            if moves.shape[1] > 1:
                moves = moves[:, 1:]
            placed = boxes.clip(boxes.decode(moves, own[:, None], REGION_CODER), height, width)
            placed = placed.expand(-1, concepts, 4)
            labels = torch.arange(concepts, device=values.device).expand(len(own), concepts)
            found.append(
                boxes.suppress(
                    placed.reshape(-1, 4), values[:, 1:].reshape(-1), labels.reshape(-1),
                    least_score=self.found.least_score, most_iou=self.found.most_iou, keep=self.found.most,
                )
            )  # fmt: skip
        return found

    # -- both --

    def _anchors(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sizes = [(state.shape[-2], state.shape[-1]) for state in maps]
        return anchors.grid(self.shapes, sizes, self.strides, self.settings.anchors.offset)

    @torch.no_grad()
    def _propose(
        self, logits: list[Tensor], deltas: list[Tensor], levels: list[Tensor], sizes: Tensor, *, training: bool
    ) -> list[Tensor]:
        """The best boxes of each image, the overlapping ones of a level taken away."""
        candidates = self.settings.candidates[0 if training else 1]
        keep = self.settings.proposals[0 if training else 1]
        tops = [state.float().topk(min(candidates, state.shape[1])) for state in logits]
        found = []
        for image, (height, width) in enumerate(sizes.tolist()):
            some, scores = [], []
            for top, moves, start in zip(tops, deltas, levels, strict=True):
                chosen = top.indices[image]
                placed = boxes.clip(boxes.decode(moves[image, chosen].float(), start[chosen]), height, width)
                large = ((placed[:, 2:] - placed[:, :2]) > 1).all(1)
                placed, own = placed[large], top.values[image][large]
                best = nms(placed, own, 0.7)[:keep]
                some.append(placed[best])
                scores.append(own[best])
            order = torch.cat(scores).argsort(descending=True, stable=True)[:keep]
            found.append(torch.cat(some)[order])
        return found

    def _look(self, maps: Sequence[Tensor], regions: list[Tensor], sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and deltas of regions, from their features."""
        named = {str(level): state.float() for level, state in enumerate(maps)}
        shown = [(maps[0].shape[-2] * self.strides[0], maps[0].shape[-1] * self.strides[0])] * len(regions)
        features = self.read(named, regions, shown)
        logits, deltas = self.roi_heads["box_predictor"](self.roi_heads["box_head"](features))
        return logits.float(), deltas.float()


class _Linears(nn.Module):
    """torchvision's two-layer head; keys fc6, fc7."""

    def __init__(self, inputs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        for place, (a, b) in enumerate(zip([inputs, *hidden], hidden, strict=False)):
            self.add_module(f"fc{6 + place}", nn.Linear(a, b))

    def forward(self, features: Tensor) -> Tensor:
        state = features.flatten(1)
        for layer in self.children():
            state = functional.relu(layer(state), inplace=True)
        return state


def _box_head(channels: int, settings: TwoStage) -> tuple[nn.Module, int]:
    inputs = channels * _SIDE * _SIDE
    if not settings.region_convolutions:
        return _Linears(inputs, settings.hidden), settings.hidden[-1]
    layers: list[nn.Module] = [
        nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        for _ in range(settings.region_convolutions)
    ]
    layers.append(nn.Flatten())
    for a, b in zip([inputs, *settings.hidden], settings.hidden, strict=False):
        layers += [nn.Linear(a, b), nn.ReLU(inplace=True)]
    for module in nn.ModuleList(layers).modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*layers), settings.hidden[-1]


def _proposal_loss(
    logits: Tensor, deltas: Tensor, every: Tensor, assigned: list[tuple[Tensor, Tensor]], targets: Sequence[Target],
    settings: TwoStage,
) -> Tensor:  # fmt: skip
    """Cross-entropy and smooth L1 over a random sample of each image's anchors, half of them objects."""
    chosen_logits, chosen_labels, moved, wanted = [], [], [], []
    for image, ((labels, nearest), target) in enumerate(zip(assigned, targets, strict=True)):
        groups = nearest if settings.balanced else None
        positive, negative = sampling.sample(labels == 1, labels == 0, settings.proposal_samples, 0.5, groups)
        chosen = torch.cat((positive, negative))
        chosen_logits.append(logits[image, chosen])
        chosen_labels.append(labels[chosen])
        if len(positive):
            moved.append(deltas[image, positive])
            wanted.append(boxes.encode(target["boxes"][nearest[positive]], every[positive]))
    found, truth = torch.cat(chosen_logits), torch.cat(chosen_labels)
    count = max(1, len(found))
    total = functional.binary_cross_entropy_with_logits(found, truth, reduction="sum") / count
    if moved:
        total = (
            total + functional.smooth_l1_loss(torch.cat(moved), torch.cat(wanted), beta=1 / 9, reduction="sum") / count
        )
    else:
        total = total + deltas.sum() * 0  # every parameter has a gradient, which ranks wait for
    return total
