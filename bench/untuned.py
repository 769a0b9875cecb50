"""The templates for a CPU with their defaults on data that no default was chosen on, beside plain recipes.

    python bench/untuned.py [SEED ...] [--only ROW ...] [--root FOLDER] [--set name=value ...] [--no-plain]

Each row is a set of `other_data.py`, a template of which only the image size is changed (and the epochs, as a person
would), and recipes of `plain.py` on the same data with the same weights, size and epochs. A default is wrong where the
best plain recipe beats it by more than the noise: that is the limit. Needs the weights of DEEPFT_SHARED.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import job_folders
import other_data
from accuracy import run

WEIGHTS = "jupyter/deepft-lab/weights"
NOISE = 0.03  # between two seeds of one recipe on some hundred validation pictures


class Row(NamedTuple):
    data: str
    template: str
    values: dict[str, Any]
    metric: str
    plain: tuple[str, ...]


ROWS = {
    "letters": Row("letters", "classifier-mobilenet-v2", {"image_size": 64}, "accuracy", ("finetune", "probe")),
    "letters-linear": Row("letters", "transfer-linear", {"image_size": 64}, "accuracy", ("probe",)),
    "handwriting": Row("handwriting", "classifier-mobilenet-v2", {"image_size": 64}, "accuracy", ("finetune", "probe")),
    "stamps": Row("stamps", "classifier-mobilenet-v2", {"image_size": 128}, "accuracy", ("finetune", "probe")),
    "stamps-linear": Row("stamps", "transfer-linear", {"image_size": 128}, "accuracy", ("probe",)),
    "emoji": Row("emoji", "classifier-mobilenet-v2", {"image_size": 96}, "roc_auc_macro", ("finetune", "probe")),
    "emoji-linear": Row("emoji", "transfer-linear", {"image_size": 96}, "roc_auc_macro", ("probe",)),
    "sprites": Row(
        "sprites", "embedder-mobilenet-v2", {"image_size": 96}, "mAP_at_R", ("frozen_neighbours", "tuned_neighbours")
    ),
    "boxes": Row("boxes", "detector-faster-rcnn-light", {"image_size": [240]}, "mAP", ("detector",)),
    "scenes": Row("scenes", "segmenter-light", {"image_size": [128]}, "mIoU", ("segmenter",)),
}


def measure(row: Row, data: other_data.Split, weights: Path, seed: int, options: Any) -> dict[str, tuple[float, float]]:
    """By name of what ran: the metric and the CPU-seconds."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        job_folders.make(
            folder, *data, template=row.template, seed=seed, exclusive=other_data.SETS[row.data].exclusive,
            weights_paths=[weights], threads=options.threads, **{**row.values, **options.changed},
        )  # fmt: skip
        result, ending = run(folder)
        found["ours"] = result.metrics.get(row.metric) or 0.0, ending.cpu_seconds
        for recipe in row.plain if options.plain else ():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, str(Path(__file__).with_name("plain.py")), recipe, str(folder)]
            said = subprocess.run(
                [*command, str(weights / "mobilenet_v2.safetensors")], check=True, capture_output=True, text=True
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            found[recipe] = json.loads(said.stdout)[row.metric] or 0.0, seconds
    words = ", ".join(f"{name} {figure:.3f} ({seconds:.0f} CPU-seconds)" for name, (figure, seconds) in found.items())
    print(f"  seed {seed}: {row.metric}: {words}; epoch {result.best_epoch} of ours", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--set", action="append", default=[], help="name=value of a hyperparameter")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="leave the others out")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the Debian packages are (unpacked)")
    parser.add_argument("--no-plain", dest="plain", action="store_false", help="the product alone")
    parser.add_argument("--threads", type=int, help="of a job; all cores without it")
    options = parser.parse_args()
    options.changed = {name: json.loads(text) for name, _, text in (pair.partition("=") for pair in options.set)}
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared weights are not here (DEEPFT_SHARED)")
        return
    worse = []
    for name in options.only:
        row = ROWS[name]
        try:
            data = other_data.SETS[row.data].make(options.root)
        except other_data.Missing as missing:
            print(f"{name}: left out: {missing}")
            continue
        print(f"{name}: {row.template} {row.values}, {len(data[0])} + {len(data[1])} pictures", flush=True)
        measured = [measure(row, data, shared / WEIGHTS, seed, options) for seed in options.seeds]
        medians = {
            who: [statistics.median(column) for column in zip(*(found[who] for found in measured), strict=True)]
            for who in measured[0]
        }
        best = max((figure for who, (figure, _) in medians.items() if who != "ours"), default=0.0)
        is_worse = medians["ours"][0] < best - NOISE
        words = ", ".join(f"{who} {figure:.3f} in {seconds:.0f}" for who, (figure, seconds) in medians.items())
        print(f"  median: {row.metric}: {words} CPU-seconds{'  WORSE' if is_worse else ''}", flush=True)
        if is_worse:
            worse.append(name)
    print(f"worse than a plain recipe: {', '.join(worse)}" if worse else "none is worse than a plain recipe")
    sys.exit(1 if worse and not options.changed else 0)


if __name__ == "__main__":
    main()
