"""Gradients of a batch, in as many parts as memory needs: one effective batch, whatever the parts.

The mean loss of a batch is the mean of its parts' losses by what each is a mean of (`Task.counted`: examples, known
targets, boxes), and so it is with the batches of ranks. So the step is the same as of the whole, but for what looks at
its neighbours: batch norm takes its statistics from a part, and what a detector's loss is a mean of may be known only
once a part is computed (`Task.part_means`): such parts count by their examples.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from deepft_lab.errors import DeepFTError
from deepft_lab.training import norms
from deepft_lab.training.memory import FullMemory, effective_batch, is_full, is_lasting, release
from deepft_lab.training.task import Batch, Task, at_least

_SPREAD = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: seeds of neighbouring steps lie far apart


class Gradients:
    """Computes a batch of at most `micro_batch` examples at a time, and halves that when memory is full."""

    def __init__(
        self, task: Task, accelerator: Accelerator, model: nn.Module, *, micro_batch: int, seed: int, pretrained: bool,
        warn: Callable[[str], None], note: Callable[[int], None] = lambda part: None,
    ) -> None:  # fmt: skip
        """`note` is told of each smaller part."""
        self.task, self.accelerator, self.model, self.warn, self.note = task, accelerator, model, warn, note
        self.micro_batch, self.seed, self.pretrained = max(1, micro_batch), seed, pretrained
        self._norms = norms.batch_norms(model)
        self._usual = [0.1 if layer.momentum is None else layer.momentum for layer in self._norms]
        self._least = min(self._usual, default=1.0) or 1.0
        self._several = True  # parts of more than one example: batch norm takes their statistics

    def begin_epoch(self) -> None:
        """The network is for training from here on; what is frozen of it keeps its statistics."""
        norms.train(self.model)
        self._several = True

    def of(self, batch: Batch, step: int) -> Tensor:
        """Adds the gradients of a prepared batch to the network's; its mean loss, detached. `step` counts from 0.

        When memory is full the batch is begun again in smaller parts: weights and optimizer have not moved since the
        step before. Raises DeepFTError where no smaller part is left.
        """
        if not self.pretrained and step <= 1 / self._least:  # the invented first statistics leave at once, not slowly
            for layer, usual in zip(self._norms, self._usual, strict=True):
                layer.momentum = max(usual, 1 / (step + 1))
        while True:
            seed_step(self.seed, step, self.accelerator.process_index)
            try:
                return self._of_parts(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_full(error):
                    raise
                self._refuse_if_smallest(error, len(batch))
            # Here the error is gone, and with its traceback the tensors that it held.
            self.micro_batch = -(-min(self.micro_batch, len(batch)) // 2)
            self.model.zero_grad(set_to_none=True)
            release()
            self.note(self.micro_batch)
            self.warn(
                f"Memory was full: from step {step + 1} on a batch is computed in parts of {self.micro_batch}. "
                f"{effective_batch(self.task, self.model)}"
            )

    def _of_parts(self, batch: Batch) -> Tensor:
        count = len(batch)
        number = -(-count // self.micro_batch)
        bounds = [place * count // number for place in range(number + 1)]
        parts = [batch] if number == 1 else [batch.part(start, stop) for start, stop in pairwise(bounds)]
        weights = self._weights(batch, parts)
        total = torch.zeros((), device=batch.images.device)
        for part, weight in zip(parts[:-1], weights[:-1], strict=True):
            with self.accelerator.no_sync(self.model):  # ranks add their gradients up once, with the last part
                total += self._part(part, weight)
        return total + self._part(parts[-1], weights[-1])

    def _part(self, part: Batch, weight: Tensor | float) -> Tensor:
        self._look_at(len(part))
        loss = self._loss(part) * weight
        self.accelerator.backward(loss)
        return loss.detach()

    def _weights(self, batch: Batch, parts: list[Batch]) -> Sequence[Tensor | float]:
        """By what each part's mean loss enters that of the batch: its share of what is counted on all ranks.

        Times the number of ranks, since their gradients are averaged.
        """
        ranks = self.accelerator.num_processes
        if len(parts) == ranks == 1:
            return [1.0]
        counts = [self.task.counted(part) for part in parts]
        known = [count.float() for count in counts if count is not None]
        if not known:  # examples, of which every rank has as many
            return [len(part) / len(batch) for part in parts]
        each = torch.stack(known)
        whole = each.sum()
        if ranks > 1:
            whole = self.accelerator.reduce(whole, "sum")  # type: ignore[assignment]
        return list((at_least(each) * ranks / at_least(whole)).unbind())

    def _loss(self, batch: Batch) -> Tensor:
        with self.accelerator.autocast():
            return self.task.loss(self.model, batch)

    def _look_at(self, examples: int) -> None:
        """Batch norm keeps its statistics where there is one example, nothing to take them from."""
        if (examples > 1) != self._several:
            self._several = examples > 1
            for layer in self._norms:
                layer.train(self._several)

    def _refuse_if_smallest(self, error: BaseException, examples: int) -> None:
        values = self.task.values
        where = "The GPU's" if self.accelerator.device.type == "cuda" else "The machine's"
        if min(self.micro_batch, examples) == 1:
            raise DeepFTError(
                f"{where} memory is full with a single image of image_size = {values.get('image_size')}. "
                "Take a smaller image_size, or a smaller network."
            ) from error
        # Others that wait for the gradients, and a process that is of no use any more, begin anew, with smaller parts.
        if self.accelerator.num_processes > 1 or is_lasting(error):
            raise FullMemory(
                f"{where} memory is full with {min(self.micro_batch, examples)} images at a time a process. Take a "
                f"smaller batch_size, or gradient_accumulation = {2 * (values.get('gradient_accumulation') or 1)}."
            ) from error


def seed_step(seed: int, step: int, rank: int) -> None:
    """What is drawn within a step (dropout, sampled boxes) depends on seed, step and rank alone.

    So a run that goes on after a kill draws the same, without a random state in its checkpoint.
    """
    mixed = ((seed + 1) * _SPREAD ^ (step + 1) * 0xBF58476D1CE4E5B9 ^ (rank + 1) * 0x94D049BB133111EB) % 2**64
    mixed = (mixed ^ mixed >> 31) * _SPREAD % 2**64
    torch.default_generator.manual_seed(mixed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(mixed)
    random.seed(mixed)
    numpy.random.seed(mixed % 2**32)
