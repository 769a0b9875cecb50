"""Two processes train as one with the same global batch: both draw it alike, each computes its part.

Batch norm takes its statistics from each rank's own part, and dropout differs from rank to rank, as everywhere; so this
holds to the last digits for a network with neither.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
from coloured import coloured
from safetensors.torch import load_file
from test_resume import events_of

from deepft_lab import spec
from deepft_lab.lab import outcome
from deepft_lab.lab.progress import Progress

RANK = """
import sys
from pathlib import Path
from deepft_lab import worker
from deepft_lab.training import architectures
import tiny
architectures.ARCHITECTURES["mobilenet_v2"] = architectures.Architecture(tiny.Plain, "classifier.1.", 32)
worker.end(worker.main(Path(sys.argv[1])))
"""


def start(folder: Path, ranks: int, batch_size: int, **values: Any) -> list[subprocess.Popen[bytes]]:
    """So many real processes of a job, as the launcher starts them."""
    complete = {**tiny.VALUES, "batch_size": batch_size, **values}
    job_folders.make(folder, coloured(20), coloured(7, first=1000), ranks=ranks, threads=1, **complete)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    variables = {
        **os.environ, "PYTHONPATH": here, "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(folder)], env={**variables, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in range(ranks)
    ]


def train(folder: Path, ranks: int, batch_size: int) -> None:
    """Trains to the end."""
    processes = start(folder, ranks, batch_size)
    try:
        assert [process.wait(150) for process in processes] == [0] * ranks
    finally:
        end(processes)
    assert spec.read(folder / "result.json", spec.Result).outcome == "trained"


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.timeout(300)
def test_two_ranks_give_the_losses_of_one_with_the_same_global_batch(tmp_path: Path) -> None:
    curves, metrics, weights = {}, {}, {}
    for ranks, batch_size in ((1, 8), (2, 4)):
        folder = tmp_path / str(ranks)
        train(folder, ranks, batch_size)
        events = events_of(folder)
        started = next(event for event in events if event.kind == "started").data
        assert started["ranks"] == ranks  # two processes, and not one without a word
        assert (started["steps"], started["lrate"]) == (9, pytest.approx(8e-3))
        epochs = [event.data for event in events if event.kind == "epoch"]
        curves[ranks] = [epoch["train_loss"] for epoch in epochs]
        metrics[ranks] = [epoch["metrics"]["loss"] for epoch in epochs]
        weights[ranks] = load_file(folder / "model" / "model.safetensors")
    assert curves[2] == pytest.approx(curves[1], abs=1e-5)
    assert metrics[2] == pytest.approx(metrics[1], abs=1e-5)
    assert curves[1][0] > curves[1][-1]
    for key, tensor in weights[1].items():
        assert tensor.numpy() == pytest.approx(weights[2][key].numpy(), abs=1e-4), key


@pytest.mark.timeout(300)
@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_the_system_ends_is_the_reason_and_not_that_the_other_misses_it(
    tmp_path: Path, killed: int
) -> None:
    processes = start(tmp_path, 2, 4, num_epochs=600)
    try:
        while not any(event.kind == "step" for event in events_of(tmp_path)):
            time.sleep(0.1)
        processes[killed].kill()
        assert processes[1 - killed].wait(60) == 1
    finally:
        end(processes)
    assert not (tmp_path / "result.json").exists()
    assert not any(event.kind == "failed" for event in events_of(tmp_path))
    (tmp_path / "exit.json").write_bytes(msgspec.json.encode(spec.Exit(code=1, signal=9, out_of_memory=True)))
    ended = outcome.settle(tmp_path, Progress())
    assert ended.full_memory and "ran out of memory" in ended.reason


@pytest.mark.parametrize("code", [0, 1])
def test_a_process_whose_work_is_over_does_not_wait_for_python_s_own_ending_nor_die_of_it(code: int) -> None:
    """Gloo's threads abort one in seven that ends with a network's wrapper alive; here each would be."""
    script = (
        "import atexit, os, multiprocessing, time; from deepft_lab import worker\n"
        "if __name__ == '__main__':\n"
        "    atexit.register(os.abort)\n"
        "    loader = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,), daemon=True)\n"
        "    loader.start(); print(loader.pid)\n"
        f"    worker.end({code})"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert found.returncode == code and found.stderr == ""
    assert not Path("/proc", found.stdout.strip()).exists()  # what loaded its pictures
