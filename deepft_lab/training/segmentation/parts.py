"""Layers that several segmentation networks are made of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import ASPP

RATES = (12, 24, 36)  # of atrous convolutions at output stride 8 (arXiv 1706.05587, section 3.3)


def unit(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """Convolution and batch norm."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs))


def separable(channels: int) -> nn.Sequential:
    """A depthwise 3 x 3 and a 1 x 1 convolution, each with a batch norm, then ReLU."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(channels), *unit(channels, channels, 1), nn.ReLU())


class PooledNorm(nn.BatchNorm2d):
    """Batch norm of one pixel a picture: a single picture has no statistics, and takes those that are kept."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)


class Pooling(ASPP):
    """torchvision's atrous pooling, which takes a single picture in training too."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, list(RATES), outputs)
        pooled = self.convs[-1]
        pooled[2] = PooledNorm(pooled[2].num_features)  # type: ignore[index,operator]
