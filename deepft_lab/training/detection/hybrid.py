"""RT-DETR's hybrid encoder (arXiv 2304.08069): attention over the coarsest map, then maps that are joined both ways."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepft_lab.training.detection.darknet import PathAggregation
from deepft_lab.training.recipes.detector import Neck as Settings

HEADS = 8


class HybridEncoder(PathAggregation):
    """The paper joins the maps by re-parameterised blocks; ours are YOLOX's, which compute the same kind of thing."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], settings: Settings) -> None:
        super().__init__(channels, strides, settings)
        self.attention = nn.TransformerEncoderLayer(
            settings.channels, HEADS, settings.channels * 4, dropout=0.0, activation="gelu", batch_first=True
        )

    def enter(self, maps: list[Tensor]) -> list[Tensor]:
        states = super().enter(maps)
        coarse = states[-1]
        height, width = coarse.shape[-2:]
        rows = coarse.flatten(2).transpose(1, 2)
        seen = self.attention(rows + positions(height, width, coarse.shape[1], coarse.device).to(rows.dtype))
        states[-1] = seen.transpose(1, 2).unflatten(2, (height, width))
        return states


def positions(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """[height x width, channels]: sines and cosines of the row and the column (arXiv 2005.12872, appendix)."""
    quarter = channels // 4
    speed = 10000.0 ** -(torch.arange(quarter, device=device) / quarter)
    y = torch.arange(height, device=device)[:, None] * speed
    x = torch.arange(width, device=device)[:, None] * speed
    rows = torch.cat((y.sin(), y.cos()), 1)[:, None].expand(-1, width, -1)
    columns = torch.cat((x.sin(), x.cos()), 1)[None].expand(height, -1, -1)
    return torch.cat((columns, rows), 2).flatten(0, 1)
