"""The training loop beside a bare PyTorch loop: the same network, batches and transforms, at most 5 % more CPU time.

Both run whole jobs on the digits in turns, in one process. The least CPU-seconds of each are compared: whatever else
the machine does can only add to them. The bare loop below is what one would write by hand: no Accelerate, no events,
no stop file, and the model saved once at the end.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in a job, for both

import statistics
import sys
import tempfile
import time
from pathlib import Path

import job_folders
import torch

from deepft_lab import manifest, params, spec
from deepft_lab.events import EventWriter
from deepft_lab.training import data, optimizers, pictures, schedules, tasks
from deepft_lab.training.loop import train
from deepft_lab.training.metrics import classification
from deepft_lab.training.tasks import classify

TURNS = 6
LIMIT = 1.05
IMAGES, EPOCHS = 480, 2


def bare(job: spec.JobSpec, folder: Path) -> float:
    """The loop by hand; returns the accuracy."""
    values = job.values
    task = tasks.of_job(job)
    batch_size = values["batch_size"]
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads)
    torch.set_flush_denormal(True)
    manifests = [manifest.load(folder / f"{name}.jsonl") for name in ("train", "validation")]
    entries = manifests[0].entries + manifests[1].entries
    stored = pictures.gather(job, folder, entries, task.stored_side, threads=job.threads)
    examples, first = [], 0
    for one in manifests:
        places = range(first, first + len(one.entries))
        examples.append(data.Examples(stored, places, one.entries, task.targets(one), task, job.seed))
        first += len(one.entries)
    order = data.TrainingOrder(len(examples[0]), batch_size=batch_size, seed=job.seed)
    train_batches = data.batches(examples[0], order, workers=0, pin=False)
    validation_order = data.ValidationOrder(len(examples[1]), batch_size=batch_size)
    validation_batches = data.batches(examples[1], validation_order, workers=0, pin=False)

    model = task.build(job.weights)
    pretrained = job.weights is not None
    optimizer = optimizers.build(
        task.plan.optimizer, model, weight_decay=values["weight_decay"],
        factor=lambda name: task.lrate_factor(name, pretrained=pretrained),
    )  # fmt: skip
    lrate = params.effective_lrate(values) or 0.0
    steps = len(order) * values["num_epochs"]
    rates = schedules.plan(values, lrate=lrate, images_a_step=batch_size, steps=steps)
    step, accuracy = 0, 0.0
    for epoch in range(1, values["num_epochs"] + 1):
        order.epoch = epoch
        model.train()
        for batch in train_batches:
            for group in optimizer.param_groups:
                group["lr"] = schedules.cosine(rates, step) * group["factor"]
            loss = task.loss(model, task.prepare(batch))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
        model.eval()
        with torch.inference_mode():
            logits = torch.cat([model(task.prepare(batch).images) for batch in validation_batches])
        values_now = classify.values(logits, exclusive=job.exclusive).numpy()
        whole, _ = classification(values_now, examples[1].targets.numpy(), job.concepts, exclusive=job.exclusive)
        accuracy = whole["accuracy"] or 0.0
    torch.save(model.state_dict(), folder / "bare.pth")
    return accuracy


def ours(job: spec.JobSpec, folder: Path) -> float:
    events = EventWriter(folder / "events.jsonl")
    result = train(job, folder, events.write)
    events.close()
    return result.metrics["accuracy"] or 0.0


def main() -> None:
    training, validation = job_folders.digits(32)
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = job_folders.make(
            folder, training[:IMAGES], validation[:96], image_size=96, num_epochs=EPOCHS, pretrained_weights="None"
        )
        for turn in range(TURNS + 1):
            for loop in (bare, ours) if turn % 2 else (ours, bare):
                begun = time.process_time()
                loop(job, folder)
                if turn:  # the first turn warms up
                    seconds[loop.__name__].append(time.process_time() - begun)
    for name, found in seconds.items():
        each = " ".join(f"{value:.2f}" for value in found)
        print(f"{name}: {min(found):.2f} CPU-seconds a job (least; median {statistics.median(found):.2f}; all: {each})")
    ratio = min(seconds["ours"]) / min(seconds["bare"])
    print(f"ours / bare: {ratio:.3f} (limit {LIMIT})")
    sys.exit(0 if ratio <= LIMIT else 1)


if __name__ == "__main__":
    main()
