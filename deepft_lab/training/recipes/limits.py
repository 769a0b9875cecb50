"""What a network takes of values that each by itself are sound: sizes, ratios, files. Told before a job is queued.

A run checks it once more when it begins, for jobs that no lab has checked. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deepft_lab.records import Fault
from deepft_lab.training.recipes import advanced, backbones, builders
from deepft_lab.training.recipes.detector import Detector
from deepft_lab.training.recipes.parts import Base, Installed
from deepft_lab.training.recipes.segmenter import Segmenter

LEAST_SIDE = backbones.Takes().least  # pixels
LEAST_SIDES = {"inception_v3": 75, "vit_base_patch14_dinov2": 14, "vit_small_patch14_dinov2": 14}  # architectures.py
_SIZES = ("image_size", "random_resize_lower", "random_resize_upper")


def check(plan: Base, values: Mapping[str, Any]) -> list[Fault]:
    """Faults of values for a settled recipe. A value that is wrong by itself, and told already, is None here."""
    found: dict[str, Fault] = {}
    every = (*_of_counts(values), *_of_sizes(plan, values), *_of_weights(plan, values), *_of_balance(plan, values))
    for fault in every:
        found.setdefault(fault.field, fault)
    return list(found.values())


def _of_counts(values: Mapping[str, Any]) -> Iterator[Fault]:
    """What a template of one's own may allow by mistake."""
    for name, least in (("batch_size", 1), ("num_epochs", 1), ("per_item_lrate", 0), ("lrate", 0)):
        value = values.get(name)
        if isinstance(value, (int, float)) and value < least:
            yield Fault(name, value, f"It must be at least {least}.")


def _of_sizes(plan: Base, values: Mapping[str, Any]) -> Iterator[Fault]:
    size = values.get("image_size")
    for name in _SIZES:
        sides = values.get(name)
        if isinstance(sides, list) and (len(sides) > 2 or (name == "image_size" and not sides)):
            yield Fault(name, sides, "It has one value, the shorter side, or two: width and height.")
    low, high = (values.get(name) or size for name in _SIZES[1:])
    if isinstance(low, list) and isinstance(high, list) and _crossed(low, high):
        reason = f"The upper end is below the lower one, {low}; an end that is left empty is the image size."
        yield Fault("random_resize_upper", high, reason)
    if isinstance(plan, Detector) and isinstance(size, list):
        if values.get("keep_aspect_ratio") and len(size) == 2:
            reason = "With keep_aspect_ratio it has one value, the shorter side. Turn that off to give two."
            yield Fault("image_size", size, reason)
        if plan.sizes and (len(size) != 1 or size[0] not in plan.sizes):
            yield Fault("image_size", size, f"It is one of {', '.join(map(str, plan.sizes))}.")
        if values.get("anchor_ratios") == []:
            yield Fault("anchor_ratios", [], "It has one ratio at least, such as 1.0.")
    elif isinstance(plan, Segmenter):
        sides = size if isinstance(size, list) else [size]
        if any(isinstance(side, (int, float)) and side < LEAST_SIDE for side in sides):
            yield Fault("image_size", size, f"{plan.network} needs at least {LEAST_SIDE} pixels.")
    elif isinstance(size, (int, float)) and not values.get("base_model"):  # a version brings its own size
        network = str(getattr(plan, "architecture", ""))
        if reason := _of_side(network, size):
            yield Fault("image_size", size, reason)


def _of_side(network: str, side: float) -> str:
    """Why a classifier's network takes no square pictures of this side, in pixels, or nothing."""
    has = backbones.takes(network)
    least = LEAST_SIDES.get(network.rpartition("/")[2], has.least)
    if has.only and side != has.only:
        return f"{network} takes {has.only} pixels and no other size."
    if side < least:
        return f"{network} needs at least {least} pixels."
    if side % has.multiple:
        above = max(least, (int(side) // has.multiple + 1) * has.multiple)
        near = " or ".join(str(option) for option in (above - has.multiple, above) if option >= least)
        return f"{network} takes multiples of {has.multiple} pixels, such as {near}."
    return ""


def _crossed(low: list[int], high: list[int]) -> bool:
    """Whether one of the sides is larger at the lower end; a single value is that of both."""
    both = zip(low * (3 - len(low)), high * (3 - len(high)), strict=False)
    return any(lower > upper for lower, upper in both)


def _of_weights(plan: Base, values: Mapping[str, Any]) -> Iterator[Fault]:
    if values.get("pretrained_weights") == advanced.FIELD and advanced.FIELD not in plan.weights:
        reason = "The configuration names no file: say `weights: {file: ...}` there, or choose None."
        yield Fault("pretrained_weights", advanced.FIELD, reason)


def _of_balance(plan: Base, values: Mapping[str, Any]) -> Iterator[Fault]:
    if values.get("class_weights") != "balanced":
        return
    kind, name = "loss", getattr(getattr(plan, "loss", None), "name", "")
    if isinstance(plan, Detector):
        kind, name = "head", plan.head.builder if isinstance(plan.head, Installed) else ""
    if builders.find(kind, name) is not None:
        reason = f"The installed {kind} {name} knows no weights of concepts: take none."
        yield Fault("class_weights", "balanced", reason)
