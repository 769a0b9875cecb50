"""How much memory a step takes, how much there is, and the largest part of a batch that fits.

A pass over two images counts what the backward pass keeps (`saved`): cheap, and near enough to see that memory is
plainly enough, which it mostly is. Only where it is not, a process of its own measures real steps (`probe.py`).
And what is done where it is full in spite of that: `Parts` for what needs no gradients, `gradients.py` for a step.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor, nn

from deepft_lab import host
from deepft_lab.errors import DeepFTError
from deepft_lab.training import norms
from deepft_lab.training.task import Batch, Task

PLENTY = 0.5  # share of free memory up to which the estimate is trusted
FILLED = 0.9  # share of free memory that a run may take
_SLACK = 1.3  # of the estimate: gradients of activations and work space beside what is kept
_FULL = (
    "can't allocate memory", "out of memory", "bad_alloc", "cannot allocate memory", "bad allocation",
    "status_alloc_failed",  # cuBLAS's and cuDNN's
)  # fmt: skip
_PERHAPS_FULL = ("could not create a primitive", "could not create a memory object", "could not execute a primitive")
_LITTLE = 2**30  # bytes that are free, with which oneDNN's words, which give no reason, mean that memory is full


class FullMemory(DeepFTError):
    """Memory is full in the midst of a run that another attempt may end, in smaller parts."""


class Need(NamedTuple):
    """Bytes that a run takes beside what is taken already: `fixed`, and `each` for an image of a part."""

    fixed: float
    each: float

    def of(self, images: int) -> float:
        return self.fixed + self.each * images


def is_full(error: BaseException) -> bool:
    """True for the several ways in which torch says that memory is full."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError, FullMemory)):
        return True
    if not isinstance(error, RuntimeError):
        return False
    said = str(error).lower()
    if any(words in said for words in _PERHAPS_FULL):
        return free(torch.device("cpu")) < _LITTLE
    return any(words in said for words in _FULL)


def is_lasting(error: BaseException) -> bool:
    """Whether this process can go on no more, in parts of any size: oneDNN makes nothing after it once could not."""
    return any(words in str(error).lower() for words in _PERHAPS_FULL)


def release() -> None:
    """Gives back what an error held. Called where it is gone, and with its traceback the tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Parts:
    """Computes what needs no gradients and does not look at its neighbours, at most `most` examples at a time.

    Where memory is full `most` is halved from there on.
    """

    def __init__(self, most: int) -> None:
        self.most = most

    def of(self, compute: Callable[[int, int], list[Any]], count: int) -> list[Any]:
        """What `compute(start, stop)` gives for each of `count` examples."""
        found: list[Any] = []
        while len(found) < count:
            start = len(found)
            stop = min(count, start + self.most)
            try:
                found += compute(start, stop)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_full(error) or stop - start == 1:
                    raise
                if is_lasting(error):
                    raise FullMemory("The machine's memory is full.") from error
            self.most = -(-(stop - start) // 2)
            release()
        return found


def effective_batch(task: Task, model: nn.Module) -> str:
    """What a person should know of batches that are computed in parts."""
    differing = ["batch norm takes its statistics from the parts"] * bool(norms.batch_norms(model))
    if task.part_means:
        differing.append(task.part_means)
    same = "nearly the same" if task.part_means else "the same"
    return f"The effective batch stays {same}{''.join(f'; {words}' for words in differing)}."


def free(device: torch.device) -> int:
    """Bytes that this process may still take on a device (the CPU: of the machine, a container's limit considered)."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    found = [host.free_memory()]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        found.append(limit - psutil.Process().memory_info().vms)
    return max(0, min(found))


def estimate(task: Task, model: nn.Module, batch: Batch, *, averaged: bool) -> Need:
    """What a run needs beside the network that is there: from one forward pass over a few prepared examples.

    Gradients and two values of the optimizer for each weight that learns; for each image what the backward pass keeps.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    learning = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return Need(3.0 * learning + averaged * weights, _SLACK * saved(task, model, batch) / len(batch))


def saved(task: Task, model: nn.Module, batch: Batch) -> int:
    """Bytes that the backward pass over a prepared batch keeps, weights not counted. Leaves the network as it was."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    seen: dict[int, int] = {}
    kept: list[Tensor] = []  # alive, so that no address is used twice

    def note(tensor: Tensor) -> None:
        """Gives the graph nothing to keep: a node that kept its own outcome would be held by it for ever."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor.detach())

    buffers = [buffer.clone() for buffer in model.buffers()]
    training = model.training
    norms.train(model)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda nothing: nothing):
        loss = task.loss(model, batch)
    del loss
    model.train(training)
    with torch.no_grad():
        for buffer, before in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(before)
    return sum(seen.values())


def largest_part(need: Callable[[int], float], room: float, batch_size: int) -> int:
    """The largest part of a batch whose need fits into `room`, found by halving; 0 where not even one image fits."""
    part = batch_size
    while part and need(part) > room:
        part = part // 2 if part > 1 else 0
    return part
