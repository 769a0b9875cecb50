"""Measures the memory and time of a job's steps at a few small batch sizes, in a process of its own.

    python -m deepft_lab.training.probe JOB_FOLDER 2 4      ->  {"base": bytes, "sizes": [2, 4], "memory": [...], ...}

Pictures are noise: that does not change what a step takes. What the probe takes is gone when it ends, and
when it dies of what it takes, the job does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from deepft_lab import spec as job_folder

STEPS = 3  # at each size; the last one is timed
SECONDS = 180  # after which a probe is given up


class Measured(NamedTuple):
    """Peaks in bytes and seconds a step by batch size; `base`: taken before the first step."""

    base: int
    sizes: list[int]
    memory: list[int]
    seconds: list[float]

    def memory_at(self, images: int) -> float:
        """Bytes beside `base` that a step of so many images takes: the line through the sizes that were measured."""
        return _line(self.sizes, self.memory, images) - self.base

    def seconds_at(self, images: int) -> float:
        return max(0.0, _line(self.sizes, self.seconds, images))


def measure(folder: Path, sizes: tuple[int, ...]) -> Measured | None:
    """Runs the probe. None where it came to no result; its words stand in the log."""
    command = [sys.executable, "-m", "deepft_lab.training.probe", str(folder), *map(str, sizes)]
    variables = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, check=True, env=variables)
        return Measured(**json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, TypeError):
        return None


def main(folder: Path, sizes: list[int]) -> dict[str, object]:
    """Trains a few steps at each size, the smallest first, and gives what they took."""
    import numpy
    import torch

    from deepft_lab import manifest as manifests
    from deepft_lab.training import devices, inheriting, norms, optimizers, tasks

    spec = job_folder.read(folder / "spec.json", job_folder.JobSpec)
    torch.set_num_threads(spec.threads)
    torch.set_flush_denormal(True)
    on_gpu = bool(spec.gpus)
    device = torch.device("cuda", 0) if on_gpu else torch.device("cpu")
    task = tasks.of_job(spec)
    manifest = manifests.load(folder / "train.jsonl")
    # With its weights, as the run does: what is frozen of a network that has learned takes much less.
    pretrained = spec.weights is not None or spec.resume_model is not None
    built = task.build(None if spec.resume_model else spec.weights)
    if spec.resume_model:
        inheriting.inherit(task, built, Path(spec.resume_model))
    model = built.to(device)
    optimizer = optimizers.build(
        task.plan.optimizer, model, weight_decay=spec.values.get("weight_decay", task.plan.optimizer.weight_decay),
        factor=lambda name: task.lrate_factor(name, pretrained=pretrained),
    )  # fmt: skip
    targets = task.targets(manifest)
    precision, _ = devices.precision(spec.values.get("mixed_precision", "auto"), on_gpu)
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    noise = numpy.random.default_rng(0)
    memory, seconds = [], []
    _forget_peak()
    base = _peak(device) if on_gpu else _resident()
    for size in sorted(sizes):
        rows = [turn % len(manifest.entries) for turn in range(size)]
        side = task.stored_side
        pictures = [torch.from_numpy(noise.integers(0, 256, (side, side, 3), dtype=numpy.uint8)) for _ in rows]
        norms.train(model, size > 1)
        for turn in range(STEPS):
            begun = time.perf_counter()
            randoms = [numpy.random.default_rng((turn, row)) for row in range(size)]
            batch = task.train_batch(pictures, [targets[row] for row in rows], randoms).to(device)
            prepared = task.prepare(batch, noise)
            with torch.autocast(device.type, half, enabled=precision != "no"):
                loss = task.loss(model, prepared)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if on_gpu:
                torch.cuda.synchronize()
            took = time.perf_counter() - begun
        memory.append(_peak(device))
        seconds.append(took)
    return {"base": base, "sizes": sorted(sizes), "memory": memory, "seconds": seconds}


def _peak(device: object) -> int:
    import resource

    import torch

    if isinstance(device, torch.device) and device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    # getrusage counts what the parent had taken before it became this process; the kernel's own mark does not.
    status = Path("/proc/self/status")
    marks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")] if status.exists() else []
    return int(marks[0].split()[1]) * 1024 if marks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _forget_peak() -> None:
    """What importing took is no part of a step."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def _line(places: list[int], values: list[int] | list[float], place: float) -> float:
    if len(places) == 1:
        return float(values[0]) * place / places[0]
    slope = (values[-1] - values[0]) / (places[-1] - places[0])
    return values[0] + slope * (place - places[0])


if __name__ == "__main__":
    try:
        print(json.dumps(main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])))
    except msgspec.MsgspecError as error:
        sys.exit(f"probe: {error}")
