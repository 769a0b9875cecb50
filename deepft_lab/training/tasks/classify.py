"""Visual classification: concepts of whole pictures."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.manifest import Manifest
from deepft_lab.records import ConceptValue, Fault, Prediction
from deepft_lab.training import architectures, augment, data, head_start, metrics, norms, weights
from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.classifier import Loss
from deepft_lab.training.task import Batch, Figures, Scorer, Task, at_least

UNKNOWN = -1.0  # a target that nobody has stated


class Classify(Task):
    """Targets: float32 [n, concepts], 1 present, 0 absent, -1 unknown. Outputs: logits [concepts]."""

    _width = 0  # features that the last layer of the network of `build` takes
    _given = False  # whether a file of pretrained weights filled the network
    balanced: Tensor | None = None  # weights of targets by `class_weights`, [2, concepts]: absent, present

    @cached_property
    def architecture(self) -> architectures.Architecture:
        return architectures.find(self.plan.architecture)

    @property
    def softmax(self) -> bool:
        """Values add up to 1: the concepts exclude each other, and nobody asked for outputs that stand alone."""
        return self.exclusive and self.values.get("logreg") != 1

    def faults(self) -> list[Fault]:
        if self.values.get("logreg") != 0 or self.exclusive:
            return []
        return [Fault("logreg", 0, "0 is a softmax, and here inputs have several concepts or none. Take 1.")]

    @property
    def flip(self) -> augment.Flip:
        """What the fields say of mirroring, or the recipe where there are none."""
        if "flip_probability" in self.values:
            return augment.flip_of(self.values)
        wanted = self.values.get("average_horizontal_flips", True)
        return augment.Flip(self.plan.augment.flip if wanted else 0.0, "horizontal")

    @property
    def repeats(self) -> int:
        return self.plan.augment.repeats

    def train_batch(
        self, pictures: Sequence[Tensor], targets: Sequence[Any], randoms: Sequence[numpy.random.Generator]
    ) -> Batch:
        size, flip = self.values["image_size"], self.flip
        images = augment.train_images(self.changed(pictures, randoms), size, self.plan.augment, flip, randoms)
        return Batch(images, torch.stack(list(targets)))

    def test_batch(self, pictures: Sequence[Tensor], targets: Sequence[Any] | None = None) -> Batch:
        size = self.values["image_size"]
        images = augment.empty_batch(len(pictures), size, size)
        for place, picture in enumerate(pictures):
            images[place] = augment.test_pixels(picture, size, self.plan.test_crop)
        return Batch(images, None if targets is None else torch.stack(list(targets)))

    def prepare(self, batch: Batch, random: numpy.random.Generator | None = None) -> Batch:
        inputs, targets = augment.normalise(batch.images, self.plan.mean, self.plan.deviation), batch.targets
        if random is not None:
            threshold = self.plan.loss.mixed_target_threshold
            inputs, targets = augment.mix(inputs, targets, self.plan.augment, threshold, random)
        return Batch(inputs, targets)

    def targets(self, manifest: Manifest) -> Tensor:
        return examples(manifest, self.concepts, exclusive=self.exclusive)

    def complaints(self, targets: Tensor) -> list[str]:
        return complaints(targets, self.concepts, exclusive=self.exclusive)

    def balance(self, targets: Tensor) -> str:
        self.balanced = balance(targets, exclusive=self.exclusive and self.plan.loss.exclusive == "cross_entropy")
        return ""

    def build(self, weights_file: str | None = None) -> nn.Module:
        head = self.architecture.head
        model = self.architecture.build(len(self.concepts), self.plan.stochastic_depth)
        width = self._width = architectures.width(model, head)
        self._given = weights_file is not None
        if weights_file is not None:
            aside, name = self.architecture.aside, self.plan.architecture
            weights.load(model, weights_file, architecture=name, head=head, aside=aside)
            self._hold_norms(model)
        if self.plan.head is not None:
            make = builders.bound("head", self.plan.head.builder, self.plan.head.arguments)
            architectures.put_head(model, head, make(width, len(self.concepts)))
        elif self.plan.dropout or self.plan.embedding_length or self.plan.head_start == "fitted":
            last = architectures.Head(width, len(self.concepts), self.plan.dropout, self.plan.embedding_length)
            architectures.put_head(model, head, last)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def inherited(self, model: nn.Module, new: Collection[str]) -> None:
        self._hold_norms(model)

    def _hold_norms(self, model: nn.Module) -> None:
        """Norms of a network that has learned keep their statistics, where the recipe says so. Their weights learn."""
        if self.plan.norms == "kept":
            norms.keep_statistics(model)
            norms.fold(model)

    def settle(self, model: nn.Module, training: data.Examples, validation: data.Examples) -> None:
        if self.plan.head_start == "fitted" and self._given:
            head_start.fit(self, model, self.head_of(model), training, self._loss)

    def settled(self, training: int, validation: int) -> int:
        return min(head_start.MOST, training)

    def head_of(self, model: nn.Module) -> architectures.Head:
        """The new last layer of a network of `build`."""
        head = model.get_submodule(self.architecture.head.removesuffix("."))
        assert isinstance(head, architectures.Head)
        return head

    def trunk(self, model: nn.Module) -> tuple[nn.Module, int]:
        """A network of `build` turned into what gives its embeddings, prepared images to [n, width]; and the width."""
        return architectures.headless(model, self.architecture.head), self._width

    def lrate_factor(self, parameter: str, *, pretrained: bool) -> float:
        if not pretrained:
            return 1.0
        if parameter.startswith(self.architecture.head):
            return float(self.plan.optimizer.head_lrate_factor)
        return float(self.values.get("base_gradient_multiplier", 1.0))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self._loss(model(batch.images), batch.targets)

    def _loss(self, logits: Tensor, targets: Tensor, smoothing: float | None = None) -> Tensor:
        settings = self.plan.loss
        if smoothing is not None:
            settings = msgspec.structs.replace(settings, label_smoothing=smoothing)
        return loss(logits, targets, settings, exclusive=self.exclusive, balance=self.balanced)

    def counted(self, batch: Batch) -> Tensor | None:
        settings = self.plan.loss
        if settings.name not in OWN:
            return None
        kind = settings.exclusive if self.exclusive else settings.otherwise
        return WEIGHTS[kind](batch.targets, self.balanced).sum()

    def outputs(self, model: nn.Module, batch: Batch) -> list[Tensor]:
        logits = model(batch.images)
        if self.values.get("average_horizontal_flips"):  # linear after the embedding: its mean gives the same
            logits = (logits + model(batch.images.flip(-1))) / 2
        return list(logits.float().cpu())

    def best_metric(self, targets: Tensor) -> str:
        return best_metric(targets, exclusive=self.exclusive)

    def scorer(self, targets: Tensor) -> Scorer:
        return ClassScorer(self, targets)

    def predictions(self, outputs: Sequence[Any]) -> list[Prediction]:
        if not outputs:
            return []
        rows = values(torch.stack(list(outputs)), exclusive=self.softmax).tolist()
        return [
            Prediction(concepts=[ConceptValue(concept, value) for value, concept in _ordered(row, self.concepts)])
            for row in rows
        ]


def _ordered(row: list[float], concepts: Sequence[str]) -> list[tuple[float, str]]:
    return sorted(zip(row, concepts, strict=True), key=lambda pair: -pair[0])


class ClassScorer:
    """Keeps a row of logits for each example."""

    def __init__(self, task: Classify, targets: Tensor) -> None:
        self.task, self.targets = task, targets
        self.logits = torch.zeros(len(targets), len(task.concepts))

    def add(self, places: Sequence[int], outputs: Sequence[Any]) -> None:
        self.logits[list(places)] = torch.stack(list(outputs))

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        task = self.task
        found = values(self.logits, exclusive=task.softmax)
        return score(self.logits, self.targets, task.concepts, task.plan.loss, exclusive=task.exclusive, found=found)


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


def balance(targets: Tensor, *, exclusive: bool) -> Tensor:
    """Weights [2, concepts] of absent and present targets, with which each concept counts as much as any other, or
    (not `exclusive`) its presence as much as its absence. Their mean over the known targets is 1."""
    known = torch.stack([targets == 0, targets == 1]).sum(1).float()  # [2, concepts]
    if exclusive:
        present = (targets == 1).sum() / (len(known[1].nonzero()) * known[1].clamp(min=1))
        return torch.stack([torch.ones_like(present), present])
    return known.sum(0) / (2 * known.clamp(min=1))


def loss(logits: Tensor, targets: Tensor, settings: Loss, *, exclusive: bool, balance: Tensor | None = None) -> Tensor:
    """Mean loss of a batch. Targets 0..1; what is unknown (below 0) counts for nothing. `balance`: weights [2, c]."""
    if settings.name not in OWN:
        return builders.bound("loss", settings.name, settings.arguments)(logits.float(), targets)
    kind = settings.exclusive if exclusive else settings.otherwise
    return LOSSES[kind](logits, targets, settings.label_smoothing, balance)


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, balance: Tensor | None = None) -> Tensor:
    counted = _weights_of_examples(targets, balance)
    shares = _shares(targets) * (1 - smoothing) + smoothing / targets.shape[1]
    each = -(shares * functional.log_softmax(logits.float(), 1)).sum(1)
    return (each * counted).sum() / at_least(counted.sum())


def _binary_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, balance: Tensor | None = None) -> Tensor:
    counted = _weights_of_targets(targets, balance)
    low = smoothing / max(targets.shape[1], 2)
    wanted = low + targets.clamp(min=0) * (1 - smoothing)
    each = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return (each * counted).sum() / at_least(counted.sum())


def _weights_of_examples(targets: Tensor, balance: Tensor | None) -> Tensor:
    """[n]: 0 where no concept is present."""
    counted = (targets > 0).any(1).float()
    return counted if balance is None else counted * (_shares(targets) * balance[1].to(targets.device)).sum(1)


def _weights_of_targets(targets: Tensor, balance: Tensor | None) -> Tensor:
    """[n, concepts]: 0 where a target is unknown."""
    known = (targets >= 0).float()
    if balance is None:
        return known
    absent, present = balance.to(targets.device)
    return known * torch.lerp(absent.expand_as(targets), present.expand_as(targets), targets.clamp(min=0))


def _shares(targets: Tensor) -> Tensor:
    """What each concept that is present has of its example; the shares of one add up to 1."""
    positive = targets.clamp(min=0)
    return positive / positive.sum(1, keepdim=True).clamp(min=1e-6)


OWN = ("cross_entropy",)  # names of losses; others are installed
LOSSES = {"cross_entropy": _cross_entropy, "bce": _binary_cross_entropy}
WEIGHTS = {"cross_entropy": _weights_of_examples, "bce": _weights_of_targets}  # whose weighted means they are


def score(
    logits: Tensor, targets: Tensor, concepts: Sequence[str], settings: Loss, *, exclusive: bool,
    found: Tensor | None = None,
) -> tuple[metrics.Figures, dict[str, metrics.Figures]]:  # fmt: skip
    """Metrics of the whole and by concept; `loss` is that of training, without smoothing. `found`: the values."""
    found = values(logits, exclusive=exclusive) if found is None else found
    whole, by_concept = metrics.classification(found.numpy(), targets.numpy(), concepts, exclusive=exclusive)
    plain = msgspec.structs.replace(settings, label_smoothing=0.0)
    lost = float(loss(logits, targets, plain, exclusive=exclusive))
    return {**whole, "loss": lost if math.isfinite(lost) else None}, by_concept


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
