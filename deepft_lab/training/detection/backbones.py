"""Backbones: networks that give feature maps at the strides asked for. Graphs and keys are torchvision's or timm's.

backbone(images) -> one map a stride, finest first;  backbone.channels -> their channels
backbone.stages  -> names of the modules of each stage, so that the first ones can be frozen
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from deepft_lab.errors import InvalidParams
from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.detector import Backbone as Settings


class Backbone(nn.Module):
    """Base: `stages[n]` are the modules whose parameters come to stand still with n + 1 frozen stages."""

    channels: list[int]
    stages: list[list[str]]

    def published_head(self) -> tuple[str, ...]:
        """Beginnings of the keys in a file of the classifier that are no part of the backbone."""
        return ("fc.", "classifier.", "head.")

    def own_name(self, key: str) -> str:
        """Our name of a tensor of the published file."""
        return key


class Sequential(Backbone):
    """Of torchvision's models whose layers stand in one row, `features`."""

    def __init__(self, features: nn.Sequential, strides: Sequence[int], name: str) -> None:
        super().__init__()
        reached = _reached(features)
        last: dict[int, int] = {}
        for place, (stride, _) in enumerate(reached):
            last[stride] = place
        if name.startswith(("mobilenet", "efficientnet")):  # the last layer only widens, for the classifier
            last[max(last)] -= 1
        self.taps = [_tap(last, stride, name) for stride in strides]
        self.features = nn.Sequential(*list(features)[: max(self.taps) + 1])
        self.channels = [reached[tap][1] for tap in self.taps]
        ends = sorted(place for stride, place in last.items())
        starts = [0, *(end + 1 for end in ends[:-1])]
        self.stages = [
            [f"features.{place}." for place in range(start, end + 1)] for start, end in zip(starts, ends, strict=True)
        ]
        self.dropped = tuple(f"features.{place}." for place in range(max(self.taps) + 1, len(features)))

    def published_head(self) -> tuple[str, ...]:
        return (*super().published_head(), *self.dropped)

    def forward(self, images: Tensor) -> list[Tensor]:
        found = []
        for place, layer in enumerate(self.features):
            images = layer(images)
            if place in self.taps:
                found.append(images)
        return found


class Residual(Backbone):
    """Of torchvision's ResNets and ResNeXts."""

    def __init__(self, build: Callable[..., nn.Module], strides: Sequence[int], name: str) -> None:
        super().__init__()
        network = build(weights=None)
        for part, module in network.named_children():
            if part not in ("avgpool", "fc"):
                self.add_module(part, module)
        last = {4: 1, 8: 2, 16: 3, 32: 4}
        self.taps = [_tap(last, stride, name) for stride in strides]
        widths = [_width(getattr(network, f"layer{layer}")) for layer in (1, 2, 3, 4)]
        self.channels = [widths[tap - 1] for tap in self.taps]
        self.stages = [["conv1.", "bn1.", "layer1."], ["layer2."], ["layer3."], ["layer4."]]

    def forward(self, images: Tensor) -> list[Tensor]:
        images = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # type: ignore[operator]
        found = {}
        for place in range(1, max(self.taps) + 1):
            images = found[place] = getattr(self, f"layer{place}")(images)
        return [found[tap] for tap in self.taps]


class Ssd(Backbone):
    """Of torchvision's SSD networks: a classifier's layers and the extra ones, six maps in all."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from torchvision.models import detection

        make = {
            "ssd_vgg16": detection.ssd300_vgg16,
            "ssdlite_mobilenet_v3_large": detection.ssdlite320_mobilenet_v3_large,
        }
        network = make[name](weights=None, weights_backbone=None, num_classes=2)
        for part, module in network.backbone.named_children():
            self.add_module(part, module)
        for part, parameter in network.backbone.named_parameters(recurse=False):
            self.register_parameter(part, parameter)
        self.vgg = name == "ssd_vgg16"
        self.channels = [512, 1024, 512, 256, 256, 256] if self.vgg else [672, 480, 512, 256, 256, 128]
        self.stages = [["features."], ["extra."]]

    def forward(self, images: Tensor) -> list[Tensor]:
        if self.vgg:
            state = self.features(images)  # type: ignore[operator]
            found = [self.scale_weight.view(1, -1, 1, 1) * nn.functional.normalize(state)]  # type: ignore[union-attr,operator]
        else:
            state, found = images, []
            for block in self.features:  # type: ignore[union-attr]
                state = block(state)
                found.append(state)
        for block in self.extra:  # type: ignore[union-attr]
            state = block(state)
            found.append(state)
        return found


class Timm(Backbone):
    """Of timm's models that give features."""

    def __init__(self, name: str, strides: Sequence[int]) -> None:
        super().__init__()
        import timm

        every = timm.create_model(name, features_only=True, pretrained=False)
        described: Any = every.feature_info
        last = {stride: place for place, stride in enumerate(described.reduction())}
        places = tuple(_tap(last, stride, name) for stride in strides)
        self.body = timm.create_model(name, features_only=True, pretrained=False, out_indices=places)
        described = self.body.feature_info
        self.channels = list(described.channels())
        waiting: list[str] = []
        self.stages = []
        described = every.feature_info
        ends = {info["module"].replace(".", "_") for info in described.info}
        for part, _ in every.named_children():
            waiting.append(f"body.{part}.")
            if part in ends:
                self.stages.append(waiting)
                waiting = []
        parts = [name for name, _ in self.body.named_children()]
        flat = {name.replace(".", "_"): name for name, _ in timm.create_model(name, pretrained=False).named_modules()}
        self.names = {f"{flat.get(part, part)}.": f"body.{part}." for part in parts}

    def own_name(self, key: str) -> str:
        for theirs, ours in self.names.items():
            if key.startswith(theirs):
                return ours + key.removeprefix(theirs)
        return f"head.{key}"  # it lies behind the maps that are used

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images))


def build(settings: Settings) -> Backbone:
    """The backbone of a recipe, from a random start. Raises InvalidParams for a name that nobody knows."""
    name, strides = settings.name, settings.strides
    installed = builders.function("backbone", name)
    if installed is not None:
        return installed(strides, **settings.arguments)
    if name == "csp_darknet":
        from deepft_lab.training.detection import darknet

        return darknet.CspDarknet(settings.arguments.get("depth", 0.33), settings.arguments.get("width", 0.5), strides)
    if name.startswith("ssd"):
        return Ssd(name)
    if name.startswith("timm:"):
        import timm

        if not timm.is_model(name[5:]):
            raise InvalidParams(f"timm has no model {name[5:]!r}.")
        return Timm(name[5:], strides)
    if name not in models.list_models(models):
        raise InvalidParams(f"torchvision has no classifier {name!r}; write timm:<name> for one of timm's.")
    build = models.get_model_builder(name)
    if name.startswith(("resnet", "resnext", "wide_resnet")):
        return Residual(build, strides, name)
    network = build(weights=None)
    if not isinstance(getattr(network, "features", None), nn.Sequential):
        raise InvalidParams(f"{name} gives no feature maps at several strides; take a ResNet, a MobileNet or another.")
    return Sequential(network.features, strides, name)


@torch.no_grad()
def _reached(features: nn.Sequential) -> list[tuple[int, int]]:
    """Stride and channels after each layer, measured on one small picture."""
    state, side = torch.zeros(1, 3, 64, 64), 64
    found = []
    features.eval()
    for layer in features:
        state = layer(state)
        found.append((side // max(1, state.shape[-1]), state.shape[1]))
    features.train()
    return found


def _width(layer: nn.Module) -> int:
    """Channels of a layer of residual blocks: those of its last block's last convolution."""
    return [module.out_channels for module in layer.modules() if isinstance(module, nn.Conv2d)][-1]


def _tap(last: dict[int, int], stride: int, name: str) -> int:
    if stride not in last:
        known = ", ".join(map(str, sorted(last)))
        raise InvalidParams(f"{name} has no feature map of stride {stride}; it has {known}.")
    return last[stride]
