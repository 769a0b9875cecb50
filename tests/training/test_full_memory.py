"""Memory that is really full: a process whose address space is limited halves its parts and ends its training.

Of several processes the one that is full ends all, and the job is begun again in smaller parts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import job_folders
import msgspec
import pytest
from coloured import coloured

from deepft_lab import spec
from deepft_lab.engines.local import LocalEngine
from deepft_lab.events import EventReader, fold
from deepft_lab.lab import outcome
from deepft_lab.training import memory

LIMITED = """
import json, resource, sys
from pathlib import Path
import psutil
import torch
from deepft_lab import spec
from deepft_lab.training import gradients, loop, memory

folder, allowed = Path(sys.argv[1]), int(sys.argv[2]) * 2**20
free = memory.free
if sys.argv[3] == "blind":
    memory.free = lambda device: 2**50  # the estimate before the run is not asked
    torch.backends.mkldnn.set_flags(False)  # which would be of no use after it was full
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
    outcome, warnings = limited(tmp_path, 500, "blind")
    assert outcome == "trained"
    assert any("Memory was full: from step 1 on" in words and "batch norm takes" in words for words in warnings)


@pytest.mark.timeout(240)
def test_a_batch_that_will_not_fit_is_split_before_the_first_step(tmp_path: Path) -> None:
    outcome, warnings = limited(tmp_path, 450, "seen")
    assert outcome == "trained"
    assert any("does not fit into the memory that is free" in words for words in warnings), warnings
    assert not any("Memory was full" in words for words in warnings), warnings


# Stands for a second process whose memory is full from the fourth step on, for all but two images at a time. The state
# is written after every step.
FULL = """
import os, sys
if os.environ.get("RANK") and "deepft_lab.worker" in sys.orig_argv:
    import torch
    from deepft_lab.training import gradients, state
    state.EVERY, state.SHARE = 0.0, 1e9
    of, loss = gradients.Gradients.of, gradients.Gradients._loss

    def noted(self, batch, step):
        self.at = step
        return of(self, batch, step)

    def full(self, batch):
        if os.environ["RANK"] == "1" and self.at >= 3 and len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return loss(self, batch)

    gradients.Gradients.of, gradients.Gradients._loss = noted, full
"""


@pytest.mark.timeout(300)
def test_of_two_processes_one_is_full_and_both_go_on_from_the_checkpoint_in_smaller_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FULL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    folder, engine = tmp_path / "job", LocalEngine(tmp_path)
    job = job_folders.make(
        folder, coloured(16), coloured(4, first=500), threads=1, ranks=2, num_gpus=2, batch_size=4, num_epochs=3,
        pretrained_weights="None", image_size=32, warmup_iters=0,
    )  # fmt: skip
    ended: list[spec.Result] = []
    for attempt in (1, 2):
        handle, end = engine.submit(folder), time.monotonic() + 140
        try:
            while engine.poll(handle, folder):
                assert time.monotonic() < end, (folder / "log.txt").read_text()[-3000:]
                time.sleep(0.1)
        finally:
            engine.cancel(handle, folder)
        ended.append(spec.read(folder / "result.json", spec.Result))
        if attempt == 1:
            part = outcome.smaller_part(folder)
            spec.write(folder / "spec.json", msgspec.structs.replace(job, attempt=2, micro_batch=part))
    full, trained = ended
    assert (full.outcome, full.full_memory, part) == ("failed", True, 2)
    assert "memory is full with 4 images at a time" in full.reason  # and not that another process is missed
    assert trained.outcome == "trained"
    assert any("begun again" in words and "parts of 2" in words for words in trained.warnings)
    events = EventReader(folder / "events.jsonl").read()
    assert [event.data["reason"] for event in events if event.kind == "failed"] == [full.reason]
    assert next(event for event in events if event.kind == "resumed").data == {"from_step": 3}
    steps = [event.step for event in fold(events) if event.kind == "epoch"]
    assert steps == [2, 4, 6]


def test_words_without_a_reason_mean_full_memory_where_little_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("could not create a primitive")
    for bytes_free, full in ((2**40, False), (2**20, True)):
        monkeypatch.setattr(memory, "free", lambda device, given=bytes_free: given)
        assert memory.is_full(error) is full
        assert not memory.is_full(RuntimeError("shapes do not match"))
        assert memory.is_full(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
        assert memory.is_full(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"))
