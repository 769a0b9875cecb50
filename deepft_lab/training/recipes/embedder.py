"""The recipe of a visual embedder."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from deepft_lab.training.recipes.classifier import Loss
from deepft_lab.training.recipes.parts import Augment, Backbone, Base, Part, Positive, Share


class Margin(Part, frozen=True):
    """Additive angular margin (arXiv 1801.07698). The fields `angular_scale` and `angular_margin` come first."""

    scale: Positive = 64.0
    margin: Annotated[float, msgspec.Meta(ge=0, lt=1.6)] = 0.5  # radians


class Embedder(Base, frozen=True, kw_only=True):
    """A visual embedder: a classifier whose features are what one wants of it.

    With a `margin` the loss is on angles; without one it is a classifier's `loss`. `projection` puts a linear layer
    with batch norm behind the backbone, of the field `embeddings_size`; without one the backbone's features are taken.
    """

    architecture: Backbone
    task: Literal["embed"] = "embed"
    margin: Margin | None = None
    projection: bool = False
    loss: Loss = Loss(exclusive="cross_entropy")
    augment: Augment = Augment()
    stochastic_depth: Share = 0.0
    dropout: Share = 0.0  # of the backbone's features
    embedding_length: Positive | None = None  # which the last layer sees; None: as they come. Without a margin
    norms: Literal["train", "kept"] = "train"  # kept: pretrained batch norms keep their statistics; their weights learn
    head_start: Literal["random", "fitted"] = "random"  # fitted: to the pretrained features (training/head_start.py)
    test_crop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.875  # share of the shorter side that is seen

    def __post_init__(self) -> None:
        if self.margin is not None and self.head_start == "fitted":
            raise ValueError("head_start = fitted is for a head without a margin: leave one of the two out")
