"""Segmentation networks by their registered names.

Each takes float32 [n, 3, h, w] and gives logits [n, places, h', w'] a place (background first) at a reduced scale; in
training a list of them, the auxiliary head's last.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from deepft_lab.training import weights
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.segmentation.parts import PooledNorm, separable, unit
from deepft_lab.training.segmentation.segformer import VARIANTS, SegFormer


class Published(NamedTuple):
    """A kind of published file, known by one of its keys (`mark`; empty: any file).

    Its keys, with `into` before them, are those of ours that begin with one of `kept`, but for those that begin with
    one of `new`, which are left out.
    """

    mark: str
    kept: tuple[str, ...]
    new: tuple[str, ...]
    into: str = ""


class Network(NamedTuple):
    """`build(places, plan)` gives a random start."""

    build: Callable[[int, Segmenter], nn.Module]
    published: tuple[Published, ...]


class LightSegmenter(nn.Module):
    """MobileNetV2 (arXiv 1801.04381) with a decoder of few channels.

    The decoder adds the stages from the coarsest to the finest as a feature pyramid does (arXiv 1612.03144), and gates
    the coarsest by its mean over the picture as LR-ASPP does (arXiv 1905.02244). The last convolution of the published
    network, to 1,280 channels, is left out: a decoder of 48 channels has no use for it.
    """

    STAGES = ((3, 24), (6, 32), (13, 96), (17, 320))  # last block of each stage and its channels; strides 4 to 32

    def __init__(self, places: int, channels: int = 48) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"features": models.mobilenet_v2(weights=None).features[:18]})
        self.laterals = nn.ModuleList(unit(width, channels, 1) for _, width in self.STAGES)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(self.STAGES[-1][1], channels, 1), nn.Sigmoid())
        self.smooth = nn.ModuleList(separable(channels) for _ in self.STAGES[:-1])
        self.classifier = nn.Conv2d(channels, places, 1)

    def forward(self, images: Tensor) -> Any:
        stages, features = [], images
        ends = [block for block, _ in self.STAGES]
        for place, block in enumerate(self.backbone["features"].children()):
            features = block(features)
            if place in ends:
                stages.append(features)
        top = self.laterals[-1](stages[-1]) * self.gate(stages[-1])
        for place in reversed(range(len(stages) - 1)):
            side = self.laterals[place](stages[place])
            top = side + functional.interpolate(top, size=side.shape[-2:], mode="bilinear", align_corners=False)
            top = self.smooth[place](top)
        logits = self.classifier(top)
        return [logits] if self.training else logits


class DeepLabV3(nn.Module):
    """DeepLabV3 (arXiv 1706.05587) on ResNet-50 with output stride 8, and an auxiliary head. Keys are torchvision's."""

    def __init__(self, places: int) -> None:
        super().__init__()
        resnet = models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
        self.backbone = IntermediateLayerGetter(resnet, {"layer4": "out", "layer3": "aux"})
        self.classifier = DeepLabHead(2048, places)
        self.aux_classifier = FCNHead(1024, places)
        pooling = self.classifier[0].convs[-1]
        pooling[2] = PooledNorm(pooling[2].num_features)

    def forward(self, images: Tensor) -> Any:
        features = self.backbone(images)
        logits = self.classifier(features["out"])
        return [logits, self.aux_classifier(features["aux"])] if self.training else logits


def _light(places: int, plan: Segmenter) -> nn.Module:
    return LightSegmenter(places)


def _deeplabv3(places: int, plan: Segmenter) -> nn.Module:
    return DeepLabV3(places)


def _segformer(variant: str) -> Callable[[int, Segmenter], nn.Module]:
    return lambda places, plan: SegFormer(places, VARIANTS[variant], plan.stochastic_depth)


def _assembled(places: int, plan: Segmenter) -> nn.Module:
    from deepft_lab.training.segmentation import assembled

    return assembled.build(plan, places)


_SEGFORMER = (
    Published("decode_head.linear_fuse.weight", kept=("segformer.", "decode_head."), new=("decode_head.classifier.",)),
    Published("segformer.encoder.layer_norm.0.weight", kept=("segformer.",), new=("classifier.",)),
)
NETWORKS: dict[str, Network] = {
    "assembled": Network(_assembled, ()),
    "light_mobilenet_v2": Network(
        _light,
        (Published("", kept=("backbone.",), new=("backbone.classifier.", "backbone.features.18."), into="backbone."),),
    ),
    "deeplabv3_resnet50": Network(
        _deeplabv3,
        (
            Published("classifier.0.convs.0.0.weight", kept=("",), new=("classifier.4.", "aux_classifier.4.")),
            Published("", kept=("backbone.",), new=("backbone.fc.",), into="backbone."),
        ),
    ),
    **{f"segformer_{variant}": Network(_segformer(variant), _SEGFORMER) for variant in VARIANTS},
}


def load(model: nn.Module, plan: Segmenter, path: str | Path) -> set[str]:
    """Fills a network from a published file and returns the keys that it gave. Raises WrongWeights."""
    if plan.network == "assembled":
        from deepft_lab.training.segmentation import assembled

        return assembled.load(model, plan, path)
    found = weights.read(path)
    kinds = NETWORKS[plan.network].published
    kind = next((kind for kind in kinds if kind.mark in found or not kind.mark), kinds[0])
    wanted = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if key.startswith(kind.kept) and not key.startswith(kind.new)
    }
    given = {kind.into + key: tensor for key, tensor in found.items()}
    given = {key: tensor for key, tensor in given.items() if not key.startswith(kind.new)}
    counters = {key: wanted[key] for key in wanted.keys() - given.keys() if key.endswith("num_batches_tracked")}
    given |= counters  # old files do not count the batches that a batch norm has seen
    weights.fit(wanted, given, path=path, architecture=plan.network)
    model.load_state_dict(given, strict=False)
    return set(given)
