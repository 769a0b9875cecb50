"""The parts that recipes are made of: names of registered builders and their settings. No torch: the catalog reads it.

A recipe is data: every name below is one of a closed list, and each list has its table of builders in the file that is
named beside it. Numbers that a person may change are no part of it; they are the template's fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a recipe."""


class Optimizer(Part, frozen=True):
    """Builders: optimizers.py. Biases and norms are never decayed."""

    name: Literal["adamw", "lamb", "sgd"]
    momentum: Share = 0.9  # sgd
    head_lrate_factor: Positive = 1.0  # the new head's learning rate, over that of a pretrained graph
    clip_norm: Positive | None = None  # largest norm of all gradients together


class Schedule(Part, frozen=True):
    """Builders: schedules.py."""

    name: Literal["cosine"] = "cosine"


class RandAugment(Part, frozen=True):
    """Magnitude 0..10 with a normal deviation, and how many operations an image gets. Builders: randaugment.py."""

    magnitude: Annotated[float, msgspec.Meta(ge=0, le=10)]
    deviation: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    operations: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2


class Augment(Part, frozen=True):
    """What a training image goes through. Builders: augment.py."""

    crop_scale: tuple[Positive, Positive] = (0.08, 1.0)  # share of the picture's area
    crop_ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)  # width over height
    randaugment: RandAugment | None = None
    mixup: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # alpha of the Beta distribution; 0: none
    cutmix: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    repeats: Annotated[int, msgspec.Meta(ge=1)] = 1  # repeated augmentation: each image so many times in a row


class Weights(Part, frozen=True):
    """Where pretrained weights of one choice lie. Keys and shapes are those of torchvision's model of that name."""

    file: str  # <file>.safetensors along the weights path
    hub: list[str] = []  # file names in torch hub's cache; they end in the first digits of their SHA-256
    huggingface: str = ""  # a repository in Hugging Face's cache that holds model.safetensors


class Base(Part, frozen=True, kw_only=True):
    """What the recipe of every type says."""

    task: str
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    weights: dict[str, Weights] = {}  # by the choices of the field `pretrained_weights`
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of ImageNet, RGB in 0..1
    deviation: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
