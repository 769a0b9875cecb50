"""Inception-v2: GoogLeNet with batch norm and two 3x3 convolutions for each 5x5 (arXiv 1502.03167, figure 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class InceptionV2(nn.Module):
    """The network of the paper's table. Where its columns do not add up to the stated depth of 576 (modules 4c and
    4d), the pooled branch has the 96 channels that make them."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _convolution(3, 64, 7, stride=2),
            nn.MaxPool2d(3, 2, 1),
            _convolution(64, 64, 1),
            _convolution(64, 192, 3),
            nn.MaxPool2d(3, 2, 1),
        )
        self.mixed = nn.Sequential(
            _Mixed(192, 64, (64, 64), (64, 96), 32),
            _Mixed(256, 64, (64, 96), (64, 96), 64),
            _Mixed(320, 0, (128, 160), (64, 96), 0),
            _Mixed(576, 224, (64, 96), (96, 128), 128),
            _Mixed(576, 192, (96, 128), (96, 128), 128),
            _Mixed(576, 160, (128, 160), (128, 160), 96),
            _Mixed(576, 96, (128, 192), (160, 192), 96),
            _Mixed(576, 0, (128, 192), (192, 256), 0),
            _Mixed(1024, 352, (192, 320), (160, 224), 128),
            _Mixed(1024, 352, (192, 320), (192, 224), 128, pool="max"),
        )
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, outputs)

    def forward(self, images: Tensor) -> Tensor:
        features = self.mixed(self.stem(images)).mean((2, 3))
        return self.fc(self.dropout(features))


class _Mixed(nn.Module):
    """Branches side by side. Without a 1x1 branch it halves the sides, and its pool passes through."""

    def __init__(
        self, inputs: int, once: int, twice: tuple[int, int], thrice: tuple[int, int], pooled: int,
        pool: str = "average",
    ) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.pool = (1 if once else 2), pool
        self.once = _convolution(inputs, once, 1) if once else None
        self.twice = nn.Sequential(
            _convolution(inputs, twice[0], 1), _convolution(twice[0], twice[1], 3, stride=self.stride)
        )
        self.thrice = nn.Sequential(
            _convolution(inputs, thrice[0], 1),
            _convolution(thrice[0], thrice[1], 3),
            _convolution(thrice[1], thrice[1], 3, stride=self.stride),
        )
        self.pooled = _convolution(inputs, pooled, 1) if pooled else None

    def forward(self, features: Tensor) -> Tensor:
        branches = [self.twice(features), self.thrice(features)]
        if self.once is not None:
            branches.insert(0, self.once(features))
        if self.pooled is None:
            branches.append(functional.max_pool2d(features, 3, 2, 1))
        elif self.pool == "max":
            branches.append(self.pooled(functional.max_pool2d(features, 3, 1, 1)))
        else:
            branches.append(self.pooled(functional.avg_pool2d(features, 3, 1, 1)))
        return torch.cat(branches, 1)


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
