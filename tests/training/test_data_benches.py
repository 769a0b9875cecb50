"""Benches that need what is not here say so, and measure nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"


def _run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    changed = {**os.environ, **environment}
    command = [sys.executable, str(BENCH / script)]
    return subprocess.run(command, env=changed, capture_output=True, text=True, check=False, timeout=120)


def test_the_bench_of_a_gpu_says_that_there_is_none() -> None:
    done = _run("gpu.py", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "There is no GPU here that torch can use: ResNet-50 at 224 px was not measured."


def test_the_bench_of_photos_says_that_there_are_none(tmp_path: Path) -> None:
    done = _run("train.py", DEEPFT_SHARED=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "left out: the shared photos are not here (DEEPFT_SHARED)"
