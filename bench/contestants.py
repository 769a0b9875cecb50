"""One contestant of `train.py`: a process that trains an epoch each time it reads a line, and says what it took.

    python bench/contestants.py NAME SETTINGS.json      NAME: one of CONTESTANTS

All train MobileNetV2 on the same photos with the same batch size, random resized crops, flips and AdamW, on the same
number of threads. Each is written as its own documentation shows it; where a setting matters, the faster one is taken.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Epochs = Iterator[int]  # each item: an epoch was trained on so many images


def ours(settings: dict[str, Any], ready: Callable[[], None]) -> None:
    """The product's loop: a job of many epochs that waits for a line at the end of each."""
    from deepft_lab import spec
    from deepft_lab.training.loop import train

    folder = Path(settings["job"])
    job = spec.read(folder / "spec.json", spec.JobSpec)

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind == "epoch":
            ready()

    train(job, folder, say)


def compute(settings: dict[str, Any], ready: Callable[[], None]) -> None:
    """Forward, backward and optimizer alone: the same network, loss and optimizer, on batches in memory."""
    import numpy
    import torch

    from deepft_lab import manifest, spec
    from deepft_lab.training import data, optimizers, pictures, tasks

    folder = Path(settings["job"])
    job = spec.read(folder / "spec.json", spec.JobSpec)
    torch.set_num_threads(job.threads)
    torch.set_flush_denormal(True)
    task = tasks.of_job(job)
    training = manifest.load(folder / "train.jsonl")
    stored = pictures.gather(job, folder, training.entries, task.stored_side, threads=job.threads)
    count = len(training.entries)
    examples = data.Examples(stored, range(count), training.entries, task.targets(training), task, job.seed)
    order = data.TrainingOrder(count, batch_size=job.values["batch_size"], seed=job.seed)
    loader = data.batches(examples, order, workers=0, pin=False)
    kept = [task.prepare(batch, numpy.random.default_rng(1)) for batch in loader]
    model = task.build(job.weights)
    optimizer = optimizers.build(
        task.plan.optimizer, model, weight_decay=job.values["weight_decay"], factor=lambda name: 1.0
    )
    for group in optimizer.param_groups:
        group["lr"] = 1e-4
    model.train()
    while True:
        for batch in kept:
            task.loss(model, batch).backward()
            optimizer.step()
            optimizer.zero_grad()
        ready()


def _folder(settings: dict[str, Any]) -> Any:
    """The photos as torchvision reads them, changed by its transforms."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    size = settings["size"]
    changes = [
        v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, DEVIATION),
    ]
    return ImageFolder(settings["photos"], transform=v2.Compose(changes))


def _network(settings: dict[str, Any]) -> Any:
    import torch
    from torchvision.models import mobilenet_v2

    torch.set_num_threads(settings["threads"])
    return mobilenet_v2(num_classes=2)


def bare(settings: dict[str, Any], ready: Callable[[], None], *, workers: int = 0) -> None:
    """A loop by hand: channels last, a DataLoader, fused AdamW."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader

    torch.set_flush_denormal(True)
    model = _network(settings).to(memory_format=torch.channels_last).train()
    loader = DataLoader(
        _folder(settings), settings["batch_size"], shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    while True:
        for images, targets in loader:
            images = images.to(memory_format=torch.channels_last)
            functional.cross_entropy(model(images), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
        ready()


def bare_workers(settings: dict[str, Any], ready: Callable[[], None]) -> None:
    """The same, with a loading process beside."""
    bare(settings, ready, workers=1)


def fastai(settings: dict[str, Any], ready: Callable[[], None]) -> None:
    """fastai's Learner over ImageDataLoaders."""
    from fastai.vision.all import (
        Adam,
        CrossEntropyLossFlat,
        Flip,
        ImageDataLoaders,
        Learner,
        Normalize,
        RandomResizedCrop,
    )  # fmt: skip

    model = _network(settings)
    loaders = ImageDataLoaders.from_folder(
        Path(settings["photos"]), train=".", valid_pct=0.004, seed=1, bs=settings["batch_size"],
        item_tfms=RandomResizedCrop(settings["size"], min_scale=0.35),
        batch_tfms=[Flip(), Normalize.from_stats(MEAN, DEVIATION)], num_workers=settings["workers"], device="cpu",
    )  # fmt: skip
    learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), opt_func=Adam)
    while True:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, 1e-4)
        ready()


def trainer(settings: dict[str, Any], ready: Callable[[], None]) -> None:
    """The Trainer of transformers."""
    import torch
    from torch import nn
    from torch.nn import functional
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network(settings)

        def forward(self, pixel_values: Any, labels: Any) -> dict[str, Any]:
            logits = self.network(pixel_values)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    class Wait(TrainerCallback):
        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            ready()

    def collate(rows: list[Any]) -> dict[str, Any]:
        return {"pixel_values": torch.stack([row[0] for row in rows]), "labels": torch.tensor([row[1] for row in rows])}

    arguments = TrainingArguments(
        output_dir=settings["scratch"], use_cpu=True, per_device_train_batch_size=settings["batch_size"],
        num_train_epochs=1000, learning_rate=1e-4, save_strategy="no", report_to=[], disable_tqdm=True,
        remove_unused_columns=False, dataloader_num_workers=settings["workers"], logging_steps=1000,
    )  # fmt: skip
    Trainer(Model(), arguments, train_dataset=_folder(settings), data_collator=collate, callbacks=[Wait()]).train()


CONTESTANTS = {kind.__name__: kind for kind in (ours, compute, bare, bare_workers, fastai, trainer)}


def main() -> None:
    import resource

    if len(sys.argv) != 3:
        sys.exit(print("These are started by train.py."))
    kind, settings = CONTESTANTS[sys.argv[1]], json.loads(Path(sys.argv[2]).read_text())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print is no answer
    begun: list[tuple[float, float]] = []

    def now() -> tuple[float, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter(), used.ru_utime + used.ru_stime + children.ru_utime + children.ru_stime + _workers()

    def ready() -> None:
        """An epoch is over: says so, and waits for the line that starts the next."""
        end = now()
        took = [after - before for after, before in zip(end, begun[-1], strict=True)] if begun else None
        print(json.dumps(took), file=answers, flush=True)
        if not sys.stdin.readline():
            os._exit(0)
        begun.append(now())

    kind(settings, ready)


def _workers() -> float:
    """CPU seconds of living child processes."""
    import psutil

    total = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
