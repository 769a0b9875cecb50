"""Visual classification: `build`, `examples`, `loss`, `score`, `predict`. Every task file offers these names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.errors import BadImage, InvalidParams
from deepft_lab.manifest import Manifest
from deepft_lab.records import ConceptValue, Fault, Prediction
from deepft_lab.training import augment, checkpoints, data, metrics, weights
from deepft_lab.training.architectures import ARCHITECTURES
from deepft_lab.training.recipe import Loss, Recipe

UNKNOWN = -1.0  # a target that nobody has stated


def build(recipe: Recipe, concepts: Sequence[str], weights_file: str | Path | None) -> nn.Module:
    """The network with a head for `concepts`, from a random start or from pretrained weights; channels last."""
    architecture = ARCHITECTURES[recipe.architecture]
    model = architecture.build(len(concepts), recipe.stochastic_depth)
    if weights_file is not None:
        weights.load(model, weights_file, architecture=recipe.architecture, head=architecture.head)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def check(recipe: Recipe, values: dict[str, Any]) -> None:
    """Raises InvalidParams where this network cannot take the values."""
    least = ARCHITECTURES[recipe.architecture].least_size
    if values["image_size"] < least:
        reason = f"{recipe.architecture} needs at least {least} pixels."
        raise InvalidParams(
            f"image_size = {values['image_size']}: {reason}", [Fault("image_size", values["image_size"], reason)]
        )


def examples(manifest: Manifest, concepts: Sequence[str], *, exclusive: bool) -> Tensor:
    """Targets of a manifest: float32 [inputs, concepts], 1 present, 0 absent, -1 unknown.

    Where concepts exclude each other, one that is present makes the others absent.
    """
    targets = torch.full((len(manifest.entries), len(concepts)), UNKNOWN)
    places = {concept: place for place, concept in enumerate(concepts)}
    for row, entry in enumerate(manifest.entries):
        for concept, label in entry.labels.items():
            if concept in places:
                targets[row, places[concept]] = float(label)
    if exclusive:
        decided = (targets == 1).any(1, keepdim=True)
        targets = torch.where(decided & (targets == UNKNOWN), torch.zeros_like(targets), targets)
    return targets


def complaints(targets: Tensor, concepts: Sequence[str], *, exclusive: bool) -> list[str]:
    """What a person should know about the training targets before waiting for the end."""
    said = []
    for place, concept in enumerate(concepts):
        column = targets[:, place]
        if not (column == 1).any():
            said.append(f"No input shows {concept!r}: the model cannot learn it.")
        elif not exclusive and not (column == 0).any():
            said.append(f"No input is known to be without {concept!r}: the model will find it everywhere.")
    if exclusive:
        unclear = int(((targets == 1).sum(1) != 1).sum())
        if unclear:
            said.append(
                f"{unclear} inputs do not have exactly one positive concept, though concepts exclude each other."
            )
    return said


def loss(logits: Tensor, targets: Tensor, settings: Loss, *, exclusive: bool) -> Tensor:
    """Mean loss of a batch. Targets 0..1; what is unknown (below 0) counts for nothing."""
    kind = settings.exclusive if exclusive else settings.otherwise
    return LOSSES[kind](logits, targets, settings.label_smoothing)


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    positive = targets.clamp(min=0)
    total = positive.sum(1, keepdim=True)
    shares = positive / total.clamp(min=1e-6)
    shares = shares * (1 - smoothing) + smoothing / targets.shape[1]
    counted = (total[:, 0] > 0).float()
    each = -(shares * functional.log_softmax(logits.float(), 1)).sum(1)
    return (each * counted).sum() / counted.sum().clamp(min=1)


def _binary_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    known = (targets >= 0).float()
    low = smoothing / max(targets.shape[1], 2)
    wanted = low + targets.clamp(min=0) * (1 - smoothing)
    each = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


LOSSES = {"cross_entropy": _cross_entropy, "bce": _binary_cross_entropy}


def score(
    logits: Tensor, targets: Tensor, concepts: Sequence[str], settings: Loss, *, exclusive: bool
) -> tuple[metrics.Figures, dict[str, metrics.Figures]]:
    """Metrics of the whole and by concept; `loss` is that of training, without smoothing."""
    whole, by_concept = metrics.classification(
        values(logits, exclusive=exclusive).numpy(), targets.numpy(), concepts, exclusive=exclusive
    )
    kind = settings.exclusive if exclusive else settings.otherwise
    loss = float(LOSSES[kind](logits, targets, 0.0))
    return {**whole, "loss": loss if math.isfinite(loss) else None}, by_concept


def best_metric(targets: Tensor, *, exclusive: bool) -> str:
    """The metric that chooses the best checkpoint: the one that these validation targets define."""
    if not len(targets):
        return ""
    if exclusive and (targets == 1).any():
        return "accuracy"
    both = ((targets == 1).any(0) & (targets == 0).any(0)).any()
    return "roc_auc_macro" if both else "loss"


def values(logits: Tensor, *, exclusive: bool) -> Tensor:
    """Values 0..1 of the concepts; they add up to 1 where concepts exclude each other."""
    return logits.float().softmax(1) if exclusive else logits.float().sigmoid()


class Predictor:
    """A finished model in memory, ready for pictures."""

    def __init__(self, model_folder: Path) -> None:
        self.card = checkpoints.read_card(model_folder)
        model = ARCHITECTURES[self.card.architecture].build(len(self.card.concepts), 0.0)
        checkpoints.fill(model, model_folder, self.card)
        self.model = model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.normalise = augment.normaliser(self.card.mean, self.card.deviation)


def predict(predictor: Predictor, pictures: Sequence[bytes]) -> list[Prediction]:
    """One prediction a picture, values highest first; a picture that cannot be read gets its error in words."""
    card = predictor.card
    found: list[Prediction | None] = [None] * len(pictures)
    pixels: dict[int, Tensor] = {}
    for place, content in enumerate(pictures):
        try:
            stored = torch.from_numpy(numpy.array(data.decode(content, card.image_size)))
            pixels[place] = augment.test_pixels(stored, card.image_size, card.test_crop)
        except BadImage as error:
            found[place] = Prediction(error=error.message)
    if pixels:
        with torch.inference_mode():
            logits = predictor.model(predictor.normalise(torch.stack(list(pixels.values()))))
        for place, row in zip(pixels, values(logits, exclusive=card.exclusive).tolist(), strict=True):
            ordered = sorted(zip(card.concepts, row, strict=True), key=lambda pair: -pair[1])
            found[place] = Prediction(concepts=[ConceptValue(concept, value) for concept, value in ordered])
    return [prediction for prediction in found if prediction is not None]
