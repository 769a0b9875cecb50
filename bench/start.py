"""From the call to the first training step: <= 2 s beyond imports and weights; with a warm worker <= 1 s in all.

    python bench/start.py [--rounds 5]

A whole job on ants and bees as the engine starts it: runner, `accelerate launch`, worker; until its `started` event,
which comes right before the first step. Where the template fits a new head to the pretrained features before it, that
is learning already: it is shown, and not counted. The pictures are in the cache, as they are from the second run of a
dataset on; the first run is shown too. Imports are timed in processes of their own, in turns with the jobs. Warm is
the same job, handed to processes that were started ahead and have imported everything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import job_folders
import msgspec

from deepft_lab import spec
from deepft_lab.engines import runner
from deepft_lab.engines.local import LocalEngine, cores
from deepft_lab.events import EventReader

LIMIT = 2.0
WARM_LIMIT = 1.0
IMPORTS = {
    "runner": "import deepft_lab.engines.runner",
    "launcher": "import accelerate.commands.launch, torch",
    "worker": "import deepft_lab.worker, deepft_lab.training.loop, deepft_lab.training.tasks.classify",
}
WEIGHTS = (
    "import time, sys; from deepft_lab.training.architectures import ARCHITECTURES; from deepft_lab.training import "
    "weights; model = ARCHITECTURES['mobilenet_v2'].build(2, 0.0); begun = time.perf_counter(); "
    "weights.load(model, sys.argv[1], architecture='mobilenet_v2', head='classifier'); "
    "print(time.perf_counter() - begun)"
)


def seconds(job: spec.JobSpec, code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=runner.environment(job))
    return time.perf_counter() - begun


def loading(job: spec.JobSpec) -> float:
    if job.weights is None:
        return 0.0
    command = [sys.executable, "-c", WEIGHTS, job.weights]
    return float(subprocess.run(command, check=True, env=runner.environment(job), capture_output=True).stdout)


def until_started(engine: LocalEngine, folder: Path) -> tuple[float, float]:
    """Seconds from the call until the job learns, and those in which a new head is fitted; the job is ended then."""
    (folder / "events.jsonl").unlink(missing_ok=True)
    events = EventReader(folder / "events.jsonl")
    begun = time.time()
    handle = engine.submit(folder)
    try:
        while True:
            for event in events.read():
                if event.kind == "started":
                    fitting = float(event.data.get("settling") or 0.0)
                    return event.time - begun - fitting, fitting
                if event.kind == "failed":
                    sys.exit(f"The job failed: {event.data['reason']}")
            if not engine.poll(handle, folder):
                sys.exit("The job ended: " + (folder / "log.txt").read_text()[-1500:])
            time.sleep(0.01)
    finally:
        engine.cancel(handle, folder)


def warmed(engine: LocalEngine) -> LocalEngine:
    """The engine, when it has a worker that has imported everything."""
    engine.prepare([])
    deadline = time.monotonic() + 60
    while not engine.spares.ready():
        if time.monotonic() > deadline:
            sys.exit("no worker can be kept ready here: 4 GiB of memory must be free")
        time.sleep(0.05)
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared photos are not here (DEEPFT_SHARED)")
        return
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
    photos = job_folders.photos(shared / "data" / "classify-antsbees" / "train")
    photos = [(content, labels) for content, labels in photos if content[:3] != b"GIF"]
    took: dict[str, list[float]] = {name: [] for name in (*IMPORTS, "weights", "job", "warm job")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "job"
        weights = [shared / "jupyter" / "deepft-lab" / "weights"]
        job = job_folders.make(folder, photos[:-40], photos[-40:], weights_paths=weights)
        job = msgspec.structs.replace(job, cache=str(Path(name) / "cache"), threads=cores())
        spec.write(folder / "spec.json", job)
        cold, warm = LocalEngine(folder), LocalEngine(folder, spare_seconds=600)
        first, fitting = until_started(cold, folder)
        for _ in range(rounds):
            for part, code in IMPORTS.items():
                took[part].append(seconds(job, code))
            took["weights"].append(loading(job))
            took["job"].append(until_started(cold, folder)[0])
            warm_job, fitting = until_started(warmed(warm), folder)
            took["warm job"].append(warm_job)
        warm.close()
    medians = {part: statistics.median(found) for part, found in took.items()}
    beyond = medians["job"] - sum(medians[part] for part in (*IMPORTS, "weights"))
    print("medians in seconds: " + ", ".join(f"{part} {value:.2f}" for part, value in medians.items()))
    print(f"from the call to the first step {medians['job']:.2f} s (the first run of a dataset {first:.2f} s)")
    if fitting > 0.01:
        print(f"then the new head is fitted to the pretrained features in {fitting:.2f} s: the first that is learned")
    missed = False
    for words, value, limit in (
        ("beyond imports and weights", beyond, LIMIT),
        ("with a warm worker, in all", medians["warm job"], WARM_LIMIT),
    ):
        missed = missed or value > limit
        print(f"{words} {value:.2f} s (limit {limit:g} s{', MISSED' if value > limit else ''})")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
