"""CSPDarknet and its path aggregation, as YOLOX (arXiv 2107.08430) puts them together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.errors import InvalidParams
from deepft_lab.training.detection.backbones import Backbone
from deepft_lab.training.detection.necks import Neck
from deepft_lab.training.recipes.detector import Neck as NeckSettings


class Convolution(nn.Sequential):
    """A convolution, its norm and SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
            nn.SiLU(inplace=True),
        )


class Bottleneck(nn.Module):
    def __init__(self, width: int, shortcut: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(Convolution(width, width, 1), Convolution(width, width, 3))
        self.shortcut = shortcut

    def forward(self, state: Tensor) -> Tensor:
        found = self.layers(state)
        return found + state if self.shortcut else found


class CspLayer(nn.Module):
    """Half of the channels go through bottlenecks, the other half past them (arXiv 1911.11929)."""

    def __init__(self, inputs: int, outputs: int, depth: int, shortcut: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.main = Convolution(inputs, half, 1)
        self.past = Convolution(inputs, half, 1)
        self.blocks = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(depth)))
        self.join = Convolution(2 * half, outputs, 1)

    def forward(self, state: Tensor) -> Tensor:
        return self.join(torch.cat((self.blocks(self.main(state)), self.past(state)), 1))


class Pooling(nn.Module):
    """Spatial pyramid pooling: what is near a place, at four ranges."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Convolution(width, width // 2, 1)
        self.last = Convolution(width * 2, width, 1)

    def forward(self, state: Tensor) -> Tensor:
        state = self.first(state)
        pooled = [functional.max_pool2d(state, side, 1, side // 2) for side in (5, 9, 13)]
        return self.last(torch.cat((state, *pooled), 1))


class CspDarknet(Backbone):
    """`depth` and `width` scale the number of blocks and of channels: 0.33 and 0.5 make the small one."""

    def __init__(self, depth: float, width: float, strides: Sequence[int]) -> None:
        super().__init__()
        widths = [max(16, round(base * width / 8) * 8) for base in (64, 128, 256, 512, 1024)]
        blocks = [max(1, round(base * depth)) for base in (3, 9, 9, 3)]
        last = {2 ** (place + 1): place for place in range(1, 5)}
        if unknown := [stride for stride in strides if stride not in last]:
            raise InvalidParams(f"csp_darknet has no feature map of stride {unknown[0]}; it has 4, 8, 16 and 32.")
        self.taps = [last[stride] for stride in strides]
        self.stem = Convolution(12, widths[0], 3)
        self.layers = nn.ModuleList()
        for place, (inputs, outputs, count) in enumerate(zip(widths, widths[1:], blocks, strict=False)):
            pooling = [Pooling(outputs)] if place == 3 else []
            self.layers.append(
                nn.Sequential(
                    Convolution(inputs, outputs, 3, 2), *pooling, CspLayer(outputs, outputs, count, place < 3)
                )
            )
        self.channels = [widths[tap] for tap in self.taps]
        self.stages = [["stem.", "layers.0."], ["layers.1."], ["layers.2."], ["layers.3."]]

    def forward(self, images: Tensor) -> list[Tensor]:
        state = self.stem(functional.pixel_unshuffle(images, 2))
        found = []
        for place, layer in enumerate(self.layers, 1):
            state = layer(state)
            if place in self.taps:
                found.append(state)
        return found


class PathAggregation(Neck):
    """What the coarse maps know goes to the fine ones, and back (arXiv 1803.01534), through CSP layers."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], settings: NeckSettings) -> None:
        super().__init__()
        depth, width = max(1, round(3 * settings.depth)), settings.channels
        self.inputs = nn.ModuleList(Convolution(count, width, 1) for count in channels)
        steps = len(channels) - 1
        self.down = nn.ModuleList(CspLayer(2 * width, width, depth, False) for _ in range(steps))
        self.halve = nn.ModuleList(Convolution(width, width, 3, 2) for _ in range(steps))
        self.up = nn.ModuleList(CspLayer(2 * width, width, depth, False) for _ in range(steps))
        self.channels, self.strides = [width] * len(channels), list(strides)

    def enter(self, maps: list[Tensor]) -> list[Tensor]:
        """The maps at one width."""
        return [layer(state) for layer, state in zip(self.inputs, maps, strict=True)]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        states = self.enter(maps)
        for place in range(len(states) - 2, -1, -1):
            coarse = functional.interpolate(states[place + 1], size=states[place].shape[-2:], mode="nearest")
            states[place] = self.down[place](torch.cat((coarse, states[place]), 1))
        for place in range(1, len(states)):
            fine = self.halve[place - 1](states[place - 1])
            states[place] = self.up[place - 1](torch.cat((fine, states[place]), 1))
        return states
