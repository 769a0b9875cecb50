"""Checkpoints and the finished model. Only the best is kept, and `model/` is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
from safetensors.torch import save_file
from torch import Tensor, nn

from deepft_lab import spec as job_folder
from deepft_lab.errors import DeepFTError
from deepft_lab.training.weights import load

FORMAT = 2
WEIGHTS = "model.safetensors"
CARD = "model.json"
BEST = "checkpoints/best.safetensors"


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """model.json: all that a predictor needs beside the weights. It makes the task again as it was trained."""

    format: int = FORMAT
    type: str
    recipe: dict[str, Any]
    values: dict[str, Any]
    concepts: list[str]
    exclusive: bool
    template: str
    template_hash: str
    job: str
    version: str
    best_epoch: int
    metrics: dict[str, float | None]
    code_version: str = ""


def save_best(folder: Path, model: nn.Module) -> str:
    """Writes the model's tensors over those of the best before; returns the path within the job folder."""
    path = folder / BEST
    path.parent.mkdir(exist_ok=True)
    tensors: dict[str, Tensor] = {key: tensor.cpu().contiguous() for key, tensor in model.state_dict().items()}
    neighbour = path.with_name(f".{path.name}.tmp")
    save_file(tensors, neighbour)
    with neighbour.open("rb") as file:
        os.fsync(file.fileno())
    neighbour.replace(path)
    return BEST


def publish(folder: Path, card: Card) -> Path:
    """Makes `model/` of the best checkpoint and its card, and takes `checkpoints/` away."""
    made, target = folder / ".model.tmp", folder / "model"
    for left in (made, target):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir()
    (folder / BEST).replace(made / WEIGHTS)
    job_folder.write(made / CARD, card)
    made.replace(target)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return target


def read_card(model_folder: Path) -> Card:
    """The card of a model folder. Raises DeepFTError for a format that this version does not know."""
    card: dict[str, Any] = msgspec.json.decode((model_folder / CARD).read_bytes())
    if card.get("format") != FORMAT:
        raise DeepFTError(f"The model {model_folder} has format {card.get('format')}; this version reads {FORMAT}.")
    return msgspec.convert(card, Card)


def fill(model: nn.Module, model_folder: Path, card: Card) -> None:
    """Loads a model folder's weights, every key and shape checked."""
    load(model, model_folder / WEIGHTS, architecture=str(card.recipe.get("architecture", card.template)))
