"""What a template's recipe may say, by the type of its model. No torch: the catalog reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepft_lab import params
from deepft_lab.records import Fault, Template
from deepft_lab.training.recipes import advanced
from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.recipes.detector import Detector
from deepft_lab.training.recipes.embedder import Embedder
from deepft_lab.training.recipes.parts import Base, Part
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.recipes.settled import settled
from deepft_lab.training.recipes.transfer import Transfer

__all__ = ["NEEDED_FIELDS", "RECIPES", "Base", "Part", "check", "read", "settled"]

RECIPES: dict[str, type[Base]] = {
    "visual-classifier": Classifier,
    "visual-segmenter": Segmenter,
    "visual-detector": Detector,
    "visual-embedder": Embedder,
    "embedding-classifier": Transfer,
}

# Fields that the training code reads; each template of the type must have them.
NEEDED_FIELDS: dict[str, tuple[str, ...]] = {
    "visual-classifier": ("image_size", "batch_size", "num_epochs", "per_item_lrate or lrate"),
    "visual-detector": ("image_size", "batch_size", "num_epochs", "per_item_lrate"),
    "visual-segmenter": ("image_size", "batch_size", "num_epochs", "per_item_lrate", "weight_decay"),
    "visual-embedder": ("image_size", "batch_size", "num_epochs", "per_item_lrate or lrate"),
    "embedding-classifier": ("image_size", "batch_size", "num_epochs", "per_item_lrate or lrate"),
}


def read(recipe: dict[str, Any], model_type: str) -> Base:
    """The recipe of a template that the catalog has checked."""
    return msgspec.convert(recipe, RECIPES[model_type])


def check(template: Template, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """As params.check, and what only the recipe knows: sizes of one or two values, an advanced configuration."""
    complete, faults = params.check(template.fields, values)
    wrong = {fault.field for fault in faults}
    size, text = complete.get("image_size"), complete.get(advanced.FIELD)
    if isinstance(size, list) and len(size) not in (1, 2) and "image_size" not in wrong:
        faults.append(Fault("image_size", size, "It is one value, or two: width and height."))
    plan = read(template.recipe, template.type)
    if isinstance(text, str) and advanced.FIELD not in wrong and type(plan) in advanced.CONFIGS:
        faults += advanced.check(plan, text)
    return complete, faults
