"""The best weights of a run and the finished model. `model/` is there whole or not at all."""

from __future__ import annotations

import errno
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
CHECKPOINTS = "checkpoints"  # of the job folder; also state.py's


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
    weights: dict[str, str] = {}  # the pretrained file that it began from: its name and SHA-256


def best_path(epoch: int) -> str:
    """Where the best weights lie within the job folder while it is this epoch's."""
    return f"{CHECKPOINTS}/best-{epoch}.safetensors"


def save_best(folder: Path, model: nn.Module, epoch: int) -> str:
    """Writes the tensors of the best epoch so far; returns the path within the job folder.

    Those of the best before stay until :func:`forget` takes them: the state of a resumable run may name them.
    """
    path = folder / best_path(epoch)
    path.parent.mkdir(exist_ok=True)
    tensors: dict[str, Tensor] = {key: tensor.cpu().contiguous() for key, tensor in model.state_dict().items()}
    neighbour = path.with_name(f".{path.name}.tmp")
    try:
        save_file(tensors, neighbour)
        with neighbour.open("rb") as file:
            os.fsync(file.fileno())
        neighbour.replace(path)
    except BaseException as error:
        neighbour.unlink(missing_ok=True)
        if type(error).__name__ == "SafetensorError" and "os error" in str(error):  # its own word for a full disk
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    return best_path(epoch)


def forget(folder: Path, keep: set[int]) -> None:
    """Removes the weights of epochs that are the best no longer."""
    kept = {Path(best_path(epoch)).name for epoch in keep}
    for path in (folder / CHECKPOINTS).glob("best-*.safetensors"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def publish(folder: Path, card: Card) -> Path:
    """Makes `model/` of the best weights and its card. `checkpoints/` stays, so that a kill now loses nothing."""
    made, target = folder / ".model.tmp", folder / "model"
    for left in (made, target):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir()
    best = folder / best_path(card.best_epoch)
    try:
        os.link(best, made / WEIGHTS)
    except OSError:  # a file system without links
        shutil.copyfile(best, made / WEIGHTS)
    job_folder.write(made / CARD, card)
    made.replace(target)
    return target


def clear(folder: Path) -> None:
    """Takes `checkpoints/` away, once a run's model and its result are there."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def read_card(model_folder: Path) -> Card:
    """The card of a model folder. Raises DeepFTError for a format that this version does not know."""
    card: dict[str, Any] = msgspec.json.decode((model_folder / CARD).read_bytes())
    if card.get("format") != FORMAT:
        raise DeepFTError(f"The model {model_folder} has format {card.get('format')}; this version reads {FORMAT}.")
    return msgspec.convert(card, Card)


def fill(model: nn.Module, model_folder: Path, card: Card) -> None:
    """Loads a model folder's weights, every key and shape checked."""
    load(model, model_folder / WEIGHTS, architecture=str(card.recipe.get("architecture", card.template)))
