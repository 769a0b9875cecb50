"""A server that keeps a worker ready: from the first sign of a training until the server ends."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from harness import TOKEN, jupyter, processes_with
from serving import small_model, wait_for

import deepft_lab
from deepft_lab import host
from deepft_lab.engines.spares import LEAST_MEMORY


def kept(home: Path) -> list[int]:
    """Runners that were started ahead, below a test's home."""
    below = set(processes_with(f"HOME={home}"))
    return [pid for pid in processes_with("deepft_lab.engines.spare_runner") if pid in below]


@pytest.mark.timeout(400)
def test_a_model_that_is_made_gets_a_worker_ready_which_trains_it_and_the_next_ends_with_the_server(
    tmp_path: Path,
) -> None:
    if host.free_memory() < LEAST_MEMORY + 2**30:
        pytest.skip("no worker is kept ready where memory is short, as it is here now")
    with jupyter(tmp_path, "headless", ["--DeepFTLab.warm_worker_seconds=600"]) as server:
        with deepft_lab.connect(server.url, TOKEN) as lab:
            app = lab.create_app("shades")
            assert kept(tmp_path) == []
            model = small_model(app, tmp_path / "pictures", 1)
            (runner,) = wait_for(lambda: kept(tmp_path))
            version = model.train(dataset="all")
            mine = wait_for(lambda: processes_with(f"DEEPFT_JOB={version.record.job}"), 30)
            assert runner in mine
            assert version.wait(timeout=240).status == "trained"
            (fresh,) = wait_for(lambda: [pid for pid in kept(tmp_path) if pid != runner], 30)
        server.kill()
        assert wait_for(lambda: not psutil.pid_exists(fresh) and not kept(tmp_path))
