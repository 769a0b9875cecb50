"""A segmenter made of the parts that a recipe names: any backbone, a neck, a head.

Backbones and necks are those of detectors: maps at several strides, finest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.training import weights
from deepft_lab.training.detection import backbones, necks
from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.segmenter import Head as Settings
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.segmentation.parts import Pooling, separable, unit


class Assembled(nn.Module):
    """float32 [n, 3, h, w] to logits [n, places, h', w'] at the scale of the finest map; in training a list of them."""

    def __init__(self, backbone: backbones.Backbone, neck: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck, self.head = backbone, neck, head

    def forward(self, images: Tensor) -> Any:
        logits = self.head(self.neck(self.backbone(images)))
        return [logits] if self.training else logits


class Sum(nn.Module):
    """Levels brought to one width, added from the coarsest to the finest (arXiv 1612.03144)."""

    def __init__(self, channels: Sequence[int], places: int, settings: Settings) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(unit(width, settings.channels, 1) for width in channels)
        self.smooth = nn.ModuleList(separable(settings.channels) for _ in channels)
        self.classifier = _classifier(settings, places)

    def forward(self, maps: list[Tensor]) -> Tensor:
        top: Tensor | None = None
        for level in reversed(range(len(maps))):
            side = self.laterals[level](maps[level])
            top = self.smooth[level](side if top is None else side + _enlarged(top, side))
        assert top is not None
        return self.classifier(top)


class AllMLP(nn.Module):
    """Levels brought to one width, enlarged to the finest and joined (arXiv 2105.15203, equation 4)."""

    def __init__(self, channels: Sequence[int], places: int, settings: Settings) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Conv2d(width, settings.channels, 1) for width in channels)
        self.fuse = nn.Sequential(*unit(settings.channels * len(channels), settings.channels, 1), nn.ReLU())
        self.classifier = _classifier(settings, places)

    def forward(self, maps: list[Tensor]) -> Tensor:
        joined = [_enlarged(layer(level), maps[0]) for layer, level in zip(self.linear, maps, strict=True)]
        return self.classifier(self.fuse(torch.cat(joined[::-1], 1)))


class AtrousPooling(nn.Module):
    """The coarsest level seen at several scales (arXiv 1706.05587), enlarged to the finest."""

    def __init__(self, channels: Sequence[int], places: int, settings: Settings) -> None:
        super().__init__()
        self.pooling = Pooling(channels[-1], settings.channels)
        self.smooth = nn.Sequential(*unit(settings.channels, settings.channels, 3), nn.ReLU())
        self.classifier = _classifier(settings, places)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.classifier(_enlarged(self.smooth(self.pooling(maps[-1])), maps[0]))


HEADS = {"sum": Sum, "all_mlp": AllMLP, "pooling": AtrousPooling}


def build(plan: Segmenter, places: int) -> Assembled:
    """From a random start. Raises InvalidParams where the backbone has no maps of these strides."""
    backbone = backbones.build(plan.backbone)
    neck = necks.build(backbone.channels, plan.backbone.strides, plan.neck)
    if plan.head.name in HEADS:
        head: nn.Module = HEADS[plan.head.name](neck.channels, places, plan.head)
    else:
        make = builders.bound("head", plan.head.name, plan.head.arguments)
        head = make(neck.channels, places)
    return Assembled(backbone, neck, head)


def load(model: nn.Module, plan: Segmenter, path: str | Path) -> set[str]:
    """Fills the backbone from a classifier's file and returns the keys that it gave. Raises WrongWeights."""
    wanted = {key: tensor for key, tensor in model.state_dict().items() if key.startswith("backbone.")}
    given = {}
    for key, tensor in weights.read(path).items():
        first, _, rest = key.partition(".")
        # timm's networks of features stand below `body`; they join the first two parts of some names.
        names = (key, f"body.{key}", f"body.{first}_{rest}", f"body.model.{key}")
        own = next((f"backbone.{name}" for name in names if f"backbone.{name}" in wanted), None)
        if own is not None:
            given[own] = tensor
    counters = {key: wanted[key] for key in wanted.keys() - given.keys() if key.endswith("num_batches_tracked")}
    given |= counters
    weights.fit(wanted, given, path=path, architecture=plan.backbone.name)
    model.load_state_dict(given, strict=False)
    return set(given)


def _classifier(settings: Settings, places: int) -> nn.Sequential:
    return nn.Sequential(nn.Dropout2d(settings.dropout), nn.Conv2d(settings.channels, places, 1))


def _enlarged(map: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(map, size=other.shape[-2:], mode="bilinear", align_corners=False)
