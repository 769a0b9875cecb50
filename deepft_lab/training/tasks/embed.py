"""Visual embedding: vectors of length 1 that lie close where pictures share a concept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepft_lab.records import Fault, Prediction
from deepft_lab.training import architectures, data, memory, retrieval, weights
from deepft_lab.training.recipes.embedder import Margin
from deepft_lab.training.task import Batch, Figures, at_least
from deepft_lab.training.tasks import classify

REFERENCES = 2000  # training inputs among which `knn_accuracy` looks for neighbours, evenly drawn where there are more


class Embed(classify.Classify):
    """Targets as a classifier's. Outputs: (embedding [width], logits [concepts])."""

    training: data.Examples | None = None

    def faults(self) -> list[Fault]:
        if len(self.concepts) > 1:
            return super().faults()
        reason = "An embedder learns from pairs of concepts that differ: it needs two."
        return [*super().faults(), Fault("concepts", self.concepts, reason)]

    def settle(self, model: nn.Module, training: data.Examples, validation: data.Examples) -> None:
        super().settle(model, training, validation)
        self.training = training

    def head_of(self, model: nn.Module) -> architectures.Head:
        assert isinstance(model, Network) and isinstance(model.head, architectures.Head)  # there is no margin
        return model.head

    def build(self, weights_file: str | None = None) -> Network:
        head = self.architecture.head
        backbone = self.architecture.build(len(self.concepts), self.plan.stochastic_depth)
        width = architectures.width(backbone, head)
        architectures.headless(backbone, head)
        self._given = weights_file is not None
        if weights_file is not None:
            aside, name = self.architecture.aside, self.plan.architecture
            weights.load(backbone, weights_file, architecture=name, head=head, aside=aside)
        projected = int(self.values.get("embeddings_size") or 512) if self.plan.projection else None
        margin, length = self.plan.margin is not None, self.plan.embedding_length
        model = Network(backbone, width, projected, len(self.concepts), self.plan.dropout, margin, length)
        if self._given:
            self._hold_norms(model.backbone)  # a projection's norm has learned nothing yet
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def trunk(self, model: nn.Module) -> tuple[nn.Module, int]:
        assert isinstance(model, Network)
        return Embeddings(model), model.width

    def lrate_factor(self, parameter: str, *, pretrained: bool) -> float:
        if not pretrained or parameter.startswith("backbone."):
            return 1.0
        return float(self.plan.optimizer.head_lrate_factor)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        _, logits = model(batch.images)
        return self._loss(logits, batch.targets)

    def counted(self, batch: Batch) -> Tensor | None:
        if self.plan.margin is not None:
            return _shares(batch.targets, self.balanced).sum()
        return super().counted(batch)

    def _loss(self, logits: Tensor, targets: Tensor, smoothing: float | None = None) -> Tensor:
        if self.plan.margin is not None:
            return angular_margin(logits, targets, self.margin, self.balanced)
        return super()._loss(logits, targets, smoothing)

    @property
    def margin(self) -> Margin:
        """What the fields say, or else the recipe."""
        given = self.plan.margin
        scale, margin = self.values.get("angular_scale", given.scale), self.values.get("angular_margin", given.margin)
        return Margin(scale=float(scale), margin=float(margin))

    def outputs(self, model: nn.Module, batch: Batch) -> list[Any]:
        self._evaluated = model  # whose training embeddings the scorer compares with
        embeddings, logits = model(batch.images)
        return list(zip(embeddings.float().cpu(), logits.float().cpu(), strict=True))

    def best_metric(self, targets: Tensor) -> str:
        if not len(targets):
            return ""
        positive = (targets == 1).sum(0)
        return "mAP_at_R" if (positive > 1).any() else "loss"

    def scorer(self, targets: Tensor) -> EmbeddingScorer:
        return EmbeddingScorer(self, targets)

    def references(self) -> tuple[Tensor, Tensor] | None:
        """Embeddings [n, width] and targets of training inputs, by the network that was evaluated last."""
        if self.training is None or not len(self.training):
            return None
        count = min(REFERENCES, len(self.training))
        chosen = [turn * len(self.training) // count for turn in range(count)]
        training, model = self.training, self._evaluated
        device = next(model.parameters()).device

        def embedded(start: int, stop: int) -> list[Tensor]:
            batch = training.__getitems__([(example, 0, 0) for example in chosen[start:stop]])
            return list(model(self.prepare(batch.to(device)).images)[0].float().cpu())

        with torch.inference_mode():
            found = memory.Parts(self.together).of(embedded, count)
        return torch.stack(found), training.targets[chosen]

    def evaluated(self, training: int, validation: int) -> int:
        return validation + min(REFERENCES, training) if validation else 0

    def predictions(self, outputs: Sequence[Any]) -> list[Prediction]:
        return [Prediction(embedding=embedding.tolist()) for embedding, _ in outputs]


class Network(nn.Module):
    """A backbone, perhaps a projection, and a head over the concepts: images to (embeddings, logits or cosines)."""

    def __init__(
        self, backbone: nn.Module, width: int, projected: int | None, concepts: int, dropout: float, margin: bool,
        length: float | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone, self.dropout = backbone, nn.Dropout(dropout)
        self.width = width if projected is None else projected
        # As the paper's authors end their network: batch norm behind the linear layer, without a scale of its own.
        self.neck: nn.Module = (
            nn.Identity()
            if projected is None
            else nn.Sequential(nn.Linear(width, projected, bias=False), nn.BatchNorm1d(projected))
        )
        self.head: nn.Module = (
            Cosines(self.width, concepts) if margin else architectures.Head(self.width, concepts, length=length)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.neck(self.dropout(self.backbone(images)))
        return functional.normalize(features.float(), dim=1), self.head(features)


class Cosines(nn.Linear):
    """Cosines of the angles between features and one direction a concept."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return functional.linear(
            functional.normalize(features.float(), dim=1), functional.normalize(self.weight, dim=1)
        )


class Embeddings(nn.Module):
    """The part of a network that gives embeddings."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.backbone, self.neck = network.backbone, network.neck

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.neck(self.backbone(images)), dim=1)


class EmbeddingScorer:
    """Keeps an embedding and a row of logits for each example."""

    def __init__(self, task: Embed, targets: Tensor) -> None:
        self.task, self.targets = task, targets
        self.embeddings: Tensor | None = None
        self.logits = torch.zeros(len(targets), len(task.concepts))

    def add(self, places: Sequence[int], outputs: Sequence[Any]) -> None:
        embeddings = torch.stack([embedding for embedding, _ in outputs])
        if self.embeddings is None:
            self.embeddings = torch.zeros(len(self.targets), embeddings.shape[1])
        self.embeddings[list(places)] = embeddings
        self.logits[list(places)] = torch.stack([logits for _, logits in outputs])

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        assert self.embeddings is not None
        whole, by_concept = retrieval.score(
            self.embeddings, self.targets, self.task.concepts, references=self.task.references()
        )
        loss = float(self.task._loss(self.logits, self.targets, 0.0))
        return {**whole, "loss": loss if math.isfinite(loss) else None}, by_concept


def angular_margin(cosines: Tensor, targets: Tensor, settings: Margin, balance: Tensor | None = None) -> Tensor:
    """Mean loss of a batch (arXiv 1801.07698, equation 3): cross-entropy of scaled cosines, where the angle to each
    concept that is present is made larger by the margin first. Unknown concepts (below 0) take no part."""
    positive, unknown = targets > 0.5, targets < 0
    cosines = cosines.float()
    sines = (1 - cosines.square()).clamp(min=1e-6).sqrt()
    wider = cosines * math.cos(settings.margin) - sines * math.sin(settings.margin)
    # Beyond half a turn the cosine would rise again: there a constant is taken off, as the authors do.
    beyond = cosines <= math.cos(math.pi - settings.margin)
    wider = torch.where(beyond, cosines - math.sin(settings.margin) * settings.margin, wider)
    logits = settings.scale * torch.where(positive, wider, cosines)
    logs = functional.log_softmax(logits.masked_fill(unknown, torch.finfo(logits.dtype).min), 1)
    shares = _shares(targets, balance)
    return -(logs.masked_fill(~positive, 0.0) * shares).sum() / at_least(shares.sum())


def _shares(targets: Tensor, balance: Tensor | None) -> Tensor:
    """[n, concepts]: what each concept that is present has of the loss."""
    positive = targets > 0.5
    weights = positive.float() if balance is None else positive * balance[1].to(targets.device)
    return weights / positive.sum(1, keepdim=True).clamp(min=1)
