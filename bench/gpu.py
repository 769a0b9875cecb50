"""ResNet-50 at 224 pixels on a GPU: a job end to end beside the network alone on synthetic data, >= 0.95.

    python bench/gpu.py [--batch 256] [--photos 16384] [--epochs 5] [--template NAME] [--compile]

The job is the product's own loop on JPEG files: cache, crops, workers, pinned memory, bf16, channels last. The
synthetic rate is the same network, loss and optimizer on one batch that lies on the GPU. Medians after the first epoch.
Beside them stand published figures of other cards, for the reader: no public figure of this card is known to us.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import job_folders
import numpy
import torch
from PIL import Image

from deepft_lab import spec
from deepft_lab.training import optimizers, tasks
from deepft_lab.training.loop import train

LIMIT = 0.95
PUBLISHED = {
    "A100 80 GB, AMP (NVIDIA DeepLearningExamples)": 2470,
    "A100, AMP, channels last, batch 512, network alone (timm)": 2600,
    "H200, bf16, channels last, compiled: what we aim at": 3500,
}


def photos(count: int) -> list[tuple[bytes, dict[str, int]]]:
    """JPEG files of 500 x 375 with structure and grain, in two concepts."""

    def one(seed: int) -> tuple[bytes, dict[str, int]]:
        random = numpy.random.default_rng(seed)
        rough = Image.fromarray(random.integers(0, 255, (24, 32, 3), dtype=numpy.uint8))
        pixels = numpy.asarray(rough.resize((500, 375), Image.Resampling.BICUBIC)).astype(numpy.int16)
        pixels = numpy.clip(pixels + random.integers(-12, 12, (375, 500, 1)), 0, 255).astype(numpy.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        return buffer.getvalue(), {("one", "two")[seed % 2]: 1}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, range(count)))


def end_to_end(job: spec.JobSpec, folder: Path) -> float:
    """Images a second of the job's epochs after the first."""
    ends: list[float] = []

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind == "epoch":
            ends.append(time.perf_counter())

    train(job, folder, say)
    count = len((folder / "train.jsonl").read_bytes().splitlines()) - 1
    return count / statistics.median(after - before for before, after in pairwise(ends))


def synthetic(job: spec.JobSpec, steps: int, *, compiled: bool) -> float:
    """Images a second of forward, backward and optimizer on one batch that lies on the GPU."""
    task = tasks.of_job(job)
    batch_size, size = job.values["batch_size"], job.values["image_size"]
    pixels = torch.zeros((size * 2, size * 2, 3), dtype=torch.uint8)
    targets = [torch.tensor([1.0, 0.0])] * batch_size
    batch = task.prepare(task.test_batch([pixels] * batch_size, targets).to("cuda"))
    model = task.build().to("cuda").train()
    run: Any = torch.compile(model) if compiled else model
    optimizer = optimizers.build(
        task.plan.optimizer, model, weight_decay=job.values["weight_decay"], factor=lambda name: 1.0
    )
    for group in optimizer.param_groups:
        group["lr"] = 1e-4
    rates = []
    for _ in range(4):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(steps):
            with torch.autocast("cuda", torch.bfloat16):
                loss = task.loss(run, batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        torch.cuda.synchronize()
        rates.append(steps * batch_size / (time.perf_counter() - begun))
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--photos", type=int, default=16384)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--template", default="classifier-resnet50")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU here that torch can use: ResNet-50 at 224 px was not measured.")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = job_folders.make(
            folder, photos(arguments.photos), [], template=arguments.template, image_size=224,
            batch_size=arguments.batch, num_epochs=arguments.epochs, pretrained_weights="None",
            compile=arguments.compile,
        )  # fmt: skip
        job = spec.JobSpec(**{**{name: getattr(job, name) for name in job.__struct_fields__}, "gpus": [0]})
        spec.write(folder / "spec.json", job)
        alone = synthetic(job, max(1, arguments.photos // arguments.batch), compiled=arguments.compile)
        whole = end_to_end(job, folder)
    ratio = whole / alone
    how = f"{torch.cuda.get_device_name()}, bf16, channels last, batch {arguments.batch}, {job.threads} threads"
    print(f"ResNet-50, 224 px, {how}{', compiled' if arguments.compile else ''}")
    print(f"  network alone on synthetic data {alone:.0f} images/s, the job end to end {whole:.0f}: {ratio:.3f}")
    for words, rate in PUBLISHED.items():
        print(f"  beside: {words}: {rate} images/s")
    if ratio < LIMIT:
        sys.exit(f"  the ratio is below its limit of {LIMIT}")


if __name__ == "__main__":
    main()
