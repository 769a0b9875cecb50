"""A moving average of a network's weights and statistics, which is often better than the last weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """`model` is the averaged network. The decay grows from 0.1 to its value, so that the random start is forgotten."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model: nn.Module = copy.deepcopy(model).eval().requires_grad_(False)
        own, current = [*self.model.parameters(), *self.model.buffers()], [*model.parameters(), *model.buffers()]
        pairs = list(zip(own, current, strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after step `step`, which counts from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged, current = [pair[0] for pair in self._floats], [pair[1] for pair in self._floats]
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for own, other in self._counts:
            own.copy_(other)
