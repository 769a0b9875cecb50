"""The recipe of a visual classifier."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from deepft_lab.training.recipes.parts import Augment, Backbone, Base, Installed, Part, Positive, Share


class Loss(Part, frozen=True):
    """`exclusive`: where the concepts exclude each other; `otherwise`: where not. Builders: tasks.classify.

    The field `logreg`, where a template has it, comes first: 1 is binary cross-entropy, 0 cross-entropy.
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    exclusive: Literal["cross_entropy", "bce"] = "cross_entropy"  # softmax; bce: each concept by itself
    otherwise: Literal["bce"] = "bce"
    label_smoothing: Share = 0.0
    mixed_target_threshold: Share | None = (
        None  # a mixed-in concept counts as present above this share; None: by its share
    )
    arguments: dict[str, Any] = {}  # of a builder that an administrator has installed


class Classifier(Base, frozen=True, kw_only=True):
    """A visual classifier."""

    architecture: Backbone
    loss: Loss
    head: Installed | None = None  # in place of a linear layer and what the keys below say of it
    task: Literal["classify"] = "classify"
    augment: Augment = Augment()
    stochastic_depth: Share = 0.0  # of the last block; it grows from 0 along the depth
    dropout: Share = 0.0  # before the last layer, where the architecture has none of its own
    embedding_length: Positive | None = None  # the last layer sees embeddings of this length; None: as they come
    norms: Literal["train", "kept"] = "train"  # kept: pretrained batch norms keep their statistics; their weights learn
    head_start: Literal["random", "fitted"] = "random"  # fitted: to the pretrained features (training/head_start.py)
    test_crop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.875  # share of the shorter side that is seen

    def __post_init__(self) -> None:
        if self.head is not None and self.head_start == "fitted":
            raise ValueError("head_start = fitted is for a linear layer, and not for an installed head: leave it out")
