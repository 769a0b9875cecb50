"""The parts that recipes are made of: names of registered builders and their settings. No torch: the catalog reads it.

A recipe is data: every name below is one of a closed list, and each list has its table of builders in the file that is
named beside it. Numbers that a person may change are no part of it; they are the template's fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

# Networks of whole pictures, by the names that torchvision and timm give them. Builders: architectures.py
Backbone = Literal[
    "convnext_base",
    "convnext_small",
    "convnext_tiny",
    "googlenet",
    "inception_v2",
    "inception_v3",
    "mobilenet_v2",
    "resnet18",
    "resnet50",
    "resnet101",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "tf_efficientnet_b0",
    "tf_efficientnet_b1",
    "tf_efficientnet_b2",
    "tf_efficientnet_b3",
    "tf_efficientnet_b4",
    "tf_efficientnet_b5",
    "tf_efficientnet_b6",
    "tf_efficientnet_b7",
    "tf_efficientnet_b8",
    "tf_efficientnetv2_b0",
    "tf_efficientnetv2_b3",
    "tf_efficientnetv2_l",
    "tf_efficientnetv2_m",
    "tf_efficientnetv2_s",
    "vit_base_patch14_dinov2",
    "vit_small_patch14_dinov2",
]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a recipe."""


class Installed(Part, frozen=True, tag_field="name", tag="installed"):
    """A part that a builder makes which an administrator has installed (builders.py)."""

    builder: str
    arguments: dict[str, Any] = {}


class Step(Part, frozen=True):
    """An augmentation that an administrator has installed: it changes whole pictures and moves nothing in them."""

    name: str
    arguments: dict[str, Any] = {}


class Optimizer(Part, frozen=True):
    """Builders: optimizers.py. Biases and norms are never decayed."""

    name: Literal["adamw", "lamb", "sgd"]
    momentum: Share = 0.9  # sgd; a field of the template of that name comes first
    nesterov: bool = True  # sgd with momentum
    weight_decay: Share = 0.0  # where the template has no field of that name
    head_lrate_factor: Positive = 1.0  # the new head's learning rate, over that of a pretrained graph
    clip_norm: Positive | None = None  # largest norm of all gradients together
    arguments: dict[str, Any] = {}  # of a builder that an administrator has installed


class Schedule(Part, frozen=True):
    """Builders: schedules.py. `factor`: what a drop multiplies the rate by (`steps`, `init_step`).

    `steps` drops at the epochs of the field `learning_rate_steps`, or where there is none at the shares `drops` of the
    run; `init_step` after the field `init_epochs`, then each `step_epochs`.
    """

    name: Literal["cosine", "steps", "init_step", "linear", "constant", "poly"] = "cosine"
    factor: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    drops: list[Share] = []
    power: Positive = 0.9  # poly
    arguments: dict[str, Any] = {}


class RandAugment(Part, frozen=True):
    """Magnitude 0..10 with a normal deviation, and how many operations an image gets. Builders: randaugment.py."""

    magnitude: Annotated[float, msgspec.Meta(ge=0, le=10)]
    deviation: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    operations: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2


class Augment(Part, frozen=True):
    """What a training image goes through. Builders: augment.py."""

    steps: tuple[Step, ...] = ()  # first, one after the other
    crop_scale: tuple[Positive, Positive] = (0.08, 1.0)  # share of the picture's area
    crop_ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)  # width over height
    randaugment: RandAugment | None = None
    mixup: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # alpha of the Beta distribution; 0: none
    cutmix: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    flip: Share = 0.0  # how often an image is mirrored, where the template has no field `flip_probability`
    repeats: Annotated[int, msgspec.Meta(ge=1)] = 1  # repeated augmentation: each image so many times in a row


# The name of a file and no path: a person's configuration names such files too, and should reach no others.
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
Repository = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9_.-]+/)?[A-Za-z0-9_.-]*$")]


class Weights(Part, frozen=True):
    """Where pretrained weights of one choice lie: the published files that the network's keys and shapes fit."""

    file: FileName  # <file>.safetensors along the weights path
    hub: list[FileName] = []  # file names in torch hub's cache; they end in the first digits of their SHA-256
    huggingface: Repository = ""  # a repository in Hugging Face's cache that holds model.safetensors


class Variant(Part, frozen=True):
    """What a choice of the field `variant` puts in place of the recipe's own."""

    architecture: str
    weights: dict[str, Weights] = {}
    mean: tuple[float, float, float] | None = None
    deviation: tuple[Positive, Positive, Positive] | None = None


class Base(Part, frozen=True, kw_only=True):
    """What the recipe of every type says."""

    task: str
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    weights: dict[str, Weights] = {}  # by the choices of the field `pretrained_weights`
    variants: dict[str, Variant] = {}  # by the choices of the field `variant`
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of ImageNet, RGB in 0..1
    deviation: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
