"""Pretrained files: an ImageNet classifier's into the backbone, or a whole detector's under its own names."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from deepft_lab.training import weights
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


OURS: tuple[str, ...] = ("head.shapes",)  # what we keep beside the weights


def fill(made: Network, path: str | Path, plan: Detector, kind: str) -> None:
    """Loads a file into the backbone (`kind` backbone) or into all but what depends on the concepts (detector).

    Raises WrongWeights unless every key and shape fits.
    """
    target: nn.Module = made
    found, left_out, kept = weights.read(path), tuple(made.head.new), OURS  # type: ignore[arg-type]
    loose: tuple[str, ...] = ()
    architecture = f"{plan.keys} on {plan.backbone.name}"
    if kind == "backbone":
        target, left_out, kept = made.backbone, made.backbone.published_head(), ()
        found = {made.backbone.own_name(key): tensor for key, tensor in found.items()}
        architecture = plan.backbone.name
    else:
        found, loose = renamed(found, plan.keys), tuple(made.head.loose)  # type: ignore[arg-type]
    own = target.state_dict()
    kept += tuple(key for key in own if key.startswith(loose) and key in found and found[key].shape != own[key].shape)
    given, wanted = (
        {key: tensor for key, tensor in tensors.items() if not key.startswith(left_out) and key not in kept}
        for tensors in (found, own)
    )
    weights.fit(wanted, given, path=path, architecture=architecture)
    target.load_state_dict({**own, **given})


def renamed(tensors: dict[str, Tensor], keys: str) -> dict[str, Tensor]:
    """A file's tensors under our names."""
    found = {}
    for key, tensor in tensors.items():
        for theirs, ours in NAMES[keys]:
            if key.startswith(theirs):
                key = ours + key.removeprefix(theirs)
                break
        found[key] = tensor
    return found
