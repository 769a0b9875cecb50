"""Images a second of a whole epoch: ours beside the network alone, a bare loop, fastai and the transformers Trainer.

    python bench/train.py [--sizes 128 224] [--rounds 5] [--peers PYTHON] [--only ours,compute] [--large]

MobileNetV2 on ants and bees (DEEPFT_SHARED). Each contestant is a process of its own that trains one epoch when it is
told to; they take turns, so that a slow minute of the machine meets all of them, and the medians are compared. fastai
and transformers are no dependencies: `--peers` names the Python of another environment that has them; who is not
installed is skipped, and said so. `--large` trains on twelve-megapixel photos too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import job_folders
import msgspec
from large_photos import enlarged

from deepft_lab import spec
from deepft_lab.engines import runner

BATCH = 32
PHOTOS = 224  # whole batches: some fill the last one up, others make it smaller
LIMITS = {"compute": 0.90, "bare": 1.0, "bare_workers": 1.0, "fastai": 1.5, "trainer": 1.3}  # ours over each
LARGE = 0.95  # twelve-megapixel photos over small ones
NEEDS = {"fastai": "fastai", "trainer": "transformers"}


class Contestant:
    """A process that trains an epoch when told to."""

    def __init__(self, name: str, python: str, settings: Path, job: spec.JobSpec) -> None:
        self.name, self.log = name, tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        # Ours runs as the engine starts it. The others get the same threads, and idle threads that do not spin.
        environment = {**os.environ, **runner.WAITING, **runner.thread_counts(job.threads)}
        if name in ("ours", "compute"):
            environment = runner.environment(job)
        environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
        self.process = subprocess.Popen(
            [python, __file__.replace("train.py", "contestants.py"), name, str(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
        )  # fmt: skip
        self.answer()

    def answer(self) -> tuple[float, float] | None:
        """Seconds and CPU-seconds of the epoch that it was told to train."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"{self.name} ended: " + self.log.read().decode()[-1500:])
        return json.loads(line)

    def epoch(self) -> tuple[float, float]:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        took = self.answer()
        assert took is not None
        return took

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                stream.close()


def installed(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def measure(
    photos: Path, size: int, rounds: int, names: list[str], peers: str, folder: Path
) -> dict[str, dict[str, float]]:
    """Medians of images a second and of CPU-seconds an image, by contestant."""
    shared = job_folders.shared()
    weights = [shared / "jupyter" / "deepft-lab" / "weights"] if shared else []
    pictures = [(path.read_bytes(), {path.parent.name: 1}) for path in sorted(photos.glob("*/*.jpg"))]
    job = job_folders.make(
        folder / f"job-{size}", pictures, [], image_size=size, batch_size=BATCH, num_epochs=600, weights_paths=weights
    )
    # All train their norms: the template's own recipe keeps their statistics, which is less work.
    recipe = {**job.template.recipe, "norms": "train", "head_start": "random"}
    job = msgspec.structs.replace(job, template=msgspec.structs.replace(job.template, recipe=recipe))
    spec.write(folder / f"job-{size}" / "spec.json", job)
    settings = folder / f"settings-{size}.json"
    content: dict[str, Any] = {
        "job": str(folder / f"job-{size}"), "photos": str(photos), "size": size, "batch_size": BATCH,
        "threads": job.threads, "workers": job.threads, "scratch": str(folder / "scratch"),
    }  # fmt: skip
    settings.write_text(json.dumps(content))
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    contestants = {}
    try:
        for name in names:
            python = peers if name in NEEDS else sys.executable
            contestants[name] = Contestant(name, python, settings, job)
            contestants[name].epoch()  # warms up
        for _ in range(rounds):
            for name, contestant in contestants.items():
                took[name].append(contestant.epoch())
    finally:
        for contestant in contestants.values():
            contestant.end()
    return {
        name: {
            "rate": len(pictures) / statistics.median(seconds for seconds, _ in found),
            "cpu": statistics.median(cpu for _, cpu in found) / len(pictures),
        }
        for name, found in took.items()
    }


def show(size: int, found: dict[str, dict[str, float]]) -> bool:
    """Prints the table of a size; False where a limit is missed."""
    print(f"{size} px: images/s (median), CPU-ms an image, ours over it, by CPU time")
    mine, held = found["ours"], True
    for name, figures in found.items():
        ratio, by_cpu = mine["rate"] / figures["rate"], figures["cpu"] / mine["cpu"]
        limit = LIMITS.get(name)
        missed = limit is not None and ratio < limit
        words = "" if limit is None else f"  (limit {limit:.2f}{', MISSED' if missed else ''})"
        print(f"  {name:13} {figures['rate']:7.1f} {figures['cpu'] * 1000:7.1f} {ratio:6.2f} {by_cpu:6.2f}{words}")
        held = held and not missed
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable, help="a Python that has fastai and transformers")
    parser.add_argument("--only", default="", help="some contestants, with commas between them")
    parser.add_argument("--large", action="store_true", help="twelve-megapixel photos too (minutes)")
    arguments = parser.parse_args()
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared photos are not here (DEEPFT_SHARED)")
        return
    originals = shared / "data" / "classify-antsbees" / "train"
    names = ["compute", "ours", "bare", "bare_workers", "fastai", "trainer"]
    if arguments.only:
        names = [name for name in names if name in {"ours", *arguments.only.split(",")}]
    for name, module in NEEDS.items():
        if name in names and not installed(arguments.peers, module):
            print(f"{name}: skipped, {module} is not installed for {arguments.peers}")
            names.remove(name)
    held = True
    with tempfile.TemporaryDirectory() as scratch:
        photos = enlarged(originals, Path(scratch) / "originals", megapixels=None, count=PHOTOS)
        for size in arguments.sizes:
            found = measure(photos, size, arguments.rounds, names, arguments.peers, Path(scratch) / "small")
            held = show(size, found) and held
        if arguments.large:
            large = enlarged(originals, Path(scratch) / "photos", megapixels=12, count=64)
            small = enlarged(originals, Path(scratch) / "few", megapixels=None, count=64)
            rates = {}
            for name, source in (("large", large), ("small", small)):
                found = measure(source, 224, arguments.rounds, ["ours"], arguments.peers, Path(scratch) / name)
                rates[name] = found["ours"]["rate"]
            ratio = rates["large"] / rates["small"]
            print(
                f"12-megapixel photos, second epoch and later: {rates['large']:.1f} images/s, "
                f"small ones {rates['small']:.1f}: {ratio:.2f} (limit {LARGE}{', MISSED' if ratio < LARGE else ''})"
            )
            held = held and ratio >= LARGE
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
