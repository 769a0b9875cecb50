"""K-fold evaluation of a linear layer: each input's logits come from a layer that never saw it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_STEPS = 100  # of L-BFGS, which ends sooner where nothing changes
_PULL = 1e-3  # of the squared weights, so that separable sets have an end


def held_out_logits(vectors: Tensor, targets: Tensor, folds: int, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """float32 [n, concepts]. `vectors`: [n, width]; `loss(logits, targets)` is that of training.

    Folds are drawn by the concepts, so each has its share of every one; there are never more of them than inputs.
    """
    count, concepts = targets.shape
    folds = min(folds, count)
    key = (targets == 1).float() @ torch.arange(1.0, concepts + 1)
    fold = torch.empty(count, dtype=torch.long)
    fold[key.argsort(stable=True)] = torch.arange(count) % folds
    logits = torch.zeros(count, concepts)
    with torch.inference_mode(False), torch.enable_grad():
        for left_out in range(folds):
            seen = fold != left_out
            weight = torch.zeros(concepts, vectors.shape[1], requires_grad=True)
            bias = torch.zeros(concepts, requires_grad=True)
            optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")
            known, truth = vectors[seen].clone(), targets[seen].clone()

            def step(
                weight: Tensor = weight, bias: Tensor = bias, known: Tensor = known, truth: Tensor = truth,
                optimizer: torch.optim.LBFGS = optimizer,
            ) -> Tensor:  # fmt: skip
                optimizer.zero_grad()
                total = loss(known @ weight.T + bias, truth) + _PULL * weight.square().sum()
                total.backward()  # type: ignore[no-untyped-call]
                return total

            optimizer.step(step)  # type: ignore[arg-type]
            logits[~seen] = (vectors[~seen] @ weight.T + bias).detach()
    return logits
