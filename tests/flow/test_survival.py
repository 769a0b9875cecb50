"""What a run survives, and what ends it: a killed server, a killed worker, a deleted version."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, TOKEN, JupyterServer, processes_with

from deepft_lab.errors import TrainingFailed, VersionDeleted

LONG = {"pretrained_weights": "None", "image_size": 64, "num_epochs": 300, "batch_size": 16}
SHORT = LONG | {"num_epochs": 8}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    running = JupyterServer(tmp_path_factory.mktemp("survival"), "server").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def app(lab: Any, photos: Any) -> Any:
    created = lab.create_app("survivors")
    for concept in photos.concepts[:2]:
        files = sorted((photos.folder / "train" / concept).glob("*.*g"))[:60]
        created.upload(files, dataset="train", concepts=[concept])
    return created


@pytest.mark.timeout(600)
def test_a_run_goes_on_when_its_server_is_killed_and_no_event_is_lost_or_doubled(
    server: JupyterServer, app: Any, lab: Any
) -> None:
    version = app.create_model("through", template="classifier-mobilenet-v2", **SHORT).train(dataset="train")
    _until(lambda: any(event.kind == "epoch" for event in version.events()), 120)
    before = version.events()
    job = version.record.job
    pids = _processes(job)
    assert pids
    server.kill()
    time.sleep(2)  # the run goes on without a server
    assert set(_workers(job)) <= set(pids) and (_workers(job) or _finished(server, job))
    server.start()
    version.wait(timeout=300)
    events = version.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.seq for event in before] == [event.seq for event in events[: len(before)]]
    epochs = [event.data["epoch"] for event in events if event.kind == "epoch"]
    assert epochs == list(range(1, SHORT["num_epochs"] + 1))
    assert {event.attempt for event in events} == {1}
    assert len([row for row in lab.usage() if row.job == job]) == 1
    _until(lambda: not _processes(job), 10)


@pytest.mark.timeout(300)
def test_a_killed_worker_ends_as_failed_with_the_reason_in_words(app: Any) -> None:
    version = app.create_model("killed", template="classifier-mobilenet-v2", **LONG).train(dataset="train")
    _until(lambda: any(event.kind == "step" for event in version.events()), 120)
    job = version.record.job
    workers = _workers(job)
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    _until(lambda: version.status == "failed", 10)
    assert "SIGKILL" in version.reason or "killed" in version.reason, version.reason
    with pytest.raises(TrainingFailed, match="killed"):
        version.wait(timeout=5)
    _until(lambda: not _processes(job), 5)


@pytest.mark.timeout(400)
def test_a_killed_run_with_a_checkpoint_is_resumed_and_ends(app: Any, lab: Any) -> None:
    version = app.create_model("resumed", template="classifier-mobilenet-v2", **LONG | {"num_epochs": 12}).train(
        dataset="train"
    )
    _until(lambda: any(event.kind == "step" for event in version.events()), 120)
    job = version.record.job
    for pid in _workers(job):
        os.kill(pid, signal.SIGUSR1)  # its checkpoint now, and not a minute later
    _until(lambda: any(event.data.get("path") == "checkpoints/last.pt" for event in version.events()), 60)
    for pid in _workers(job):
        os.kill(pid, signal.SIGKILL)
    _until(lambda: version.status == "failed", 20)
    assert "Resume it" in version.reason and version.record.resumable, version.reason
    assert version.resume().wait(timeout=240).status == "trained"
    events = version.events()
    assert [event.data["epoch"] for event in events if event.kind == "epoch"] == list(range(1, 13))
    assert [event.kind for event in events].count("started") == 1
    assert sorted(row.attempt for row in lab.usage() if row.job == job) == [1, 2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ranks", [1, 2])
def test_deleting_during_training_ends_every_process_within_five_seconds(app: Any, lab: Any, ranks: int) -> None:
    values = LONG | {"num_gpus": ranks}
    version = app.create_model(f"deleted-{ranks}", template="classifier-mobilenet-v2", **values).train(dataset="train")
    _until(lambda: any(event.kind == "step" for event in version.events()), 120)
    assert [event.data["ranks"] for event in version.events() if event.kind == "started"] == [ranks]
    job = version.record.job
    assert len(_workers(job)) >= ranks
    begun = time.monotonic()
    version.delete()
    _until(lambda: not _processes(job), 5 - (time.monotonic() - begun))
    with pytest.raises(VersionDeleted):
        version.wait(timeout=5)
    used = [row for row in lab.usage() if row.job == job]
    assert len(used) == 1 and used[0].ended is not None


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")  # the kernel manager's own
def test_a_run_goes_on_when_the_kernel_that_started_it_is_restarted(server: JupyterServer, app: Any) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(env=server.environment | {"PYTHONPATH": str(ROOT)}, kernel_name="python3")
    try:
        code = (
            f"import deepft_lab; lab = deepft_lab.connect({server.url!r}, {TOKEN!r});"
            f"model = lab.app('survivors').create_model('kernel', template='classifier-mobilenet-v2', **{SHORT!r});"
            "model.train(dataset='train')"
        )
        assert client.execute_interactive(code, timeout=60)["content"]["status"] == "ok"
        version = app.model("kernel").version("v1")
        _until(lambda: any(event.kind == "step" for event in version.events()), 120)
        manager.restart_kernel(now=True)
        before = len(version.events())
        version.wait(timeout=240)
        assert len(version.events()) > before
        assert version.events()[-1].kind == "finished"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.timeout(300)
def test_the_waiting_version_says_its_place_and_starts_when_there_is_room(app: Any, lab: Any) -> None:
    model = app.create_model("queue", template="classifier-mobilenet-v2", **LONG)
    running, waiting = model.train(dataset="train"), model.train(dataset="train")
    _until(lambda: running.status in ("starting", "training"), 60)
    assert waiting.status == "queued"
    assert waiting.refresh().record.queue_place == 1
    assert [one.id for one in lab.running()] == [running.id, waiting.id] or len(lab.running()) == 2
    running.delete()
    _until(lambda: waiting.status in ("starting", "training"), 30)
    waiting.delete()
    assert not lab.running()


def _processes(job: str) -> list[int]:
    return processes_with(f"DEEPFT_JOB={job}")


def _workers(job: str) -> list[int]:
    """The ranks of a job: the processes that run deepft_lab.worker itself, not the launcher that names it."""
    found = []
    for pid in _processes(job):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"deepft_lab.worker" in arguments and not any(b"accelerate" in argument for argument in arguments):
            found.append(pid)
    return found


def _finished(server: JupyterServer, job: str) -> bool:
    return any((server.home / "data").rglob(f"{job}/result.json"))


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds:.0f} s"
        time.sleep(0.1)
