"""What the engine of one machine gives to whom, and how it reads the machine. nvidia-smi is a script of ours here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepft_lab.engines import local, processes
from deepft_lab.engines.base import Allocation
from deepft_lab.engines.local import LocalEngine, cores


@pytest.fixture(autouse=True)
def unhidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: str) -> None:
    """Puts an nvidia-smi that prints `rows` first on the path."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{rows}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


TWO = "0, NVIDIA A, 16384, 100, 50\n1, NVIDIA B, 16384, 0, [N/A]\n"


def test_a_machine_without_gpus_runs_one_job_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_nvidia_smi", list)
    engine = LocalEngine()
    first = engine.allocate(1, [])
    assert first == Allocation(ranks=1, threads=cores())
    assert engine.allocate(1, [first]) is None
    several = engine.allocate(10_000, [])
    assert several == Allocation(ranks=cores(), threads=1)


def test_gpus_go_to_one_job_each_and_the_next_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch, TWO)
    engine = LocalEngine()
    first = engine.allocate(1, [])
    assert first is not None and first.gpus == [0] and first.ranks == 1
    second = engine.allocate(1, [first])
    assert second is not None and second.gpus == [1]
    assert engine.allocate(1, [first, second]) is None
    assert engine.allocate(2, [first]) is None
    both = engine.allocate(8, [])
    assert both is not None and both.gpus == [0, 1] and both.ranks == 2


def test_the_machine_tells_its_gpus_memory_and_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch, TWO)
    machine = LocalEngine(tmp_path / "not" / "there" / "yet").machine()
    assert machine.cpus >= 1 and machine.memory_total > machine.memory_available > 0 and machine.disk_free > 0
    assert [(gpu.index, gpu.name, gpu.utilisation) for gpu in machine.gpus] == [
        (0, "NVIDIA A", 0.5),
        (1, "NVIDIA B", None),
    ]
    assert machine.gpus[0].memory_total == 16384 * 2**20


def test_a_broken_driver_counts_as_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch, TWO)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    engine = LocalEngine()
    assert engine.gpus() == []
    on_path(tmp_path, monkeypatch, TWO)
    assert engine.gpus() == []  # it is given a rest
    monkeypatch.setattr(engine, "_gpus", (0.0, []))
    assert len(engine.gpus()) == 2


def test_a_driver_that_fails_for_once_takes_no_gpu_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch, TWO)
    monkeypatch.setattr(local, "_GPU_SECONDS", 0.0)
    monkeypatch.setattr(local, "_FAILED_SECONDS", 0.0)
    engine = LocalEngine()
    assert len(engine.gpus()) == 2
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert len(engine.gpus()) == 2
    on_path(tmp_path, monkeypatch, "0, NVIDIA A, 16384, 0, 0\n")
    assert len(engine.gpus()) == 1


def test_a_gpu_that_shares_the_machines_memory_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch, "0, NVIDIA GB10, [N/A], [N/A], 7\n\nSome words of the driver's\n")
    (gpu,) = LocalEngine().gpus()
    assert (gpu.name, gpu.memory_total, gpu.memory_used, gpu.utilisation) == ("NVIDIA GB10", 0, 0, 0.07)


@pytest.mark.parametrize(
    ("visible", "expected"), [("1", [1]), ("", []), ("-1", []), ("1,0", [0, 1]), ("GPU-8f3a,GPU-11c2", [0, 1])]
)
def test_gpus_that_are_hidden_from_the_server_are_given_to_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[int]
) -> None:
    on_path(tmp_path, monkeypatch, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.index for gpu in LocalEngine().gpus()] == expected


def test_a_process_is_known_by_more_than_its_number() -> None:
    own = processes.identity(os.getpid())
    assert processes.alive(own)
    pid, start, boot = own.split(":")
    assert not processes.alive(f"{pid}:{int(start) + 1}:{boot}")
    assert not processes.alive(f"{pid}:{start}:another-boot")
    assert not processes.alive("")


def test_processes_that_carry_a_job_are_found_and_killed_and_no_other() -> None:
    sleep = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
    jobs = ["tests-carrier", "tests-carrier-2"]
    found = []
    for job in jobs:
        environment = {**os.environ, processes.VARIABLE: job}
        found.append(subprocess.Popen(sleep, env=environment, stdout=subprocess.PIPE, start_new_session=True))
    try:
        for process in found:
            assert process.stdout is not None
            process.stdout.readline()
        assert processes.carriers(jobs[0]) == [found[0].pid]
        assert processes.kill_carriers(jobs[0]) == []
        assert found[0].wait(5) == -9
        assert found[1].poll() is None
    finally:
        for process in found:
            process.kill()
            process.communicate()


def test_the_engine_imports_no_torch() -> None:
    code = (
        "import sys, deepft_lab.engines.local, deepft_lab.engines.runner, deepft_lab.engines.predictors;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'accelerate')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
