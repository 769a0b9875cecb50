"""SegFormer (arXiv 2105.15203): a hierarchical transformer, Mix-FFN in place of positions, a head of linear layers.

Modules bear the names of the published checkpoints in Hugging Face's form (`nvidia/segformer-b*-finetuned-ade-*`), so
that their keys are ours: `segformer.encoder...` and `decode_head...`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

HEADS, REDUCTIONS, EXPANSION = (1, 2, 5, 8), (8, 4, 2, 1), 4  # the same in all variants (table 6)
PATCHES, STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)
_EPSILON = 1e-6  # of the norms of blocks and stages; those of patches and reductions have torch's own


class Variant(NamedTuple):
    """Widths and blocks of the four stages, and the width of the head (table 6)."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    head: int


VARIANTS = {
    "b0": Variant((32, 64, 160, 256), (2, 2, 2, 2), 256),
    "b1": Variant((64, 128, 320, 512), (2, 2, 2, 2), 256),
    "b2": Variant((64, 128, 320, 512), (3, 4, 6, 3), 768),
    "b3": Variant((64, 128, 320, 512), (3, 4, 18, 3), 768),
    "b4": Variant((64, 128, 320, 512), (3, 8, 27, 3), 768),
    "b5": Variant((64, 128, 320, 512), (3, 6, 40, 3), 768),
}


class SegFormer(nn.Module):
    """float32 [n, 3, h, w] to logits [n, places, h / 4, w / 4]; in training a list of them."""

    def __init__(self, places: int, variant: Variant, stochastic_depth: float, dropout: float = 0.1) -> None:
        super().__init__()
        self.segformer = nn.ModuleDict({"encoder": Encoder(variant, stochastic_depth)})
        self.decode_head = Head(places, variant, dropout)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Any:
        logits = self.decode_head(self.segformer["encoder"](images))
        return [logits] if self.training else logits


class Encoder(nn.Module):
    """Four stages; each gives [n, width, h / stride, w / stride] with strides 4, 8, 16 and 32."""

    def __init__(self, variant: Variant, stochastic_depth: float) -> None:
        super().__init__()
        widths, count = variant.widths, sum(variant.depths)
        inputs = (3, *widths[:-1])
        drops = iter([stochastic_depth * place / max(1, count - 1) for place in range(count)])
        self.patch_embeddings = nn.ModuleList(
            Patches(*sizes) for sizes in zip(inputs, widths, PATCHES, STRIDES, strict=True)
        )
        self.block = nn.ModuleList(
            nn.ModuleList(Block(width, heads, reduction, next(drops)) for _ in range(depth))
            for width, heads, reduction, depth in zip(widths, HEADS, REDUCTIONS, variant.depths, strict=True)
        )
        self.layer_norm = nn.ModuleList(nn.LayerNorm(width, eps=_EPSILON) for width in widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        stages, features = [], images
        for patches, blocks, norm in zip(self.patch_embeddings, self.block, self.layer_norm, strict=True):
            tokens, size = patches(features)
            for block in blocks:  # type: ignore[attr-defined]
                tokens = block(tokens, size)
            features = _as_picture(norm(tokens), size)
            stages.append(features)
        return stages


class Patches(nn.Module):
    """Overlapping patches (section 3.1): a convolution whose stride is smaller than its kernel."""

    def __init__(self, inputs: int, width: int, patch: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, width, patch, stride, padding=patch // 2)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> tuple[Tensor, tuple[int, int]]:
        features = self.proj(features)
        return self.layer_norm(_as_tokens(features)), (features.shape[-2], features.shape[-1])


class Block(nn.Module):
    """Attention, then Mix-FFN, each added to what came in."""

    def __init__(self, width: int, heads: int, reduction: int, drop: float) -> None:
        super().__init__()
        self.layer_norm_1 = nn.LayerNorm(width, eps=_EPSILON)
        output = nn.ModuleDict({"dense": nn.Linear(width, width)})
        self.attention = nn.ModuleDict({"self": Attention(width, heads, reduction), "output": output})
        self.layer_norm_2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = MixFFN(width)
        self.drop = StochasticDepth(drop, mode="row")

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        attended = self.attention["self"](self.layer_norm_1(tokens), size)
        tokens = tokens + self.drop(self.attention["output"]["dense"](attended))  # type: ignore[index]
        return tokens + self.drop(self.mlp(self.layer_norm_2(tokens), size))


class Attention(nn.Module):
    """Self-attention whose keys and values are taken from a picture reduced by a convolution (equation 2)."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, reduction)
            self.layer_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        seen = tokens
        if self.reduction > 1:
            picture = _as_picture(tokens, size)
            short = [max(0, self.reduction - side) for side in size]  # a stage smaller than the reduction's kernel
            if any(short):
                picture = functional.pad(picture, (0, short[1], 0, short[0]))
            seen = self.layer_norm(_as_tokens(self.sr(picture)))
        query, key, value = (
            layer(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, source in ((self.query, tokens), (self.key, seen), (self.value, seen))
        )
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class MixFFN(nn.Module):
    """Two linear layers with a depthwise convolution between, which knows where it is by the border (equation 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width * EXPANSION
        self.dense1 = nn.Linear(width, hidden)
        self.dwconv = nn.ModuleDict({"dwconv": nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)})
        self.dense2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        tokens = _as_tokens(self.dwconv["dwconv"](_as_picture(self.dense1(tokens), size)))
        return self.dense2(functional.gelu(tokens))


class Head(nn.Module):
    """All stages to one width, enlarged to the finest, joined by a 1 x 1 convolution (equation 4)."""

    def __init__(self, places: int, variant: Variant, dropout: float) -> None:
        super().__init__()
        self.linear_c = nn.ModuleList(
            nn.ModuleDict({"proj": nn.Linear(width, variant.head)}) for width in variant.widths
        )
        self.linear_fuse = nn.Conv2d(variant.head * 4, variant.head, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(variant.head)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(variant.head, places, 1)

    def forward(self, stages: list[Tensor]) -> Tensor:
        size = stages[0].shape[-2:]
        joined = [
            functional.interpolate(
                _as_picture(linear["proj"](_as_tokens(stage)), (stage.shape[-2], stage.shape[-1])),  # type: ignore[index]
                size=size, mode="bilinear", align_corners=False,
            )
            for linear, stage in zip(self.linear_c, stages, strict=True)
        ]  # fmt: skip
        features = self.linear_fuse(torch.cat(joined[::-1], 1))  # the coarsest first, as in the published weights
        return self.classifier(self.dropout(functional.relu(self.batch_norm(features))))


def _as_tokens(picture: Tensor) -> Tensor:
    return picture.flatten(2).transpose(1, 2)


def _as_picture(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, size)


def _initialise(module: nn.Module) -> None:
    """As the authors' code does: narrow normals for linear layers, He's for convolutions."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        outputs = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2.0 / outputs) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
