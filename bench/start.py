"""From the call to the first training step: <= 2 s beyond the imports of launcher and worker and the weights.

    python bench/start.py [--rounds 5]

A whole job on ants and bees as the engine starts it: runner, `accelerate launch`, worker; until its `started` event,
which comes right before the first step. The pictures are in the cache, as they are from the second run of a dataset on;
the first run is shown too. Imports are timed in processes of their own, in turns with the jobs.
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
from deepft_lab.engines.local import LocalEngine
from deepft_lab.events import EventReader

LIMIT = 2.0
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


def until_started(job: spec.JobSpec, folder: Path) -> float:
    """Seconds from the call to the `started` event; the job is ended then."""
    engine, events = LocalEngine(folder), EventReader(folder / "events.jsonl")
    (folder / "events.jsonl").unlink(missing_ok=True)
    begun = time.time()
    handle = engine.submit(folder)
    try:
        while True:
            for event in events.read():
                if event.kind == "started":
                    return event.time - begun
                if event.kind == "failed":
                    sys.exit(f"The job failed: {event.data['reason']}")
            if not engine.poll(handle, folder):
                sys.exit("The job ended: " + (folder / "log.txt").read_text()[-1500:])
            time.sleep(0.01)
    finally:
        engine.cancel(handle, folder)


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
    took: dict[str, list[float]] = {name: [] for name in (*IMPORTS, "weights", "job")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "job"
        weights = [shared / "jupyter" / "deepft-lab" / "weights"]
        job = job_folders.make(folder, photos[:-40], photos[-40:], weights_paths=weights)
        job = msgspec.structs.replace(job, cache=str(Path(name) / "cache"))
        spec.write(folder / "spec.json", job)
        first = until_started(job, folder)
        for _ in range(rounds):
            for part, code in IMPORTS.items():
                took[part].append(seconds(job, code))
            took["weights"].append(loading(job))
            took["job"].append(until_started(job, folder))
    medians = {part: statistics.median(found) for part, found in took.items()}
    beyond = medians["job"] - sum(medians[part] for part in (*IMPORTS, "weights"))
    print("medians in seconds: " + ", ".join(f"{part} {value:.2f}" for part, value in medians.items()))
    print(f"from the call to the first step {medians['job']:.2f} s (the first run of a dataset {first:.2f} s)")
    missed = ", MISSED" if beyond > LIMIT else ""
    print(f"beyond imports and weights {beyond:.2f} s (limit {LIMIT:g} s{missed})")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
