"""Attention that looks at a few learned points of each map (deformable DETR, arXiv 2010.04159), and its layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS, POINTS = 8, 4


class Layers(nn.Sequential):
    """A small network from `inputs` to `outputs`; with four outputs its last layer starts at nothing."""

    def __init__(self, inputs: int, outputs: int, hidden: int | None = None) -> None:
        widths = [inputs, hidden or inputs, *([] if hidden else [inputs]), outputs]
        layers: list[nn.Module] = []
        for one, following in pairwise(widths):
            layers += [nn.Linear(one, following), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])
        if outputs == 4:
            nn.init.zeros_(self[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self[-1].bias)  # type: ignore[arg-type]


class Deformable(nn.Module):
    """Each head of a query reads `POINTS` points of each map, around the query's box."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.offsets = nn.Linear(width, HEADS * levels * POINTS * 2)
        self.weights = nn.Linear(width, HEADS * levels * POINTS)
        self.values = nn.Linear(width, width)
        self.leave = nn.Linear(width, width)
        # Heads begin by looking in different directions, points at growing distances.
        angle = torch.arange(HEADS) * (2 * math.pi / HEADS)
        towards = torch.stack((angle.cos(), angle.sin()), 1)
        towards = towards / towards.abs().amax(1, keepdim=True)
        start = towards[:, None, None].repeat(1, levels, POINTS, 1) * torch.arange(1, POINTS + 1)[:, None]
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        self.offsets.bias.data.copy_(start.flatten())

    def forward(self, queries: Tensor, reference: Tensor, memory: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """`queries` [n, q, width]; `reference` [n, q, 4]: centre and size, fractions; `memory` [n, places, width]."""
        count, number, width = queries.shape
        offsets = self.offsets(queries).view(count, number, HEADS, self.levels, POINTS, 2)
        weights = self.weights(queries).view(count, number, HEADS, -1).softmax(-1)
        weights = weights.view(count, number, HEADS, self.levels, POINTS)
        middle, sides = reference[:, :, None, None, None, :2], reference[:, :, None, None, None, 2:]
        points = (middle + offsets / POINTS * sides * 0.5) * 2 - 1
        values = self.values(memory).split([height * wide for height, wide in shapes], 1)
        total: Tensor | None = None
        for level, (own, (height, wide)) in enumerate(zip(values, shapes, strict=True)):
            seen = own.view(count, height, wide, HEADS, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)
            where = points[:, :, :, level].permute(0, 2, 1, 3, 4).flatten(0, 1)
            # In float32 whatever the precision: bfloat16 tells no more than 256 places of a map apart.
            read = functional.grid_sample(seen.float(), where.float(), mode="bilinear", align_corners=False)
            share = weights[:, :, :, level].permute(0, 2, 1, 3).flatten(0, 1)[:, None]
            part = (read * share).sum(-1)
            total = part if total is None else total + part
        assert total is not None
        return self.leave(total.view(count, HEADS, width // HEADS, number).permute(0, 3, 1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Queries look at each other, at the maps, and think."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.among = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.maps = Deformable(width, levels)
        self.think = nn.Sequential(nn.Linear(width, width * 4), nn.ReLU(inplace=True), nn.Linear(width * 4, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(
        self, state: Tensor, place: Tensor, reference: Tensor, memory: Tensor, shapes: Sequence[tuple[int, int]],
        unseen: Tensor | None = None, absent: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """`unseen` [q, q]: whom each query does not look at; `absent` [n, q]: whom none does."""
        placed = state + place
        seen = self.among(placed, placed, state, key_padding_mask=absent, attn_mask=unseen, need_weights=False)[0]
        state = self.norms[0](state + seen)
        state = self.norms[1](state + self.maps(state + place, reference, memory, shapes))
        return self.norms[2](state + self.think(state))
