"""What a template's recipe may say, by the type of its model. No torch: the catalog reads it."""

from __future__ import annotations

from typing import Any

import msgspec

from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.recipes.detector import Detector
from deepft_lab.training.recipes.embedder import Embedder
from deepft_lab.training.recipes.parts import Base, Part
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.recipes.settled import settled
from deepft_lab.training.recipes.transfer import Transfer

__all__ = ["NEEDED_FIELDS", "RECIPES", "Base", "Part", "read", "settled"]

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
