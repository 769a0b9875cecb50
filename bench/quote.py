"""A quote before the start, and the first one of the run, beside what the run took: each within 25 %.

    python bench/quote.py [--rounds 3] [--only ROW ...]

Each round measures a quote and then runs the whole job, both as the engine starts them: runner, launcher, worker. The
cache of pictures is empty before each quote, so the quote counts the decoding and the run does it. Time is wall time
from the start of the runner to its end; CPU-seconds are those of all the job's processes; memory is the worker's peak,
pages of cached pictures not counted. Errors are medians over the rounds; "at one pace" takes out that a busy machine
leaves one job more than another, and is only told. Needs the shared photos and weights.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import job_folders
import msgspec
from accuracy import blood_cells, photos, white_blood_cells

from deepft_lab import spec
from deepft_lab.engines import processes
from deepft_lab.engines.local import LocalEngine
from deepft_lab.events import EventReader
from deepft_lab.records import Event

LIMIT = 0.25
TOLD = "the same at one pace"
ANTS = photos("classify-antsbees")
ROWS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "ants-128": ("classifier-mobilenet-v2", ANTS, {"image_size": 128, "num_epochs": 4}),
    "ants-224": ("classifier-mobilenet-v2", ANTS, {"image_size": 224, "num_epochs": 2}),
    "blood-160": ("detector-faster-rcnn-light", blood_cells, {"image_size": [160], "num_epochs": 1}),
    "blood-320": ("detector-faster-rcnn-light", blood_cells, {"image_size": [320], "num_epochs": 1}),
    "cells-128": ("segmenter-light", white_blood_cells, {"image_size": 128, "num_epochs": 6}),
    "embedder-224": ("embedder-mobilenet-v2", ANTS, {"image_size": 224, "num_epochs": 2}),
    "linear": ("transfer-linear", ANTS, {}),
}


class Took(NamedTuple):
    """What a job's processes took, and what it said."""

    seconds: float
    cpu_seconds: float
    memory: int
    said: list[Event]
    ended: float


def run(folder: Path) -> Took:
    """Runs the job of a folder to its end and looks at its worker's memory ten times a second."""
    engine, reader = LocalEngine(folder), EventReader(folder / "events.jsonl")
    job = spec.read(folder / "spec.json", spec.JobSpec).job
    handle = engine.submit(folder)
    said: list[Event] = []
    worker: int | None = None
    held = libraries = 0
    while engine.poll(handle, folder):
        said += reader.read()
        worker = worker or _worker(job)
        status = _status(worker)
        held = max(held, status.get("RssAnon", 0) + status.get("RssShmem", 0))
        if not libraries and any(event.kind in ("started", "measuring") for event in said):
            libraries = status.get("RssFile", 0)
        time.sleep(0.1)
    said += reader.read()
    ending = spec.read(folder / "exit.json", spec.Exit)
    if ending.code:
        sys.exit(f"The job failed: {ending.message}")
    return Took(ending.ended - ending.started, ending.cpu_seconds, held + libraries, said, ending.ended)


def _worker(job: str) -> int | None:
    """The process of the first rank: it has the worker's name, and the launcher has it too, as an argument."""
    for pid in processes.carriers(job):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"deepft_lab.worker" in words and b"accelerate.commands.launch" not in words:
            return pid
    return None


def _status(pid: int | None) -> dict[str, int]:
    """Bytes by the names of /proc/PID/status; nothing where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = [line.split() for line in lines if line.endswith(" kB")]
    return {name.rstrip(":"): int(value) * 1024 for name, value, _ in fields}


def measure(name: str, shared: Path) -> dict[str, float]:
    """One round of a row: errors as shares of what the run took."""
    template, data, values = ROWS[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "job"
        job = job_folders.make(
            folder, data(shared, "train"), data(shared, "val"), template=template,
            exclusive="visual-classifier" in template or data is ANTS,
            weights_paths=[shared / "jupyter/deepft-lab/weights"], **values,
        )  # fmt: skip
        job = msgspec.structs.replace(job, cache=str(Path(place) / "cache"))
        spec.write(folder / "spec.json", msgspec.structs.replace(job, quote=True))
        asking = run(folder)
        quoted = next(event for event in asking.said if event.kind == "quote")
        (folder / "events.jsonl").unlink()
        spec.write(folder / "spec.json", job)
        took = run(folder)
    first = next((event for event in took.said if event.kind == "quote"), None)
    before = quoted.data["seconds"] + asking.ended - quoted.time
    cpu_before = quoted.data["cpu_seconds"] + asking.cpu_seconds - quoted.data["cpu_taken"]
    parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in quoted.data["parts"].items())
    print(f"  {name}: took {took.seconds:.1f} s, {took.cpu_seconds:.0f} CPU-s, {took.memory / 1e6:.0f} MB; "
          f"quoted {before:.1f} s ({parts}), {cpu_before:.0f} CPU-s, "
          f"{quoted.data['memory'] / 1e6:.0f} MB in {asking.seconds:.1f} s; "
          f"first of the run {first.data['seconds'] if first else float('nan'):.1f} s at step "
          f"{first.step if first else 0}, {first.data['memory'] / 1e6 if first else 0:.0f} MB", flush=True)  # fmt: skip
    errors = {
        "time before": before / took.seconds - 1,
        TOLD: before * _pace(asking) / (took.seconds * _pace(took)) - 1,
        "CPU-seconds before": cpu_before / took.cpu_seconds - 1,
        "memory before": quoted.data["memory"] / took.memory - 1,
    }
    if first is not None:
        errors["time in the run"] = first.data["seconds"] / took.seconds - 1
        errors["memory in the run"] = first.data["memory"] / took.memory - 1
    return errors


def _pace(took: Took) -> float:
    """CPU-seconds a second: what a busy machine left to a job."""
    return took.cpu_seconds / took.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="leave the others out")
    options = parser.parse_args()
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared photos are not here (DEEPFT_SHARED)")
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in options.only}
    for _ in range(options.rounds):  # in turns, since the machine drifts
        for name in options.only:
            found[name].append(measure(name, shared))
    missed = False
    for name, rounds in found.items():
        medians = {key: statistics.median(errors[key] for errors in rounds if key in errors) for key in rounds[0]}
        beyond = [key for key, error in medians.items() if abs(error) > LIMIT and key != TOLD]
        missed |= bool(beyond)
        words = ", ".join(f"{key} {error:+.0%}" for key, error in medians.items())
        print(f"{name}: {words} (limit {LIMIT:.0%}{', MISSED: ' + ', '.join(beyond) if beyond else ''})")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
