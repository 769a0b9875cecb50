"""Digits from a random start: at least 0.95 on held-out digits in less than a minute on 2 cores.

Each line is a whole job: runner, launcher, worker.

python bench/digits.py [SEED ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import job_folders
from accuracy import run

from deepft_lab.demo import SIDE, VALUES


def main() -> None:
    missed = False
    for seed in [int(word) for word in sys.argv[1:]] or [1, 2, 3]:
        training, validation = job_folders.digits(SIDE, seed)
        with tempfile.TemporaryDirectory() as folder:
            job_folders.make(Path(folder), training, validation, seed=seed, **VALUES)
            result, ending = run(Path(folder))
        accuracy, wall = result.metrics["accuracy"] or 0.0, ending.ended - ending.started
        print(
            f"digits, seed {seed}: accuracy {accuracy:.3f} (limit 0.95), {ending.cpu_seconds:.0f} CPU-seconds, "
            f"{wall:.0f} s (limit 60)",
            flush=True,
        )
        missed |= accuracy < 0.95 or wall > 60
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
