"""Pretrained files: an ImageNet classifier's into the backbone, or a whole detector's under its own names."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from deepft_lab.training import weights
from deepft_lab.training.detection import rt_detr_keys
from deepft_lab.training.detection.network import Network
from deepft_lab.training.recipes.detector import Detector

# How torchvision's detectors name what we call backbone, neck and head.
NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "own": (),
    "faster_rcnn": (
        ("backbone.body.", "backbone."),
        ("backbone.fpn.", "neck."),
        ("rpn.", "head.rpn."),
        ("roi_heads.", "head.roi_heads."),
    ),
    "retinanet": (("backbone.body.", "backbone."), ("backbone.fpn.", "neck."), ("head.", "head.")),
    "ssd": (("backbone.", "backbone."), ("head.", "head.")),
}


IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OURS: tuple[str, ...] = ("head.shapes",)  # what we keep beside the weights


def fill(made: Network, path: str | Path, plan: Detector, kind: str) -> None:
    """Loads a file into the backbone (`kind` backbone) or into all but what depends on the concepts (detector).

    A `normalised_backbone` has learned from pictures normalised as ImageNet's, where the recipe normalises otherwise.
    Raises WrongWeights unless every key and shape fits.
    """
    target: nn.Module = made
    found, left_out, kept = weights.read(path), tuple(getattr(made.head, "new", ())), OURS
    loose: tuple[str, ...] = ()
    architecture = f"{plan.keys} on {plan.backbone.name}"
    if kind != "detector":
        target, left_out, kept = made.backbone, made.backbone.published_head(), ()
        found = {made.backbone.own_name(key): tensor for key, tensor in found.items()}
        architecture = plan.backbone.name
    else:
        found, loose = renamed(found, plan.keys), tuple(getattr(made.head, "loose", ()))
    own = target.state_dict()
    if kind == "normalised_backbone":
        found = _for_plain_pixels(found, own, plan)
    counters = {key: own[key] for key in own.keys() - found.keys() if key.endswith("num_batches_tracked")}
    found |= counters  # norms that stood still, and old files, do not count the batches that they have seen
    kept += tuple(key for key in own if key.startswith(loose) and key in found and found[key].shape != own[key].shape)
    given, wanted = (
        {key: tensor for key, tensor in tensors.items() if not key.startswith(left_out) and key not in kept}
        for tensors in (found, own)
    )
    weights.fit(wanted, given, path=path, architecture=architecture)
    target.load_state_dict({**own, **given})


def _for_plain_pixels(found: dict[str, Tensor], own: dict[str, Tensor], plan: Detector) -> dict[str, Tensor]:
    """The same network (but at the very border) for pictures as the recipe normalises them.

    Its first convolution takes over what the other normalisation did, and the first norm its constant part.
    """
    first = next((key for key in own if own[key].ndim == 4), "")
    norm = next((key for key in own if key.endswith("running_mean")), "")
    if first not in found or norm not in found:
        return found
    mean, deviation, old_mean, old_deviation = (
        torch.tensor(some)[:, None, None] for some in (plan.mean, plan.deviation, IMAGENET_MEAN, IMAGENET_DEVIATION)
    )
    weight = found[first]
    constant = (weight * (mean - old_mean) / old_deviation).sum((1, 2, 3))
    return {**found, first: weight * deviation / old_deviation, norm: found[norm] - constant}


def renamed(tensors: dict[str, Tensor], keys: str) -> dict[str, Tensor]:
    """A file's tensors under our names."""
    if keys == "rt_detr":
        return rt_detr_keys.renamed(tensors)
    found = {}
    for key, tensor in tensors.items():
        for theirs, ours in NAMES[keys]:
            if key.startswith(theirs):
                key = ours + key.removeprefix(theirs)
                break
        found[key] = tensor
    return found
