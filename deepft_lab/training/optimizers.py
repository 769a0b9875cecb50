"""Optimizers by their registered names. Each parameter group has a `factor`: its learning rate over the step's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.parts import Optimizer


def build(
    settings: Optimizer, model: nn.Module, *, weight_decay: float, factor: Callable[[str], float]
) -> torch.optim.Optimizer:
    """An optimizer over the whole graph; vectors (biases, norms) are not decayed.

    `factor` gives a parameter's learning rate over that of the step, by its name; one of 0 is frozen.
    """
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        share, decayed = factor(name), parameter.ndim > 1
        if share == 0:
            parameter.requires_grad_(False)
        if not parameter.requires_grad:
            continue
        start = {"params": [], "weight_decay": weight_decay if decayed else 0.0, "factor": share}
        groups.setdefault((share, decayed), start)["params"].append(parameter)
    if settings.name in OPTIMIZERS:
        return OPTIMIZERS[settings.name](list(groups.values()), settings)
    return builders.bound("optimizer", settings.name, settings.arguments)(list(groups.values()))


class Lamb(torch.optim.Optimizer):
    """LAMB (arXiv 1904.00962, algorithm 2): Adam whose step is scaled layer by layer to the norm of the weights.

    Groups without weight decay (biases, norms) take Adam's step unscaled, as the paper's authors do.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0, "step": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            group["step"] += 1
            gradients = [p.grad for p in parameters]
            for p in parameters:
                if not self.state[p]:
                    self.state[p] = {"mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            means = [self.state[p]["mean"] for p in parameters]
            squares = [self.state[p]["square"] for p in parameters]
            first, second = group["betas"]
            torch._foreach_lerp_(means, gradients, 1 - first)
            torch._foreach_mul_(squares, second)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)

            scale = torch._foreach_sqrt(torch._foreach_div(squares, 1 - second ** group["step"]))
            torch._foreach_add_(scale, group["eps"])
            updates = torch._foreach_div(torch._foreach_div(means, 1 - first ** group["step"]), scale)
            if group["weight_decay"]:
                torch._foreach_add_(updates, parameters, alpha=group["weight_decay"])
                lengths = zip(torch._foreach_norm(parameters), torch._foreach_norm(updates), strict=True)
                trust = [torch.where((w > 0) & (u > 0), w / u, torch.ones_like(w)) for w, u in lengths]
                torch._foreach_mul_(updates, trust)
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]], Optimizer], torch.optim.Optimizer]] = {
    "adamw": lambda groups, settings: torch.optim.AdamW(groups, lr=0.0, fused=True),
    "lamb": lambda groups, settings: Lamb(groups, lr=0.0),
    "sgd": lambda groups, settings: torch.optim.SGD(
        groups, lr=0.0, momentum=settings.momentum, nesterov=settings.nesterov and settings.momentum > 0
    ),
}
