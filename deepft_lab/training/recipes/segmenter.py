"""The recipe of a visual segmenter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from deepft_lab.training.recipes.detector import Backbone, Neck
from deepft_lab.training.recipes.levels import at_level
from deepft_lab.training.recipes.parts import Base, Part, Positive, Share, Step

# Builders: segmentation/networks.py
Network = Literal[
    "assembled",  # of the parts `backbone`, `neck` and `head`
    "light_mobilenet_v2",
    "deeplabv3_resnet50",
    "segformer_b0",
    "segformer_b1",
    "segformer_b2",
    "segformer_b3",
    "segformer_b4",
    "segformer_b5",
]


class Loss(Part, frozen=True):
    """Cross-entropy a pixel, and what is added to it. Builders: segmentation/losses.py."""

    name: Literal["cross_entropy"] = "cross_entropy"
    dice: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # weight of a soft Dice loss
    arguments: dict[str, Any] = {}  # of a builder that an administrator has installed
    auxiliary: Annotated[float, msgspec.Meta(ge=0)] = 0.4  # weight of the auxiliary head's loss, where there is one


class Augment(Part, frozen=True):
    """What a training picture and its map go through. Builders: segmentation/pixels.py."""

    steps: tuple[Step, ...] = ()  # first, one after the other
    scale: tuple[Positive, Positive] = (0.5, 2.0)  # of the image size; a crop of the image size is taken
    largest_share: Share = 1.0  # crops that one place fills to more than this are drawn again
    colour: Share = 0.0  # strength of changes of brightness, contrast and saturation


class Head(Part, frozen=True):
    """From the maps of a neck to logits. Builders: segmentation/assembled.py.

    `sum` adds the levels from the coarsest to the finest; `all_mlp` joins them (SegFormer); `pooling` looks at the
    coarsest at several scales (DeepLabV3).
    """

    name: Literal["sum", "all_mlp", "pooling"] = "sum"
    channels: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    dropout: Share = 0.1
    arguments: dict[str, Any] = {}


class Segmenter(Base, frozen=True, kw_only=True):
    """A visual segmenter."""

    network: Network
    task: Literal["segment"] = "segment"
    loss: Loss = Loss()
    augment: Augment = Augment()
    stochastic_depth: Share = 0.0
    backbone: Backbone = Backbone(name="mobilenet_v2", strides=(4, 8, 16, 32))
    neck: Neck = Neck(name="none")
    head: Head = Head()


@at_level.register
def _maps(augment: Augment, level: str) -> Augment:
    if level == "none":
        return Augment(scale=(1.0, 1.0))
    if level == "light":
        return Augment(steps=augment.steps, scale=(0.75, 1.5), colour=0.5)
    return Augment(steps=augment.steps, scale=(0.5, 2.0), largest_share=0.75, colour=1.0)
