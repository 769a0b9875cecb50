"""What a template's recipe may say, by the type of its model. No torch: the catalog reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepft_lab import params
from deepft_lab.records import Fault, Template
from deepft_lab.training.recipes import advanced, limits
from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.recipes.detector import Detector
from deepft_lab.training.recipes.embedder import Embedder
from deepft_lab.training.recipes.levels import with_level
from deepft_lab.training.recipes.parts import Base, Part
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.recipes.settled import settled
from deepft_lab.training.recipes.stored import kept_side, stored_side
from deepft_lab.training.recipes.transfer import Transfer

__all__ = ["NEEDED_FIELDS", "RECIPES", "Base", "Part", "check", "kept_side", "plan", "read", "settled", "stored_side"]

RECIPES: dict[str, type[Base]] = {
    "visual-classifier": Classifier,
    "visual-segmenter": Segmenter,
    "visual-detector": Detector,
    "visual-embedder": Embedder,
    "embedding-classifier": Transfer,
}

# Fields that the training code reads; each template of the type must have them.
NEEDED_FIELDS: dict[str, tuple[str, ...]] = dict.fromkeys(
    RECIPES, ("image_size", "batch_size", "num_epochs", "per_item_lrate or lrate")
)


def read(recipe: dict[str, Any], model_type: str) -> Base:
    """The recipe of a template that the catalog has checked."""
    return msgspec.convert(recipe, RECIPES[model_type])


def plan(recipe: dict[str, Any], model_type: str, values: Mapping[str, Any]) -> Base:
    """The recipe of a template that the catalog has checked, with what the values choose in its place.

    Its augmentation too: none, light or strong in place of the template's.
    """
    return with_level(settled(read(recipe, model_type), values), values.get("augmentation", "template"))


def check(template: Template, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """As params.check, and what only the recipe knows: an advanced configuration, and the limits of its network."""
    complete, faults = params.check(template.fields, values)
    wrong = {fault.field for fault in faults}
    stated, text = read(template.recipe, template.type), complete.get(advanced.FIELD)
    if isinstance(text, str) and advanced.FIELD not in wrong and type(stated) in advanced.CONFIGS:
        of_text = advanced.check(stated, text)
        if of_text:
            return complete, faults + of_text
    if advanced.FIELD not in wrong:
        sound = {name: None if name in wrong else value for name, value in complete.items()}
        faults += limits.check(settled(stated, sound), sound)
    return complete, faults
