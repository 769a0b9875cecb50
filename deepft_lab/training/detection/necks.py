"""Necks: what stands between the backbone's maps and the head.

neck(maps) -> maps;  neck.channels -> their channels;  neck.strides -> their strides
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.errors import InvalidParams
from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.detector import Neck as Settings


class Neck(nn.Module):
    """Base."""

    channels: list[int]
    strides: list[int]


class Through(Neck):
    """The backbone's maps as they are."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], settings: Settings) -> None:
        super().__init__()
        self.channels, self.strides = list(channels), list(strides)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return maps


class Pyramid(Neck):
    """A feature pyramid (arXiv 1612.03144): each map gets what the coarser ones know. Keys are torchvision's.

    `more_levels`: one is made by taking every second value, as in Faster R-CNN; two by convolutions (RetinaNet).
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], settings: Settings) -> None:
        super().__init__()
        width, more, normed = settings.channels, settings.more_levels, settings.norm == "batch"
        self.inner_blocks = nn.ModuleList(_block(count, width, 1, normed) for count in channels)
        self.layer_blocks = nn.ModuleList(_block(width, width, 3, normed) for _ in channels[: settings.finest or None])
        self.extra_blocks: nn.Module | None = None
        if more == 2:
            self.extra_blocks = nn.Module()
            for level in (6, 7):
                inputs = channels[-1] if level == 6 else width
                self.extra_blocks.add_module(f"p{level}", nn.Conv2d(inputs, width, 3, 2, 1))
        elif more > 2:
            raise InvalidParams(f"more_levels = {more}: a feature pyramid makes at most two more levels.")
        self.more = more
        self.kept = settings.finest or len(strides) + more
        self.strides = [*strides, *(strides[-1] * 2 ** (turn + 1) for turn in range(more))][: self.kept]
        self.channels = [width] * len(self.strides)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        state: Tensor | None = None
        found: list[Tensor] = []
        for place in range(len(maps) - 1, -1, -1):
            lateral = self.inner_blocks[place](maps[place])
            if state is not None:
                lateral = lateral + functional.interpolate(state, size=lateral.shape[-2:], mode="nearest")
            state = lateral
            if place < len(self.layer_blocks):
                found.insert(0, self.layer_blocks[place](state))
        if self.more == 1:
            found.append(functional.max_pool2d(found[-1], 1, 2))
        elif self.extra_blocks is not None:
            found.append(self.extra_blocks.p6(maps[-1]))  # type: ignore[operator]
            found.append(self.extra_blocks.p7(functional.relu(found[-1])))  # type: ignore[operator]
        return found[: self.kept]


class DilatedEncoder(Neck):
    """YOLOF's (arXiv 2103.09460): one map whose places see near and far, by residual blocks of growing dilation."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], settings: Settings) -> None:
        super().__init__()
        if len(channels) != 1:
            raise InvalidParams(f"The dilated encoder takes one map; the backbone gives {len(channels)}.")
        width = settings.channels
        self.lateral = nn.Sequential(nn.Conv2d(channels[0], width, 1), nn.BatchNorm2d(width))
        self.output = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.blocks = nn.ModuleList(_dilated(width, dilation) for dilation in (2, 4, 6, 8))
        self.channels, self.strides = [width], list(strides)
        for module in (*self.lateral, *self.output):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        state = self.output(self.lateral(maps[0]))
        for block in self.blocks:
            state = state + block(state)
        return [state]


_ELSEWHERE = {
    "pafpn": ("darknet", "PathAggregation"),
    "hybrid_encoder": ("hybrid", "HybridEncoder"),
}
_HERE = {"none": Through, "fpn": Pyramid, "dilated_encoder": DilatedEncoder}


def build(channels: Sequence[int], strides: Sequence[int], settings: Settings) -> Neck:
    """The neck of a recipe over maps of these channels and strides."""
    if settings.name in _HERE:
        return _HERE[settings.name](channels, strides, settings)
    installed = builders.function("neck", settings.name)
    if installed is not None:
        return installed(channels, strides, settings, **settings.arguments)
    module, name = _ELSEWHERE[settings.name]
    return getattr(import_module(f"deepft_lab.training.detection.{module}"), name)(channels, strides, settings)


def _block(inputs: int, outputs: int, kernel: int, normed: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not normed)]
    if normed:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers)


def _dilated(width: int, dilation: int) -> nn.Sequential:
    middle = width // 4
    return nn.Sequential(
        nn.Conv2d(width, middle, 1), nn.BatchNorm2d(middle), nn.ReLU(inplace=True),
        nn.Conv2d(middle, middle, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
    )  # fmt: skip
