"""What checkpoints, events, previews and the look at memory cost a training, in seconds and as shares of its time.

    python bench/overheads.py [--threads 2] [--epochs 2] [--size 224]

Trains MobileNetV2 on ants and bees (or on plain colours where there are no shared photos), timing each of these calls
in the run itself. A checkpoint comes once a minute, so its share is its time over 60 s; the look at memory comes once a
run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import job_folders

from deepft_lab.engines.runner import ALLOCATOR, WAITING

Times = dict[str, list[float]]


def timed(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            times.append(time.perf_counter() - begun)

    return run


def pictures() -> tuple[job_folders.Labelled, job_folders.Labelled, list[Path]]:
    shared = job_folders.shared()
    if shared is not None:
        folder, weights = shared / "data" / "classify-antsbees", [shared / "jupyter" / "deepft-lab" / "weights"]
        return job_folders.photos(folder / "train"), job_folders.photos(folder / "val"), weights
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))
    from coloured import coloured

    return coloured(200), coloured(60, first=5000), []


def measure(threads: int, epochs: int, size: int) -> None:
    from deepft_lab import worker
    from deepft_lab.training import evaluation, loop, state

    training, validation, weights = pictures()
    times: Times = defaultdict(list)
    loop.fit = timed(loop.fit, times["look at memory"])
    state.States.write = timed(state.States.write, times["checkpoint"])  # type: ignore[method-assign]
    state.EVERY = 2.0  # so that there are some to measure
    state.SHARE = 1e9
    worker.EventWriter.write = timed(worker.EventWriter.write, times["event"])  # type: ignore[method-assign]
    evaluation.Evaluation._preview = timed(evaluation.Evaluation._preview, times["preview"])  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        job_folders.make(
            folder, training, validation, threads=threads, weights_paths=weights, num_epochs=epochs, image_size=size,
            pretrained_weights="ImageNet-1k" if weights else "None",
        )  # fmt: skip
        begun = time.perf_counter()
        if worker.main(folder):
            sys.exit("the run failed")
        whole = time.perf_counter() - begun
    checkpoints = statistics.median(times["checkpoint"])
    rows = [
        ("checkpoint", len(times["checkpoint"]), checkpoints, checkpoints / 60),
        *(
            (name, len(times[name]), statistics.median(times[name]), sum(times[name]) / whole)
            for name in ("event", "preview", "look at memory")
        ),
    ]
    print(f"\n{len(training)} pictures, {epochs} epochs at {size} px, {threads} threads: {whole:.1f} s")
    print(f"{'what':16}{'times':>7}{'median ms':>12}{'of the run':>12}")
    for name, count, seconds, share in rows:
        print(f"{name:16}{count:>7}{seconds * 1e3:>12.2f}{share:>12.2%}")
    print(f"{'all, without the look at memory':35}{sum(row[3] for row in rows[:3]):>12.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    settings = {**ALLOCATOR, **WAITING}  # as in a job; the C library reads them when it starts
    if not settings.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings})
    measure(options.threads, options.epochs, options.size)
