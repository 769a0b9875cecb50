"""What a one-stage head computes over its maps: a tower for concepts, and one for boxes.

concepts(maps) -> [n, anchors, outputs] a level;  regression(maps) -> the same of sides, and of objectness or None
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


class Tower(nn.Module):
    """RetinaNet's: the same four convolutions over every map. Keys are torchvision's (its second version)."""

    def __init__(self, channels: int, depth: int, name: str, outputs: int, norm: Norm, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(channels, channels, 3, padding=1, bias=bias), norm(channels), nn.ReLU(inplace=True)
                )
                for _ in range(depth)
            )
        )
        self.name = name
        self.add_module(name, nn.Conv2d(channels, outputs, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class Concepts(Tower):
    def __init__(
        self, channels: int, each: int, outputs: int, depth: int, norm: Norm, prior: float | None, bias: bool = False
    ) -> None:
        super().__init__(channels, depth, "cls_logits", each * outputs, norm, bias)
        self.outputs = outputs
        if prior is not None:  # at first nearly nothing is there: focal loss needs it
            nn.init.constant_(self.cls_logits.bias, -math.log((1 - prior) / prior))  # type: ignore[union-attr,arg-type]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [_rows(self.cls_logits(self.conv(state)), self.outputs) for state in maps]  # type: ignore[operator]


class Regression(Tower):
    """`objects`: YOLOF's third output, whether there is an object at all."""

    def __init__(
        self, channels: int, each: int, sides: int, depth: int, norm: Norm, objects: bool = False, bias: bool = False
    ) -> None:
        super().__init__(channels, depth, "bbox_reg", each * sides, norm, bias)
        self.sides = sides
        self.object_pred: nn.Module | None = nn.Conv2d(channels, each, 3, padding=1) if objects else None
        if self.object_pred is not None:
            nn.init.normal_(self.object_pred.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.zeros_(self.object_pred.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor] | None]:
        states = [self.conv(state) for state in maps]
        deltas = [_rows(self.bbox_reg(state), self.sides) for state in states]  # type: ignore[operator]
        if self.object_pred is None:
            return deltas, None
        return deltas, [_rows(self.object_pred(state), 1) for state in states]


class Plain(nn.Module):
    """SSD's: one convolution a map, each map with its own number of anchors. Keys are torchvision's."""

    def __init__(self, channels: Sequence[int], each: Sequence[int], outputs: int, light: bool, boxes: bool) -> None:
        super().__init__()
        make = _separable if light else _single
        self.module_list = nn.ModuleList(
            make(width, count * outputs) for width, count in zip(channels, each, strict=True)
        )
        self.outputs, self.boxes = outputs, boxes

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor] | tuple[list[Tensor], None]:
        found = [_rows(layer(state), self.outputs) for layer, state in zip(self.module_list, maps, strict=True)]
        return (found, None) if self.boxes else found


def build(
    name: str, channels: Sequence[int], each: Sequence[int], outputs: int, sides: int, *, prior: float | None
) -> tuple[nn.Module, nn.Module]:
    """The two towers of a name, for so many anchors a place of each level."""
    if name in ("none", "separable"):
        light = name == "separable"
        return Plain(channels, each, outputs, light, False), Plain(channels, each, sides, light, True)
    width, count = channels[0], each[0]
    if name == "yolof":
        return (
            Concepts(width, count, outputs, 2, nn.BatchNorm2d, prior, True),
            Regression(width, count, sides, 4, nn.BatchNorm2d, True, True),
        )
    return (
        Concepts(width, count, outputs, 4, _group_norm, prior),
        Regression(width, count, sides, 4, _group_norm),
    )


def _rows(state: Tensor, each: int) -> Tensor:
    """[n, anchors x each, h, w] to [n, h x w x anchors, each]."""
    return state.permute(0, 2, 3, 1).reshape(len(state), -1, each)


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(32, max(1, channels // 2)), channels)


def _single(inputs: int, outputs: int) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _separable(inputs: int, outputs: int) -> nn.Module:
    layers = nn.Sequential(
        nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs, eps=0.001, momentum=0.03),
            nn.ReLU6(inplace=True),
        ),
        nn.Conv2d(inputs, outputs, 1),
    )
    for module in layers.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.03)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return layers
