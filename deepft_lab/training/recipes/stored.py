"""At which side pictures are decoded and kept: it follows from a recipe and its values. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.recipes.detector import Detector
from deepft_lab.training.recipes.embedder import Embedder
from deepft_lab.training.recipes.parts import Augment
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.recipes.transfer import Transfer

_MAPS = 1.5  # over the side that a segmenter sees: enlarged pictures still find detail


@singledispatch
def stored_side(plan: Any, values: Mapping[str, Any]) -> int:
    """Least shorter side in pixels for training, validation and prediction, by a settled recipe."""
    raise NotImplementedError(type(plan).__name__)


def kept_side(plan: Any, values: Mapping[str, Any]) -> int | None:
    """The shorter side at which pictures are decoded and kept; None, by `decode: full`, for whole pictures."""
    return None if values.get("decode") == "full" else stored_side(plan, values)


@stored_side.register
def _classifier(plan: Classifier, values: Mapping[str, Any]) -> int:
    return _whole(values["image_size"], plan.augment, plan.test_crop)


@stored_side.register
def _embedder(plan: Embedder, values: Mapping[str, Any]) -> int:
    return _whole(values["image_size"], plan.augment, plan.test_crop)


@stored_side.register
def _detector(plan: Detector, values: Mapping[str, Any]) -> int:
    """That of the largest size at which the network sees pictures."""
    sizes = [values["image_size"], values.get("random_resize_upper") or values["image_size"]]
    return max(max(int(side) for side in size) for size in sizes)


@stored_side.register
def _segmenter(plan: Segmenter, values: Mapping[str, Any]) -> int:
    size = values["image_size"]
    return math.ceil(min([size] if isinstance(size, int) else size) * _MAPS)


@stored_side.register
def _transfer(plan: Transfer, values: Mapping[str, Any]) -> int:
    """That of the version that gives the embeddings, or of the backbone as in prediction."""
    if plan.base is None:
        return _whole(values["image_size"], Augment(), plan.test_crop)
    from deepft_lab.training import recipes

    base = plan.base
    return stored_side(recipes.plan(base.recipe, base.type, base.values), base.values)


def _whole(size: int, augment: Augment, test_crop: float) -> int:
    """Pixels are read again and again, so no more are kept than help.

    A crop half-way between the smallest and the whole picture keeps its detail, and so does what validation sees. A
    smaller crop is enlarged a little, as with any folder of pictures that was made smaller beforehand.
    """
    smallest = math.sqrt(min(augment.crop_scale[0], 1.0))  # its side, over the picture's
    return math.ceil(round(size * max(1 / test_crop, 1 / math.sqrt(smallest)), 6))
