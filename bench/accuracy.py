"""Ants and bees: given weights (accuracy >= 0.90 in <= 120 CPU-seconds) and a random start (below 0.75).

    python bench/accuracy.py [SEED ...] [--set name=value ...]

Each line is a whole job: runner, launcher, worker. Needs the shared photos and weights (DEEPFT_SHARED).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import job_folders

from deepft_lab import spec
from deepft_lab.engines.local import LocalEngine


def run(folder: Path) -> tuple[spec.Result, spec.Exit]:
    """Runs the job of a folder to its end."""
    engine = LocalEngine(folder)
    handle = engine.submit(folder)
    while engine.poll(handle, folder):
        time.sleep(0.2)
    ending = spec.read(folder / "exit.json", spec.Exit)
    if not (folder / "result.json").exists():
        sys.exit(f"The job left no result: {ending.message}")
    return spec.read(folder / "result.json", spec.Result), ending


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--set", action="append", default=[], help="name=value of a hyperparameter")
    parser.add_argument("--only", choices=["given", "random"], help="leave the other out")
    options = parser.parse_args()
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared photos are not here (DEEPFT_SHARED)")
        return
    changed: dict[str, Any] = {}
    for pair in options.set:
        name, _, text = pair.partition("=")
        changed[name] = json.loads(text)
    photos = shared / "data/classify-antsbees"
    train, validation = job_folders.photos(photos / "train"), job_folders.photos(photos / "val")
    starts = {"given": "ImageNet-1k", "random": "None"}
    missed = []
    for seed in options.seeds:
        for start, weights in starts.items():
            if options.only not in (None, start):
                continue
            with tempfile.TemporaryDirectory() as folder:
                values = {"image_size": 224, "num_epochs": 3, "pretrained_weights": weights, **changed}
                weights_paths = [shared / "jupyter/deepft-lab/weights"]
                job_folders.make(Path(folder), train, validation, seed=seed, weights_paths=weights_paths, **values)
                result, ending = run(Path(folder))
            accuracy, seconds = result.metrics.get("accuracy"), ending.cpu_seconds
            wall = ending.ended - ending.started
            print(f"{start:6} weights, seed {seed}: accuracy {accuracy:.3f} (epoch {result.best_epoch}), "
                  f"{seconds:.0f} CPU-seconds, {wall:.0f} s {result.reason}", flush=True)  # fmt: skip
            assert accuracy is not None
            right = accuracy >= 0.90 and seconds <= 120 if start == "given" else accuracy < 0.75
            if not right:
                missed.append((start, seed))
    print(
        "limits: given >= 0.90 and <= 120 CPU-seconds, random < 0.75:", f"missed by {missed}" if missed else "all met"
    )
    sys.exit(1 if missed and not changed else 0)


if __name__ == "__main__":
    main()
