"""What a job trains and validates on: its pictures, decoded once, and what is true of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator

from deepft_lab import manifest as manifests
from deepft_lab.errors import DeepFTError
from deepft_lab.spec import JobSpec
from deepft_lab.training import data, pictures
from deepft_lab.training.preparing import Tell
from deepft_lab.training.task import Task

_NAMED = 10  # unreadable inputs that a warning names each; an error names more
_LISTED = 50


class Material(NamedTuple):
    training: data.Examples
    validation: data.Examples
    side: int | None  # at which pictures are stored; None: whole
    decoded: int  # pictures that the cache did not have


def gather(
    spec: JobSpec, folder: Path, task: Task, accelerator: Accelerator, warn: Callable[[str], None], tell: Tell
) -> Material:
    """Raises DeepFTError where more inputs cannot be read than is tolerated, and where there is nothing to train on."""
    training = manifests.load(folder / "train.jsonl")
    path = folder / "validation.jsonl"
    validation = manifests.load(path) if path.is_file() else manifests.Manifest([], [])
    entries = training.entries + validation.entries
    side = task.kept_side
    stored = pictures.gather(
        spec, folder, entries, side,
        threads=spec.threads * accelerator.num_processes,
        first=accelerator.is_main_process, wait=accelerator.wait_for_everyone, tell=tell,
    )  # fmt: skip
    if stored.refused:
        warn(stored.refused)
    _refuse_or_name(spec, entries, stored.unreadable, warn)

    def examples(manifest: manifests.Manifest, first: int) -> data.Examples:
        targets = task.targets(manifest)
        kept = [row for row in range(len(manifest.entries)) if first + row not in stored.unreadable]
        known = targets[kept] if isinstance(targets, torch.Tensor) else [targets[row] for row in kept]
        places, shown = [first + row for row in kept], [manifest.entries[row] for row in kept]
        return data.Examples(stored, places, shown, known, task, spec.seed)

    found = Material(examples(training, 0), examples(validation, len(training.entries)), side, stored.decoded)
    if not len(found.training):
        raise DeepFTError("There is no input to train on.")
    for message in task.complaints(found.training.targets):
        warn(message)
    if not len(found.validation):
        warn("There is no input to validate on: no metrics, and the last epoch's checkpoint is the model.")
    return found


def _refuse_or_name(
    spec: JobSpec, entries: list[manifests.Entry], unreadable: dict[int, str], warn: Callable[[str], None]
) -> None:
    tolerated = float(spec.values.get("invalid_data_tolerance_percent", 5.0))
    count = len(unreadable)
    named = [f"{entries[place].input} ({reason})" for place, reason in unreadable.items()]
    if count * 100 > tolerated * len(entries):
        listing = "; ".join(named[:_LISTED]) + (f"; and {count - _LISTED} more" if count > _LISTED else "")
        raise DeepFTError(
            f"{count} of {len(entries)} inputs cannot be read, more than "
            f"invalid_data_tolerance_percent = {tolerated:g} allows: {listing}. Remove them, or tolerate more."
        )
    for words in named[:_NAMED]:
        warn(f"An input is left out: {words}")
    if count > _NAMED:
        warn(f"{count - _NAMED} more inputs are left out because they cannot be read.")
