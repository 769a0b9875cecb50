"""RT-DETR's hybrid encoder (arXiv 2304.08069, section 4.2): attention over the coarsest map, then a way down and back.

The maps are joined by CSP layers of re-parameterisable blocks (arXiv 2101.03697), as in the published networks; their
files are read by rt_detr_keys.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.training.detection.necks import Neck
from deepft_lab.training.recipes.detector import Neck as Settings

HEADS = 8


class HybridEncoder(Neck):
    """Neighbouring maps are joined by `down` from coarse to fine (the coarsest pair first), then back by `up`."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], settings: Settings) -> None:
        super().__init__()
        depth, width, steps = max(1, round(3 * settings.depth)), settings.channels, len(channels) - 1
        self.enter = nn.ModuleList(_unit(count, width, 1, active=False) for count in channels)
        self.attention = Attention(width)
        self.lateral = nn.ModuleList(_unit(width, width, 1) for _ in range(steps))
        self.down = nn.ModuleList(Join(width, depth) for _ in range(steps))
        self.halve = nn.ModuleList(_unit(width, width, 3, 2) for _ in range(steps))
        self.up = nn.ModuleList(Join(width, depth) for _ in range(steps))
        self.leave = nn.ModuleList(_unit(width, width, 1, active=False) for _ in channels)
        self.channels, self.strides = [width] * len(channels), list(strides)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        states = [layer(state) for layer, state in zip(self.enter, maps, strict=True)]
        states[-1] = self.attention(states[-1])
        last = len(states) - 1
        for turn, (lateral, join) in enumerate(zip(self.lateral, self.down, strict=True)):
            states[last - turn] = lateral(states[last - turn])
            fine = states[last - turn - 1]
            coarse = functional.interpolate(states[last - turn], size=fine.shape[-2:], mode="nearest")
            states[last - turn - 1] = join(torch.cat((coarse, fine), 1))
        for turn, (halve, join) in enumerate(zip(self.halve, self.up, strict=True)):
            states[turn + 1] = join(torch.cat((halve(states[turn]), states[turn + 1]), 1))
        return [layer(state) for layer, state in zip(self.leave, states, strict=True)]


class Attention(nn.Module):
    """A transformer layer over the places of a map; where they are is told to queries and keys alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.among = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.think = nn.Sequential(nn.Linear(width, width * 4), nn.GELU(), nn.Linear(width * 4, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, state: Tensor) -> Tensor:
        height, width = state.shape[-2:]
        rows = state.flatten(2).transpose(1, 2)
        placed = rows + positions(height, width, state.shape[1], state.device).to(rows.dtype)
        rows = self.norms[0](rows + self.among(placed, placed, rows, need_weights=False)[0])
        rows = self.norms[1](rows + self.think(rows))
        return rows.transpose(1, 2).unflatten(2, (height, width))


class Join(nn.Module):
    """Two maps, one behind the other, to one: through a row of blocks, and past it."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.main, self.past = _unit(2 * width, width, 1), _unit(2 * width, width, 1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))

    def forward(self, state: Tensor) -> Tensor:
        return self.blocks(self.main(state)) + self.past(state)


class Block(nn.Module):
    """A wide and a narrow convolution side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide, self.narrow = _unit(width, width, 3, active=False), _unit(width, width, 1, active=False)

    def forward(self, state: Tensor) -> Tensor:
        return functional.silu(self.wide(state) + self.narrow(state))


def positions(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """[height x width, channels]: sines and cosines of the row, then of the column (arXiv 2005.12872, appendix)."""
    quarter = channels // 4
    speed = 10000.0 ** -(torch.arange(quarter, device=device) / quarter)
    y = torch.arange(height, device=device)[:, None] * speed
    x = torch.arange(width, device=device)[:, None] * speed
    rows = torch.cat((y.sin(), y.cos()), 1)[:, None].expand(-1, width, -1)
    columns = torch.cat((x.sin(), x.cos()), 1)[None].expand(height, -1, -1)
    return torch.cat((rows, columns), 2).flatten(0, 1)


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1, *, active: bool = True) -> nn.Sequential:
    """A convolution and its norm, and SiLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.SiLU(inplace=True)] if active else []))
