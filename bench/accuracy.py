"""What each template reaches on the shared photos, beside what it must reach: medians over the seeds.

    python bench/accuracy.py [SEED ...] [--only ROW ...] [--set name=value ...] [--threads N]

Each line is a whole job: runner, launcher, worker. Needs the shared photos and weights (DEEPFT_SHARED).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import job_folders

from deepft_lab import spec
from deepft_lab.engines.local import LocalEngine


class Row(NamedTuple):
    """A figure that must be reached. `least` may be an upper bound: then `below` is true."""

    template: str
    data: Callable[[Path, str], Any]  # shared folder, train or val
    values: dict[str, Any]
    metric: str
    least: float
    cpu_seconds: float | None = None
    exclusive: bool = True
    below: bool = False
    also: dict[str, float] = {}  # other metrics that must reach a figure
    beside: str = ""  # a row before it whose figure must be the same within the noise


def photos(name: str) -> Callable[[Path, str], Any]:
    return lambda shared, split: job_folders.photos(shared / "data" / name / split)


def white_blood_cells(shared: Path, split: str) -> Any:
    return job_folders.white_blood_cells(shared / "data" / "segment-wbc1" / split)


def blood_cells(shared: Path, split: str) -> Any:
    return job_folders.voc(shared / "data" / "detect-bccd", split)


ANTS = {"image_size": 224, "num_epochs": 3}
NOISE = 0.02  # what two seeds of one recipe differ by at least: three of ants' and bees' 153 photos
ROWS: dict[str, Row] = {
    "ants-and-bees": Row("classifier-mobilenet-v2", photos("classify-antsbees"), ANTS, "accuracy", 0.93, 90),
    "ants-and-bees-decoded": Row(  # what the cache costs: whole pictures, decoded in every epoch
        "classifier-mobilenet-v2", photos("classify-antsbees"), {**ANTS, "decode": "full"}, "accuracy", 0.93,
        beside="ants-and-bees",
    ),
    "ants-and-bees-random": Row(
        "classifier-mobilenet-v2", photos("classify-antsbees"), {**ANTS, "pretrained_weights": "None"},
        "accuracy", 0.75, below=True,
    ),
    "sign-digits": Row(
        "classifier-mobilenet-v2", photos("classify-signdigits"), {"image_size": 96, "num_epochs": 8},
        "accuracy", 0.88, 60,
    ),
    "ants-and-bees-linear": Row("transfer-linear", photos("classify-antsbees"), {}, "accuracy", 0.93, 25),
    "ants-and-bees-embedder": Row(  # the frozen backbone reaches 0.915
        "embedder-mobilenet-v2", photos("classify-antsbees"), {"image_size": 224}, "knn_accuracy", 0.92, 120
    ),
    "blood-cells": Row(
        "detector-faster-rcnn-light", blood_cells, {"image_size": [320], "num_epochs": 5}, "mAP", 0.48, 230,
        exclusive=False, also={"AP50": 0.85},
    ),
    "white-blood-cells": Row(
        "segmenter-light", white_blood_cells, {"image_size": 128, "num_epochs": 6}, "mIoU", 0.85, 60, exclusive=False
    ),
}  # fmt: skip


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


def measure(
    row: Row, shared: Path, seed: int, changed: dict[str, Any], threads: int | None = None
) -> tuple[float, ...]:
    """The metric, the CPU-seconds and the other metrics of one job."""
    with tempfile.TemporaryDirectory() as folder:
        job_folders.make(
            Path(folder), row.data(shared, "train"), row.data(shared, "val"), template=row.template, seed=seed,
            exclusive=row.exclusive, weights_paths=[shared / "jupyter/deepft-lab/weights"], threads=threads,
            **{**row.values, **changed},
        )  # fmt: skip
        result, ending = run(Path(folder))
    figure = result.metrics.get(row.metric)
    if figure is None:
        sys.exit(f"The job has no {row.metric}: {result.reason}")
    others = [result.metrics.get(name) or 0.0 for name in row.also]
    more = "".join(f", {name} {value:.3f}" for name, value in zip(row.also, others, strict=True))
    print(f"  seed {seed}: {row.metric} {figure:.3f}{more} (epoch {result.best_epoch}), "
          f"{ending.cpu_seconds:.0f} CPU-seconds, {ending.ended - ending.started:.0f} s", flush=True)  # fmt: skip
    return figure, ending.cpu_seconds, *others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--set", action="append", default=[], help="name=value of a hyperparameter")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="leave the others out")
    parser.add_argument("--threads", type=int, help="of a job; all cores without it")
    options = parser.parse_args()
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared photos are not here (DEEPFT_SHARED)")
        return
    changed: dict[str, Any] = {}
    for pair in options.set:
        name, _, text = pair.partition("=")
        changed[name] = json.loads(text)
    missed, figures = [], {}
    for name in options.only:
        row = ROWS[name]
        print(f"{name}: {row.template} {row.values}", flush=True)
        measured = [measure(row, shared, seed, changed, options.threads) for seed in options.seeds]
        figure, seconds, *others = (statistics.median(column) for column in zip(*measured, strict=True))
        reached = figure < row.least if row.below else figure >= row.least
        reached = reached and all(found >= least for found, least in zip(others, row.also.values(), strict=True))
        more = "".join(
            f", {name} {found:.3f} (must be >= {least})"
            for (name, least), found in zip(row.also.items(), others, strict=True)
        )
        in_time = row.cpu_seconds is None or seconds <= row.cpu_seconds
        limit = f"{'<' if row.below else '>='} {row.least}"
        within = "" if row.cpu_seconds is None else f" within {row.cpu_seconds:.0f}"
        print(f"  median: {row.metric} {figure:.3f} (must be {limit}){more}, {seconds:.0f} CPU-seconds{within}"
              f"{'' if reached and in_time else '  MISSED'}", flush=True)  # fmt: skip
        figures[name] = [row_figures[0] for row_figures in measured]
        same = row.beside not in figures or _same(row, figures[row.beside], figures[name])
        if not (reached and in_time and same):
            missed.append(name)
    print(f"missed: {', '.join(missed)}" if missed else "all met")
    sys.exit(1 if missed and not changed else 0)


def _same(row: Row, before: list[float], now: list[float]) -> bool:
    """Whether the medians of two rows differ by no more than their seeds do."""
    noise = max(NOISE, max(before) - min(before), max(now) - min(now))
    difference = statistics.median(before) - statistics.median(now)
    print(f"  {row.beside} has {difference:+.3f} {row.metric}; seeds and photos make {noise:.3f}"
          f"{'' if abs(difference) <= noise else '  MISSED'}", flush=True)  # fmt: skip
    return abs(difference) <= noise


if __name__ == "__main__":
    main()
