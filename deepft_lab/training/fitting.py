"""How much of a batch is computed at a time, decided before the first step, so that a job is not killed by memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn

from deepft_lab import spec as job_folder
from deepft_lab.errors import DeepFTError
from deepft_lab.spec import JobSpec
from deepft_lab.training import memory, probe
from deepft_lab.training.data import Examples
from deepft_lab.training.task import Task

_SIZES = (2, 4)  # batch sizes of the probe


def fit(
    spec: JobSpec, folder: Path, task: Task, model: nn.Module, examples: Examples, accelerator: Accelerator, *,
    known: int, steps: int, warn: Callable[[str], None], say: Callable[..., Any],
) -> int:  # fmt: skip
    """The largest part of a batch that is computed at a time, the same on every rank. Raises DeepFTError.

    `known`: that of the attempt before, 0 where there was none. Where memory was full in it, `spec.micro_batch` says
    how much less this one may take.
    """
    part = known or _fitting(spec, folder, task, model, examples, accelerator, steps=steps, warn=warn, say=say)
    if 0 < spec.micro_batch < part:
        part = spec.micro_batch
        warn(
            f"Memory was full: the run was begun again from its last checkpoint, and batches are computed in parts of "
            f"{part}. {memory.effective_batch(task, model)}"
        )
    if accelerator.is_main_process:
        note(folder, part)
    return part


def note(folder: Path, part: int) -> None:
    """Writes down how much is computed at a time, for whoever begins the run again when it is killed for memory."""
    with contextlib.suppress(OSError):  # a full disk is told where it matters
        path = folder / job_folder.MEMORY
        path.parent.mkdir(exist_ok=True)
        job_folder.write(path, job_folder.InParts(part))


def _fitting(
    spec: JobSpec, folder: Path, task: Task, model: nn.Module, examples: Examples, accelerator: Accelerator, *,
    steps: int, warn: Callable[[str], None], say: Callable[..., Any],
) -> int:  # fmt: skip
    """One forward pass over two images tells what a step keeps. Where that and half as much again is free twice, as for
    nearly every job on a machine of its own, nothing else is done, so that a small job begins at once. Otherwise the
    first rank's probe measures real steps in a process of its own, and the part is halved until it fits.
    """
    values, device, ranks = spec.values, accelerator.device, accelerator.num_processes
    asked = math.ceil(values["batch_size"] / max(1, int(values.get("gradient_accumulation") or 1)))
    averaged = bool(values.get("ema"))
    keys = [(turn % len(examples), 1, turn) for turn in range(2)]
    sample = task.prepare(examples.__getitems__(keys).to(device))
    with accelerator.autocast():
        need = memory.estimate(task, model, sample, averaged=averaged)
    del sample
    room = memory.free(device) / (1 if device.type == "cuda" else ranks)
    part, measured = asked, None
    if accelerator.is_main_process and need.of(asked) > memory.PLENTY * room:
        measured = probe.measure(folder, _SIZES)
        wanted: Callable[[int], float] = need.of
        if measured is not None:
            copies = sum(p.numel() * p.element_size() for p in model.parameters()) * averaged
            known = measured
            wanted = lambda images: known.memory_at(images) + copies  # noqa: E731 - the line of the probe
        part = memory.largest_part(wanted, memory.FILLED * room, asked)
        if part and measured is not None:
            taken = 0 if device.type == "cuda" else psutil.Process().memory_info().rss
            seconds = steps * math.ceil(values["batch_size"] / part) * measured.seconds_at(part)
            most = int(taken + wanted(part))
            on_gpu = device.type == "cuda"
            say("quote", seconds=seconds, memory=None if on_gpu else most, gpu_memory=most if on_gpu else None,
                micro_batch=part, source="probe")  # fmt: skip
        fixed, least = max(0.0, wanted(0)), wanted(1)
    else:
        fixed = least = 0.0
    agreed: list[Any] = [part, fixed, least, room]
    if ranks > 1:
        broadcast_object_list(agreed)
    part, fixed, least, here = agreed
    if not part:
        raise DeepFTError(_nothing_fits(values.get("image_size"), fixed, least, here))
    if part < asked:
        warn(
            f"batch_size = {values['batch_size']} does not fit into the memory that is free ({_words(here)}): each "
            f"batch is computed in parts of {part}. {memory.effective_batch(task, model)}"
        )
    return part


def _nothing_fits(size: int | list[int] | None, fixed: float, least: float, room: float) -> str:
    """`fixed`: bytes that the network takes by itself, `least`: those with one image of this size."""
    words = f"Memory does not suffice: one image takes {_words(least)}, and {_words(room)} are free."
    left = memory.FILLED * room - fixed  # for an image
    if size and left > 0 and least > fixed:
        share = math.sqrt(left / (least - fixed))
        smaller = [int(side * share) // 32 * 32 for side in (size if isinstance(size, list) else [size])]
        if min(smaller) >= 32:
            fits = smaller if isinstance(size, list) else smaller[0]
            return f"{words} image_size = {fits} would fit with batch_size = 1."
    return f"{words} Take a smaller image_size or a smaller network, or end what else takes memory."


def _words(amount: float) -> str:
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"
