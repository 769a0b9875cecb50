"""What a job would take, measured before it begins: the job itself in small.

    measure(spec, folder, say)     says `measuring` as it goes on, and `quote` at the end

The loop trains a sample of the job's own inputs for some seconds, with its own batch, in the processes and with the
threads that the job would have; the sample is evaluated and its best weights are written, as in the job. What was
measured is then counted as often as the job does it. Nothing is kept but decoded pictures, which the job finds.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy
import psutil
import torch

from deepft_lab import manifest as manifests
from deepft_lab import params
from deepft_lab import spec as job_folder
from deepft_lab.manifest import Entry, Manifest
from deepft_lab.spec import JobSpec, Result
from deepft_lab.training import cache, loop, state, tasks
from deepft_lab.training.progress import since_launch
from deepft_lab.training.task import Task

SAMPLE = "sample"  # a job folder in the job's folder
PICTURES = 64  # of training and of validation that the sample has at least, where there are so many
SECONDS = 6.0  # of steps, after which they are enough
STEPS = 4  # that there are at least, where they do not take minutes
LONG = 60.0  # seconds after which even one step is enough

Say = Callable[..., Any]


class Sizes(NamedTuple):
    """Of the job and of its sample. `missing`: pictures that the cache does not have."""

    training: int
    validation: int
    missing: int
    sampled_training: int
    sampled_validation: int


def measure(spec: JobSpec, folder: Path, say: Say) -> Result:
    """Every rank trains; the first one says what it found. Raises DeepFTError where the job could not be trained."""
    launching = since_launch(folder)
    sample = folder / SAMPLE
    if int(os.environ.get("RANK", "0")) == 0:
        say("measuring", share=0.2)
        sizes = _write_sample(spec, folder, sample)
    else:
        sizes = None
        while not sample.exists():  # the launcher ends this rank where the first one fails
            time.sleep(0.01)
    sampled: JobSpec = job_folder.read(sample / "spec.json", JobSpec)
    watch = Watch(spec, sample, say, before=launching)
    loop.train(sampled, sample, watch.heard)
    if sizes is not None:
        say("quote", 0, **watch.sum(sizes))
        shutil.rmtree(sample, ignore_errors=True)
    return Result(outcome="trained")


class Watch:
    """Hears what the small job says and when, ends it when enough is known, and sums up."""

    def __init__(self, spec: JobSpec, folder: Path, say: Say, *, before: float) -> None:
        self.spec, self.folder, self.say, self.before = spec, folder, say, before
        self.process = psutil.Process()
        self.begun = self.last = time.monotonic()  # of the loop; of what was heard last
        self.cpu = self._cpu()  # seconds that this process had taken when the loop began
        self.started: dict[str, Any] = {}
        self.started_at = self.epoch_at = self.begun
        self.step = 0
        self.first: float | None = None  # seconds of the first step
        self.steps: list[tuple[int, float]] = []  # how many, and the seconds they took together
        self.evaluations: list[float] = []
        self.writing: list[float] = []  # the best weights
        self.mapped = self.peak = self.gpu_peak = 0

    def heard(self, kind: str, step: int = 0, **data: Any) -> None:
        now = time.monotonic()
        memory = self.process.memory_info()
        if kind == "started":
            self.started, self.started_at, self.mapped = data, now, memory.shared
            self.say("measuring", share=0.4)
        elif kind == "step":
            self._stepped(step, now)
        elif kind == "checkpoint" and data.get("path") != state.LAST:
            self.writing.append(float(data["seconds"]))
            self._evaluated(step, now - self.writing[-1])
        elif kind == "epoch":
            if not data["best"]:
                self._evaluated(step, now)
            self.step, self.epoch_at = step, now
        self.peak = max(self.peak, memory.rss - max(0, memory.shared - self.mapped))
        if torch.cuda.is_available() and self.spec.gpus:
            self.gpu_peak = max(self.gpu_peak, torch.cuda.max_memory_reserved())
        self.last = time.monotonic()

    def _stepped(self, step: int, now: float) -> None:
        if self.first is None:
            self.first = now - self.started_at
        else:
            self.steps.append((step - self.step, now - self.last))
        self.step = step
        spent = now - self.started_at
        self.say("measuring", share=0.4 + 0.5 * min(1.0, spent / SECONDS))
        if (spent > SECONDS and step >= STEPS) or spent > LONG:
            (self.folder / "stop").touch()

    def _evaluated(self, step: int, now: float) -> None:
        """An evaluation has ended. The last steps of its epoch, of which nothing was said, are none of its time."""
        a_step = _typical(self.steps) if self.steps else 0.0
        self.evaluations.append(max(0.0, now - self.last - (step - self.step) * a_step))

    def sum(self, sizes: Sizes) -> dict[str, Any]:
        """The data of the quote."""
        values, ranks = self.spec.values, max(1, self.spec.ranks)
        epochs = int(values["num_epochs"])
        items = params.items_per_epoch(values, sizes.training)
        steps = math.ceil(items / (int(values["batch_size"]) * ranks)) * epochs
        first = self.first or 0.0
        a_step = _typical(self.steps) if self.steps else first
        gathering, settling = self.started["gathering"], self.started["settling"]
        ready = self.before + self.started_at - self.begun - gathering - settling
        task = tasks.of_job(self.spec)
        whole, sampled = (sizes.training, sizes.validation), (sizes.sampled_training, sizes.sampled_validation)
        settling *= _ratio(task.settled(*whole), task.settled(*sampled))
        decoded = self.started["decoded"]
        decoding = gathering * (sizes.missing / decoded if decoded else 1.0)
        end = time.monotonic() - self.epoch_at
        evaluation = statistics.median(self.evaluations) if self.evaluations else 0.0
        evaluation *= _ratio(task.evaluated(*whole), task.evaluated(*sampled))
        writing = statistics.median(self.writing) if self.writing else 0.0
        parts = {
            "start": ready + max(0.0, first - a_step) + end,
            "decoding": decoding,
            "training": settling + steps * a_step,
            "evaluation": epochs * (evaluation + writing),
        }
        within = sum(parts.values()) - self.before
        most = 60 * float(values.get("max_minutes") or 0.0)
        seconds = self.before + (min(most, within) if most else within)
        busy = (self._cpu() - self.cpu) / max(1e-3, time.monotonic() - self.begun)
        return {
            "seconds": seconds,
            "parts": parts,
            "steps": steps,
            "epochs": epochs,
            "memory": self.peak,
            "gpu_memory": self.gpu_peak or None,
            "micro_batch": self.started["micro_batch"],
            "cpu_seconds": ranks * (self.cpu + busy * (seconds - self.before)),
            "cpu_taken": ranks * self._cpu(),
            "source": "sample",
        }

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


def _write_sample(spec: JobSpec, folder: Path, sample: Path) -> Sizes:
    """The folder of the small job, there whole or not at all."""
    task = tasks.of_job(spec)
    training = manifests.load(folder / "train.jsonl")
    path = folder / "validation.jsonl"
    validation = manifests.load(path) if path.is_file() else Manifest([], [])
    missing = _missing(spec, task, [*training.entries, *validation.entries])
    chosen = [_some(manifest.entries, missing, PICTURES) for manifest in (training, validation)]
    filling = folder / f".{SAMPLE}"
    shutil.rmtree(filling, ignore_errors=True)
    filling.mkdir()
    # An epoch keeps its length, the last picture of a batch its neighbours: only the pictures are fewer.
    values = {
        **spec.values,
        "num_items_per_epoch": params.items_per_epoch(spec.values, len(training.entries)),
        "max_minutes": 0.0,
        "early_stopping_patience": 0,
        "invalid_data_tolerance_percent": 100.0,
    }
    job_folder.write(filling / "spec.json", msgspec.structs.replace(spec, values=values, quote=False))
    for name, manifest, entries in zip(("train", "validation"), (training, validation), chosen, strict=True):
        if entries:
            (filling / f"{name}.jsonl").write_bytes(manifests.dump(manifest.concepts, entries))
    filling.rename(sample)
    few = [len(entries) for entries in chosen]
    return Sizes(len(training.entries), len(validation.entries), len(missing), few[0], few[1])


def _missing(spec: JobSpec, task: Task, entries: Sequence[Entry]) -> set[str]:
    """Pictures that the run would decode before it begins."""
    side = task.kept_side
    if side is None:
        return set()
    keys = {entry.sha256 for entry in entries}
    packs = cache.find(Path(spec.cache), side, keys) if spec.cache else []
    found = keys.difference(*(pack.rows for pack in packs))
    for pack in packs:
        pack.close()
    return found


def _some(entries: Sequence[Entry], missing: set[str], count: int) -> list[Entry]:
    """Entries drawn at random; half of them are such as must be decoded, as far as there are some."""
    order = [entries[place] for place in numpy.random.default_rng(0).permutation(len(entries))]
    unknown = [entry for entry in order if entry.sha256 in missing][: count // 2]
    taken = {entry.sha256 for entry in unknown}
    return unknown + [entry for entry in order if entry.sha256 not in taken][: count - len(unknown)]


def _typical(steps: Sequence[tuple[int, float]]) -> float:
    """Seconds of a step: the mean, without those that were disturbed most."""
    each = sorted(seconds / count for count, seconds in steps for _ in range(count))
    kept = each[: max(1, math.ceil(0.9 * len(each)))]
    return sum(kept) / len(kept)


def _ratio(whole: int, part: int) -> float:
    return whole / part if part else 0.0
