"""What values of Clarifai's parameter files become here, where a name or a value is another one.

    values, notes, faults = counterparts.of(template, train_params, beside=())

What has no counterpart becomes what our template does instead, and a note says so; nothing is left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from deepft_lab.records import Fault

TRANSFER = "embedding-classifier"  # which has no template there
_TRANSFER_NAMES = ("base_embed_model", "enrich_dataset")
_ADVANCED = ("MMClassification_AdvancedConfig", "MMDetection_AdvancedConfig", "MMSegmentation_AdvancedConfig")
_FROM_IMAGENET = ("MMDetection_YoloF", "MMDetection_YOLOX")  # whose COCO files another toolkit alone can read
_VERSION = re.compile(r"([A-Za-z0-9_-]+/)?v[0-9]+")
BACKBONES = ("mobilenet_v2", "resnet50", "convnext_tiny", "vit_small_patch14_dinov2")  # of transfer-linear


def type_of(template: str | None, values: Mapping[str, Any]) -> str | None:
    """The type that a file without a template is for, where its names tell."""
    return TRANSFER if template is None and any(name in values for name in _TRANSFER_NAMES) else None


def of(
    template: str | None, values: Mapping[str, Any], beside: Collection[str] = ()
) -> tuple[dict[str, Any], list[str], list[Fault]]:
    """The values under our names, notes of what they became, and faults. `beside`: what is given besides the file."""
    found, notes, faults = dict(values), list[str](), list[Fault]()
    if template in _FROM_IMAGENET:
        _weights(found, notes, beside)
    if template in _ADVANCED:
        _size(template, found, notes)
    if "custom_config" in found:
        _configuration(found, notes, faults, beside)
    if type_of(template, found):
        _transfer(found, notes, faults, beside)
    if version := found.pop("resume_from_model", None):
        notes.append(f"resume_from_model = {version!r} is left out: resume_from begins from a version of yours.")
    return found, notes, faults


def _weights(found: dict[str, Any], notes: list[str], beside: Collection[str]) -> None:
    """`load_from` is YOLOX's: empty, `coco` or a URL."""
    given = {name: found.pop(name) for name in ("load_from", "pretrained_weights") if name in found}
    if not given or "pretrained_weights" in beside:
        return
    wanted = given.get("load_from") or given.get("pretrained_weights")
    if "load_from" in given and not wanted:
        found["pretrained_weights"] = "None"
        notes.append(
            "load_from is empty, so training begins at random (pretrained_weights = None), which needs thousands of "
            "images. pretrained_weights = ImageNet-1k begins with a pretrained backbone."
        )
    elif wanted == "coco" or given.get("load_from"):
        found["pretrained_weights"] = "ImageNet-1k"
        said = " and ".join(f"{name} = {value!r}" for name, value in given.items())
        notes.append(
            f"{said} became pretrained_weights = ImageNet-1k: the whole detector's file is for another toolkit, so "
            "training begins with a backbone that was trained on ImageNet-1k."
        )
    else:
        found["pretrained_weights"] = wanted


def _size(template: str | None, found: dict[str, Any], notes: list[str]) -> None:
    size = found.get("image_size")
    if size is None:
        return
    notes.append(f"image_size = {size!r} is that of training and prediction here; there it was that of prediction.")
    if template == _ADVANCED[0] and isinstance(size, list) and len(size) == 1:  # the classifier's is one number
        found["image_size"] = size[0]


def _configuration(found: dict[str, Any], notes: list[str], faults: list[Fault], beside: Collection[str]) -> None:
    config = found.pop("custom_config")
    if config and ("config" in found or "config" in beside):
        notes.append(f"custom_config = {config!r} is left out: config stands for it.")
    elif config:
        reason = "It is Python, which is not run here: write the configuration as YAML into config (docs/advanced.md)."
        faults.append(Fault("custom_config", config, reason))


def _transfer(found: dict[str, Any], notes: list[str], faults: list[Fault], beside: Collection[str]) -> None:
    enriched = found.pop("enrich_dataset", None)
    if enriched == "Automatic":
        notes.append(
            "enrich_dataset = Automatic is left out: no inputs of other places are added as negatives. Say of inputs "
            "what they do not show: app.annotate(inputs, negative=...)."
        )
    elif enriched not in (None, "Disabled"):
        faults.append(Fault("enrich_dataset", enriched, "It is Automatic or Disabled."))
    model = found.pop("base_embed_model", None)
    if not model or {"base_model", "backbone"} & {*found, *beside}:
        return
    if isinstance(model, str) and _VERSION.fullmatch(model):
        found["base_model"] = model
    elif model in BACKBONES:
        found["backbone"] = model
    else:
        notes.append(
            f"base_embed_model = {model!r} is no version of this app: the embeddings are those of the template's "
            "backbone. base_model names a version of yours, such as my-model/v3; backbone another network."
        )
