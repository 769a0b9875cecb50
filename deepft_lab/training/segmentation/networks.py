"""Segmentation networks by their registered names.

Each takes float32 [n, 3, h, w] and gives logits [n, places, h', w'] a place (background first) at a reduced scale; in
training a list of them, the auxiliary head's last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models


class Network(NamedTuple):
    """`build(places, values, stochastic_depth)` gives a random start. Keys of `new` parts begin with these prefixes."""

    build: Callable[[int, Mapping[str, Any], float], nn.Module]
    backbone: str  # where the published backbone's keys stand in ours
    dropped: tuple[str, ...] = ()  # keys of the published file that have no place here


class LightSegmenter(nn.Module):
    """MobileNetV2 (arXiv 1801.04381) with a decoder of few channels.

    The decoder adds the stages from the coarsest to the finest as a feature pyramid does (arXiv 1612.03144), and gates
    the coarsest by its mean over the picture as LR-ASPP does (arXiv 1905.02244). The last convolution of the published
    network, to 1,280 channels, is left out: a decoder of 96 channels has no use for it.
    """

    STAGES = ((3, 24), (6, 32), (13, 96), (17, 320))  # last block of each stage and its channels; strides 4 to 32

    def __init__(self, places: int, channels: int = 96) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"features": models.mobilenet_v2(weights=None).features[:18]})
        self.laterals = nn.ModuleList(_unit(width, channels, 1) for _, width in self.STAGES)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(self.STAGES[-1][1], channels, 1), nn.Sigmoid())
        self.smooth = nn.ModuleList(_separable(channels) for _ in self.STAGES[:-1])
        self.classifier = nn.Conv2d(channels, places, 1)

    def forward(self, images: Tensor) -> Any:
        stages, features = [], images
        ends = [block for block, _ in self.STAGES]
        for place, block in enumerate(self.backbone["features"].children()):
            features = block(features)
            if place in ends:
                stages.append(features)
        top = self.laterals[-1](stages[-1]) * self.gate(stages[-1])
        for place in reversed(range(len(stages) - 1)):
            side = self.laterals[place](stages[place])
            top = side + functional.interpolate(top, size=side.shape[-2:], mode="bilinear", align_corners=False)
            top = self.smooth[place](top)
        logits = self.classifier(top)
        return [logits] if self.training else logits


def _unit(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs))


def _separable(channels: int) -> nn.Sequential:
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(channels), *_unit(channels, channels, 1), nn.ReLU())


def _light(places: int, values: Mapping[str, Any], stochastic_depth: float) -> nn.Module:
    return LightSegmenter(places)


NETWORKS: dict[str, Network] = {
    "light_mobilenet_v2": Network(_light, "backbone.", dropped=("classifier.", "features.18.")),
}


def load(model: nn.Module, network: str, path: Any) -> None:
    """Fills the pretrained part from a published file. Raises WrongWeights."""
    from deepft_lab.training import weights

    settings = NETWORKS[network]
    own = {key: tensor for key, tensor in model.state_dict().items() if key.startswith(settings.backbone)}
    given = {
        settings.backbone + key: tensor
        for key, tensor in weights.read(path).items()
        if not key.startswith(settings.dropped)
    }
    weights.fit(own, given, path=path, architecture=network)
    with torch.no_grad():
        model.load_state_dict(given, strict=False)
