"""A new head that begins where a linear layer over the pretrained features ends, instead of at random.

From a random head the first gradients pull the pretrained graph about, and a short run over few images or many
concepts ends before the head has learned. Fitting it first costs one pass over the pictures without gradients
(Kumar et al.: Fine-tuning can distort pretrained features and underperform out-of-distribution, arXiv 2202.10054).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from deepft_lab.training import memory
from deepft_lab.training.architectures import Head
from deepft_lab.training.data import Examples
from deepft_lab.training.task import Batch, Task

MOST = 2000  # pictures that are looked at, evenly drawn where there are more: beyond, the first epoch does as much
_PICTURES = 16  # at a time
_STEPS = 100  # of L-BFGS, which ends sooner where nothing changes
_MEMORY = 2**27  # bytes of earlier steps that L-BFGS looks back on: all of a hundred concepts, few of ten thousand
_LEAST = 5  # such steps
_PULL = 1e-3  # of the squared weights, so that separable sets have an end


def fit(task: Task, model: nn.Module, head: Head, training: Examples, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Sets the head's weight and bias; the same on every rank. `loss(logits, targets)` is that of training.

    A run that is gone on with has its head in the checkpoint.
    """
    if task.continued:
        return
    count = min(MOST, len(training))
    chosen = [turn * len(training) // count for turn in range(count)]
    vectors = _seen_by(head, model, task, training, chosen)
    if head.length is not None:
        vectors = nn.functional.normalize(vectors, dim=1) * head.length
    targets = training.targets[chosen]
    counted = task.counted(Batch(vectors, targets))  # a mean over concepts too weighs less, and so must the pull
    weight, bias = linear(vectors, targets, loss, 1.0 if counted is None else count / max(1.0, float(counted)))
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for parameter in (head.weight, head.bias):  # ranks that differ in a bit would stay apart
            torch.distributed.broadcast(parameter.data, 0)


def linear(
    vectors: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor], pull: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Weight [concepts, width] and bias [concepts] of the linear layer that fits best. `vectors`: [n, width].

    `pull`: how much the weights are pulled towards zero, over what suits a loss that is a mean over examples.
    """
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.zeros(targets.shape[1], vectors.shape[1], requires_grad=True)
        bias = torch.zeros(targets.shape[1], requires_grad=True)
        kept = max(_LEAST, min(_STEPS, _MEMORY // (8 * (weight.numel() + bias.numel()))))  # two numbers a step each
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, history_size=kept, line_search_fn="strong_wolfe")
        known, truth = vectors.clone(), targets.clone()

        def step() -> Tensor:
            optimizer.zero_grad()
            total = loss(known @ weight.T + bias, truth) + pull * _PULL * weight.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimizer.step(step)  # type: ignore[arg-type]
    return weight.detach(), bias.detach()


@torch.inference_mode()
def _seen_by(head: Head, model: nn.Module, task: Task, training: Examples, chosen: list[int]) -> Tensor:
    """What the head sees of training pictures as they are in validation: float32 [n, width]."""
    seen: list[Tensor] = []
    watch = head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    device, was_training = head.weight.device, model.training

    def look(start: int, stop: int) -> list[Tensor]:
        task.tell("fitting the new head", start / len(chosen))
        seen.clear()
        batch = training.__getitems__([(example, 0, 0) for example in chosen[start:stop]])
        model(task.prepare(batch.to(device)).images)
        return list(seen[0].float().cpu())

    model.eval()
    try:
        return torch.stack(memory.Parts(_PICTURES).of(look, len(chosen)))
    finally:
        watch.remove()
        model.train(was_training)
