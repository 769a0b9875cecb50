"""The recipe of a visual segmenter."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from deepft_lab.training.recipes.parts import Base, Part, Positive, Share

# Builders: segmentation/networks.py
Network = Literal[
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
    auxiliary: Annotated[float, msgspec.Meta(ge=0)] = 0.4  # weight of the auxiliary head's loss, where there is one


class Augment(Part, frozen=True):
    """What a training picture and its map go through. Builders: segmentation/pixels.py."""

    scale: tuple[Positive, Positive] = (0.5, 2.0)  # of the image size; a crop of the image size is taken
    largest_share: Share = 1.0  # crops that one place fills to more than this are drawn again
    colour: Share = 0.0  # strength of changes of brightness, contrast and saturation


class Segmenter(Base, frozen=True, kw_only=True):
    """A visual segmenter."""

    network: Network
    task: Literal["segment"] = "segment"
    loss: Loss = Loss()
    augment: Augment = Augment()
    stochastic_depth: Share = 0.0
