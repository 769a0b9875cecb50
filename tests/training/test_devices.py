"""What a run computes on. There is no GPU here: what torch says of one is ours."""

from __future__ import annotations

import multiprocessing
import os
import socket
from datetime import timedelta
from pathlib import Path

import job_folders
import msgspec
import pytest
import torch
from coloured import coloured

from deepft_lab.errors import DeepFTError
from deepft_lab.training import devices, loop


@pytest.mark.parametrize(("real", "expected"), [(True, "bf16"), (False, "no")])
def test_bf16_is_taken_by_itself_only_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, real: bool, expected: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return real or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert devices.precision("auto", True) == (expected, "")
    assert devices.precision("auto", False) == ("no", "")


@pytest.mark.parametrize(("seed", "repeats"), [(-1, False), (0, True), (7, True)])
def test_who_gives_a_seed_gets_kernels_that_repeat_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int, repeats: bool
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    job = job_folders.make(tmp_path, coloured(2), [], pretrained_weights="None")
    job = msgspec.structs.replace(job, gpus=[0], values={**job.values, "seed": seed})
    chosen: list[tuple[bool, bool, str | None]] = []
    real = devices.choose_kernels

    def noted(**wanted: bool) -> None:
        real(**wanted)
        algorithms = torch.are_deterministic_algorithms_enabled()
        chosen.append((torch.backends.cudnn.benchmark, algorithms, os.environ.get("CUBLAS_WORKSPACE_CONFIG")))

    monkeypatch.setattr(devices, "choose_kernels", noted)
    try:
        with pytest.raises(DeepFTError, match="cannot use it"):
            loop.train(job, tmp_path, lambda *said, **more: None)
    finally:
        torch.use_deterministic_algorithms(False)
    assert chosen == [(not repeats, repeats, ":4096:8" if repeats else None)]


def test_a_gpu_that_torch_cannot_use_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    job = msgspec.structs.replace(job_folders.make(tmp_path, coloured(2), [], pretrained_weights="None"), gpus=[0])
    with pytest.raises(DeepFTError, match=f"PyTorch {torch.__version__[:3]}.*cannot use it.*CUDA_VISIBLE_DEVICES"):
        devices.accelerator(job, "no")


def test_ranks_wait_for_the_first_one_for_as_long_as_it_decodes(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, coloured(2), [], ranks=2, pretrained_weights="None")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[timedelta] = context.Queue()  # type: ignore[assignment]
    ranks = [context.Process(target=_patience, args=(job, rank, port, told)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = [told.get(timeout=120) for _ in ranks]
    for process in ranks:
        process.join()
    assert found == [devices.PATIENCE] * 2


def _patience(job: object, rank: int, port: int, told: multiprocessing.Queue[timedelta]) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
    )  # fmt: skip
    devices.accelerator(job, "no")  # type: ignore[arg-type]
    group = torch.distributed.distributed_c10d._get_default_group()
    told.put(group._get_backend(torch.device("cpu")).options._timeout)
    torch.distributed.destroy_process_group()
