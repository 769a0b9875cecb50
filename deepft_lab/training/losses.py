"""The losses of an epoch, summed where they lie; a loss that is no number is found out with its step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class NotFinite(ArithmeticError):
    """The loss of a step is no number: `step` is the first such step, `what` says what it was.

    Or its loss was one and its gradients were none, which are weights before there is another loss.
    """

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} at step {step}")
        self.step, self.what = step, what


class Losses:
    """Running sums of one epoch. On a GPU nothing waits for a step; `check` does, when somebody wants to know."""

    def __init__(self, device: torch.device) -> None:
        self._total = torch.zeros((), device=device)
        self._bad_step = torch.zeros((), device=device)
        self._bad_loss = torch.zeros((), device=device)
        self._watched = device.type != "cpu"
        self.count = 0

    def begin(self, total: float = 0.0, count: int = 0) -> None:
        """A new epoch, or one that was left after `count` steps."""
        self._total.fill_(total)
        self.count = count

    def add(self, loss: Tensor, step: int) -> None:
        """Takes in the loss of a step, which counts from 1. Raises NotFinite, on a GPU at the next check."""
        self.count += 1
        self._total += loss
        if not self._watched:
            if not math.isfinite(float(loss)):
                raise NotFinite(step, f"The loss is {float(loss)}")
            return
        first = ~torch.isfinite(loss) & (self._bad_step == 0)
        self._bad_loss = torch.where(first, loss, self._bad_loss)
        self._bad_step = torch.where(first, float(step), self._bad_step)

    def check(self) -> None:
        if self._watched and (step := int(self._bad_step)):
            raise NotFinite(step, f"The loss is {float(self._bad_loss)}")

    @property
    def total(self) -> float:
        return float(self._total)

    @property
    def mean(self) -> float:
        return self.total / max(self.count, 1)


def check_weights(model: nn.Module, step: int) -> None:
    """Raises NotFinite where the step before has left weights that are no numbers: they are not to be kept."""
    found = [parameter.isfinite().all() for parameter in model.parameters()]
    if found and not bool(torch.stack(found).all()):
        raise NotFinite(step, "The gradients are no numbers")
