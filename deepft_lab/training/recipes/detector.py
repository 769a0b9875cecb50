"""The recipe of a visual detector: a backbone, a neck and a head by their registered names, and typed arguments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from deepft_lab.training.recipes.levels import at_level
from deepft_lab.training.recipes.parts import Base, Installed, Part, Positive, Share, Step

Count = Annotated[int, msgspec.Meta(ge=1)]
Shapes = Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1)]
Strides = Annotated[tuple[Count, ...], msgspec.Meta(min_length=1, max_length=8)]


class Backbone(Part, frozen=True):
    """A network that gives feature maps. Builders: detection/backbones.py."""

    name: str  # of torchvision (mobilenet_v2, resnet50 ...), `timm:<name>`, or csp_darknet
    strides: Strides = (8, 16, 32)
    norms: Literal["train", "frozen"] = "train"  # frozen: pretrained norms keep their statistics and are not trained
    arguments: dict[str, float] = {}  # csp_darknet: depth, width


class Neck(Part, frozen=True):
    """What stands between backbone and head. Builders: detection/necks.py."""

    name: Literal["fpn", "pafpn", "dilated_encoder", "hybrid_encoder", "none"]
    channels: Count = 256
    more_levels: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0  # coarser levels than the backbone's, by halving
    finest: Annotated[int, msgspec.Meta(ge=0)] = 0  # how many of the maps the head sees; 0: all
    norm: Literal["none", "batch"] = "none"
    depth: Positive = 1.0
    arguments: dict[str, Any] = {}  # of a builder that an administrator has installed


class Anchors(Part, frozen=True):
    """Shapes of anchors: fitted to the training boxes, or `scales` x stride at each of the ratios width / height."""

    fitted: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0  # shapes a level; 0: the regular ones below
    scales: Shapes = (4.0,)
    ratios: Shapes = (0.5, 1.0, 2.0)
    offset: Share = 0.5  # of an anchor's middle within its place; torchvision's networks have 0
    sides: tuple[Positive, ...] = ()  # SSD's: shares of the picture's side, one more than levels
    side_ratios: tuple[tuple[Positive, ...], ...] = ()  # SSD's: ratios of each level, beside the squares


class TwoStage(Part, frozen=True, tag_field="name", tag="two_stage"):
    """Faster R-CNN (arXiv 1506.01497): proposals, then regions of interest. Builder: detection/two_stage.py."""

    anchors: Anchors = Anchors()
    proposal_convolutions: Count = 1
    proposal_channels: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: those of the neck
    proposals: tuple[Count, Count] = (1000, 1000)  # kept an image, in training and in prediction
    candidates: tuple[Count, Count] = (2000, 1000)  # a level, before the overlapping ones are taken away
    anchor_iou: tuple[Share, Share] = (0.3, 0.7)  # an anchor is no object below the first, and one from the second
    proposal_samples: Count = 256
    region_samples: Count = 512
    region_positives: Share = 0.25
    region_sampling: Count = 2  # points a bin and direction that a region's features are read at
    jittered: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0  # moved copies of each true box to learn regions from
    balanced: bool = False  # each box gets as many examples among the anchors, each concept among the regions
    region_convolutions: Annotated[int, msgspec.Meta(ge=0)] = 0  # 3x3 with batch norm, before the linear layers
    region_levels: Count = 4  # finest levels that regions are read from
    hidden: tuple[Count, ...] = (1024, 1024)
    per_class_boxes: bool = True
    giou: bool = False  # else smooth L1 in the space of the regression
    box_weight: Positive = 1.0


class Dense(Part, frozen=True, tag_field="name", tag="dense"):
    """One stage, a prediction for each anchor. Builder: detection/dense.py."""

    anchors: Anchors = Anchors()
    assigner: Literal["overlap", "uniform"] = "overlap"
    positive_iou: Share = 0.5
    negative_iou: Share = 0.4
    towers: Literal["retinanet", "yolof", "none", "separable"] = "retinanet"
    loss: Literal["focal", "hard_examples", "softmax_hard_examples"] = "focal"
    boxes: Literal["giou", "smooth_l1", "l1"] = "smooth_l1"
    box_weight: Positive = 1.0
    coder: tuple[Positive, Positive] = (1.0, 1.0)  # weights of shifts and sizes in the space of the regression
    per_class_boxes: bool = False


class Yolox(Part, frozen=True, tag_field="name", tag="yolox"):
    """YOLOX (arXiv 2107.08430): no anchors, a decoupled head, SimOTA. Builder: detection/yolox.py."""

    channels: Count = 256


class Queries(Part, frozen=True, tag_field="name", tag="queries"):
    """RT-DETR's decoder (arXiv 2304.08069). Builder: detection/queries.py."""

    queries: Count = 300
    layers: Count = 3
    denoising: Annotated[int, msgspec.Meta(ge=0)] = 100  # noised copies of an image's boxes in training; 0: none


class Found(Part, frozen=True):
    """What becomes of a network's boxes."""

    least_score: Share = 0.05
    most_iou: Share = 0.5  # with a better box of the same concept
    most: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100  # an image


class BoxAugment(Part, frozen=True):
    """What a training image and its boxes go through. Builders: detection/pictures.py."""

    steps: tuple[Step, ...] = ()  # first, one after the other
    zoom: tuple[Positive, Positive] = (1.0, 1.0)  # below 1 the picture shrinks on its canvas, above 1 it is cropped
    zoom_probability: Share = 1.0
    shift: Annotated[int, msgspec.Meta(ge=0)] = 0  # pixels at most, each way
    brightness: Share = 0.0  # largest change, as a share
    contrast: Share = 0.0
    saturation: Share = 0.0


class Detector(Base, frozen=True, kw_only=True):
    """A visual detector."""

    task: Literal["detect"] = "detect"
    backbone: Backbone
    neck: Neck
    head: TwoStage | Dense | Yolox | Queries | Installed
    augment: BoxAugment = BoxAugment()
    found: Found = Found()
    keys: Literal["own", "faster_rcnn", "retinanet", "ssd", "rt_detr"] = (
        "own"  # names in a detector's file: detection/published.py
    )
    # What the file of each pretrained choice holds; a normalised backbone has seen pictures normalised as ImageNet's.
    starts: dict[str, Literal["backbone", "normalised_backbone", "detector"]] = {}
    sizes: tuple[Count, ...] = ()  # the only values of `image_size`; none: any
    backbone_lrate_factor: Positive = 1.0
    frozen_stages: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0  # of a pretrained backbone, unless a field says


@at_level.register
def _boxes(augment: BoxAugment, level: str) -> BoxAugment:
    if level == "none":
        return BoxAugment()
    if level == "light":
        return msgspec.structs.replace(augment, zoom=(0.8, 1.25), shift=0, brightness=0.1, contrast=0.1, saturation=0.1)
    return msgspec.structs.replace(augment, zoom=(0.5, 2.0), shift=32, brightness=0.4, contrast=0.4, saturation=0.4)
