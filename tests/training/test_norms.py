"""Norms that stand still: folded into the convolutions before them, which learn all the same."""

from __future__ import annotations

import copy

import torch
from torch import nn

from deepft_lab.training import norms


def test_a_folded_convolution_gives_the_numbers_and_the_gradients_of_the_two_layers() -> None:
    torch.manual_seed(1)
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)
    )
    for layer in plain:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    plain.eval()
    folded = copy.deepcopy(plain)
    assert norms.fold(folded) == 2
    pictures = torch.rand(2, 3, 8, 8)
    outputs = [network(pictures) for network in (plain, folded)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    for (name, one), (_, other) in zip(plain.named_parameters(), folded.named_parameters(), strict=True):
        assert one.grad is not None and other.grad is not None, name
        torch.testing.assert_close(one.grad, other.grad, msg=name)
