"""Memory that is really full: a process whose address space is limited halves its parts and ends its training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import job_folders
import pytest
from coloured import coloured

LIMITED = """
import json, resource, sys
from pathlib import Path
import psutil
from deepft_lab import spec
from deepft_lab.training import gradients, loop, memory

folder, allowed = Path(sys.argv[1]), int(sys.argv[2]) * 2**20
free = memory.free
if sys.argv[3] == "blind":
    memory.free = lambda device: 2**50  # the estimate before the run is not asked
begin = gradients.Gradients.begin_epoch

def limit(self):
    most = psutil.Process().memory_info().vms + allowed
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    begin(self)

if sys.argv[3] == "blind":
    gradients.Gradients.begin_epoch = limit
else:
    fit = loop.fit

    def limited(*given, **named):
        most = psutil.Process().memory_info().vms + allowed
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        return fit(*given, **named)

    loop.fit = limited
said = []
job = spec.read(folder / "spec.json", spec.JobSpec)
result = loop.train(job, folder, lambda kind, step=0, **data: said.append((kind, data)))
print(json.dumps([result.outcome, [data["message"] for kind, data in said if kind == "warning"]]))
"""


def limited(folder: Path, megabytes: int, how: str) -> tuple[str, list[str]]:
    job_folders.make(
        folder, coloured(48), coloured(2, first=100), threads=1, pretrained_weights="None", image_size=96,
        batch_size=48, num_epochs=1, warmup_iters=0,
    )  # fmt: skip
    command = [sys.executable, "-c", LIMITED, str(folder), str(megabytes), how]
    path = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcome, warnings = json.loads(done.stdout.splitlines()[-1])
    return outcome, warnings


@pytest.mark.timeout(240)
def test_a_step_that_does_not_fit_is_begun_again_in_smaller_parts(tmp_path: Path) -> None:
    outcome, warnings = limited(tmp_path, 330, "blind")
    assert outcome == "trained"
    assert any("Memory was full: from step 1 on" in words and "batch norm sees" in words for words in warnings)


@pytest.mark.timeout(240)
def test_a_batch_that_will_not_fit_is_split_before_the_first_step(tmp_path: Path) -> None:
    outcome, warnings = limited(tmp_path, 450, "seen")
    assert outcome == "trained"
    assert any("does not fit into the memory that is free" in words for words in warnings), warnings
    assert not any("Memory was full" in words for words in warnings), warnings
