"""Transfer: a linear layer over the frozen embeddings of a trained version, or of a backbone by name.

The embeddings are computed once, when the run begins; its epochs go over vectors. The finished model holds the network
of the embeddings too, so prediction needs nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from deepft_lab.training import architectures, data, k_fold, memory, weights
from deepft_lab.training.recipes.classifier import Classifier
from deepft_lab.training.task import Batch, Figures, Scorer, Task
from deepft_lab.training.tasks import classify

_PICTURES = 16  # embedded at a time


class Transfer(classify.Classify):
    """Targets and outputs as a classifier's. A batch's images are pictures, or vectors [n, width] once settled."""

    folds: Figures = {}  # of the K-fold evaluation, once it is done

    @cached_property
    def base(self) -> classify.Classify:
        """The task that gives the embeddings."""
        from deepft_lab.training import tasks

        plan = self.plan
        if plan.base is not None:
            made = tasks.make(
                plan.base.type, plan.base.recipe, plan.base.values, plan.base.concepts, exclusive=plan.base.exclusive
            )
            assert isinstance(made, classify.Classify)
            return made
        named = Classifier(
            architecture=plan.architecture, loss=plan.loss, optimizer=plan.optimizer, test_crop=plan.test_crop,
            mean=plan.mean, deviation=plan.deviation,
        )  # fmt: skip
        return classify.Classify(named, {"image_size": self.values["image_size"]}, ["-"], exclusive=False)

    def check(self) -> None:
        self.base.check()

    def train_batch(
        self, pictures: Sequence[Tensor], targets: Sequence[Any], randoms: Sequence[numpy.random.Generator]
    ) -> Batch:
        return self.test_batch(pictures, targets)

    def test_batch(self, pictures: Sequence[Tensor], targets: Sequence[Any] | None = None) -> Batch:
        return self.base.test_batch(pictures, targets)

    def prepare(self, batch: Batch, random: numpy.random.Generator | None = None) -> Batch:
        return batch if batch.images.ndim == 2 else self.base.prepare(batch)

    def build(self, weights_file: str | None = None) -> Network:
        if self.plan.base is None:
            network = self.base.build(weights_file)
        else:
            network = self.base.build()
            if weights_file is not None:
                weights.load(network, weights_file, architecture=self.plan.base.type)
        trunk, width = self.base.trunk(network)
        head = architectures.Head(width, len(self.concepts), self.plan.dropout, self.plan.embedding_length)
        return Network(trunk, head).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def trunk(self, model: nn.Module) -> tuple[nn.Module, int]:
        raise NotImplementedError("An embedding classifier has no embeddings of its own.")

    def inherited(self, model: nn.Module, new: Collection[str]) -> None:
        """Its trunk stands still in any case."""

    def lrate_factor(self, parameter: str, *, pretrained: bool) -> float:
        return 1.0 if parameter.startswith("head.") else 0.0

    def settle(self, model: nn.Module, training: data.Examples, validation: data.Examples) -> None:
        assert isinstance(model, Network)
        for examples in (training, validation):
            examples.vectors = self._vectors(model, examples)
        folds = int(self.values.get("k_folds") or 0)
        if folds > 1 and training.vectors is not None:
            unit = nn.functional.normalize(training.vectors, dim=1) * self.plan.embedding_length
            logits = k_fold.held_out_logits(unit, training.targets, folds, self._loss)
            whole, _ = classify.score(
                logits, training.targets, self.concepts, self.plan.loss, exclusive=self.exclusive,
                found=classify.values(logits, exclusive=self.softmax),
            )  # fmt: skip
            self.folds = {f"k_fold_{name}": value for name, value in whole.items()}

    def settled(self, training: int, validation: int) -> int:
        return training + validation

    def _vectors(self, model: Network, examples: data.Examples) -> Tensor | None:
        device = next(model.parameters()).device

        def embedded(start: int, stop: int) -> list[Tensor]:
            self.tell("computing embeddings", start / len(examples))
            batch = examples.__getitems__([(place, 0, 0) for place in range(start, stop)])
            return list(model.trunk(self.prepare(batch.to(device)).images).float().cpu())

        model.eval()
        with torch.inference_mode():
            found = memory.Parts(_PICTURES).of(embedded, len(examples))
        return torch.stack(found).clone() if found else None

    def scorer(self, targets: Tensor) -> Scorer:
        return _Scorer(self, targets)


class _Scorer(classify.ClassScorer):
    """A classifier's figures, and those of the folds, which stay the same."""

    task: Transfer

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        whole, by_concept = super().result()
        return {**whole, **self.task.folds}, by_concept


class Network(nn.Module):
    """A frozen trunk, always as in prediction, and a head that learns."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk.requires_grad_(False), head

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images if images.ndim == 2 else self.trunk(images))


def transferable(task: Task) -> bool:
    """Whether a task's network gives embeddings."""
    return isinstance(task, classify.Classify) and not isinstance(task, Transfer)
