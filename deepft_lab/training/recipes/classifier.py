"""The recipe of a visual classifier."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from deepft_lab.training.recipes.parts import Augment, Base, Part, Share


class Loss(Part, frozen=True):
    """`exclusive`: where the concepts exclude each other; `otherwise`: where not. Builders: tasks.classify."""

    exclusive: Literal["cross_entropy", "bce"]
    otherwise: Literal["bce"] = "bce"
    label_smoothing: Share = 0.0
    mixed_target_threshold: Share | None = (
        None  # a mixed-in concept counts as present above this share; None: by its share
    )


class Classifier(Base, frozen=True, kw_only=True):
    """A visual classifier."""

    architecture: Literal["mobilenet_v2", "resnet50"]  # builders: architectures.py
    loss: Loss
    task: Literal["classify"] = "classify"
    augment: Augment = Augment()
    stochastic_depth: Share = 0.0  # of the last block; it grows from 0 along the depth
    test_crop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.875  # share of the shorter side that is seen
