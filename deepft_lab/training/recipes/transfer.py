"""The recipe of an embedding classifier: a linear layer over frozen embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from deepft_lab.records import Template
from deepft_lab.training.recipes.classifier import Loss
from deepft_lab.training.recipes.parts import Augment, Backbone, Base, Part, Positive, Share

CARD, WEIGHTS = "model.json", "model.safetensors"  # files of a model folder (checkpoints.py)


class BaseModel(Part, frozen=True):
    """The trained version that gives the embeddings, as its model folder states it."""

    type: str
    recipe: dict[str, Any]
    values: dict[str, Any]
    concepts: list[str]
    exclusive: bool


class Transfer(Base, frozen=True, kw_only=True):
    """An embedding classifier. `base` is filled in when a job is made; without one it is `architecture`."""

    architecture: Backbone
    task: Literal["transfer"] = "transfer"
    base: BaseModel | None = None
    loss: Loss = Loss(exclusive="cross_entropy")
    augment: Augment = Augment()  # embeddings are computed once, of the picture as it is
    dropout: Share = 0.0
    embedding_length: Positive = 16.0  # to which each embedding is brought
    test_crop: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.875  # share of the shorter side that is seen


def on_base(template: Template, model_folder: Path) -> Template:
    """The template with the version of a model folder as its base."""
    card = msgspec.json.decode((model_folder / CARD).read_bytes())
    base = {name: card[name] for name in BaseModel.__struct_fields__}
    return msgspec.structs.replace(template, recipe={**template.recipe, "base": base})
