"""A run that is killed and started again ends as one that never was: the same weights to the bit, the same events."""

from __future__ import annotations

import errno
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
from boxed import boxed
from coloured import coloured
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from outlined import outlined

from deepft_lab import spec, worker
from deepft_lab.engines import processes
from deepft_lab.engines.local import LocalEngine
from deepft_lab.errors import DeepFTError
from deepft_lab.events import EventReader, fold
from deepft_lab.records import Event
from deepft_lab.training import averaging, checkpoints, gradients, signals, state

TRAINING, VALIDATION = coloured(21), coloured(6, first=1000)
VARIANTS: list[dict[str, Any]] = [{}, {"ema": 0.9}, {"gradient_accumulation": 2, "early_stopping_patience": 1}]


class Killed(BaseException):
    """What stands for a kill: no handler of the worker catches it."""


class Clock:
    """Counts the moments at which a kill may come, and kills at the chosen one. Checkpoints are due at some steps."""

    def __init__(self) -> None:
        self.moments, self.kill_at, self.due_every = 0, 0, 1
        self.asked = 0

    def tick(self) -> None:
        self.moments += 1
        if self.moments == self.kill_at:
            raise Killed

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def ticking(*arguments: Any, **keywords: Any) -> Any:
            self.tick()
            result = function(*arguments, **keywords)
            self.tick()
            return result

        return ticking

    def due(self, _: Any) -> bool:
        self.asked += 1
        return self.asked % self.due_every == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    tiny.use(monkeypatch)
    monkeypatch.setattr(gradients.Gradients, "of", made.around(gradients.Gradients.of))
    monkeypatch.setattr(state.States, "write", made.around(state.States.write))
    monkeypatch.setattr(checkpoints, "save_best", made.around(checkpoints.save_best))
    monkeypatch.setattr(checkpoints, "publish", made.around(checkpoints.publish))
    monkeypatch.setattr(worker.EventWriter, "write", made.around(worker.EventWriter.write))
    monkeypatch.setattr(state.States, "due", property(made.due))
    return made


@pytest.fixture
def undisturbed(clock: Clock, tmp_path: Path) -> dict[int, tuple[bytes, list[Event], int]]:
    """For each variant: the model's bytes, what was said, and how many moments there were to kill it at."""
    found = {}
    for number, values in enumerate(VARIANTS):
        folder = tmp_path / f"whole-{number}"
        job_folders.make(folder, TRAINING, VALIDATION, job="whole", **{**tiny.VALUES, **values})
        clock.moments = 0
        assert worker.main(folder) == 0
        found[number] = (weights_of(folder), events_of(folder), clock.moments)
    return found


@settings(
    max_examples=15, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.data())
def test_killed_at_any_moment_and_started_again_it_ends_the_same(
    clock: Clock, undisturbed: dict[int, tuple[bytes, list[Event], int]], tmp_path_factory: Any, data: st.DataObject
) -> None:
    variant = data.draw(st.sampled_from(sorted(undisturbed)))
    whole, said, moments = undisturbed[variant]
    clock.due_every = data.draw(st.integers(1, 4))
    folder = tmp_path_factory.mktemp("job")
    job = job_folders.make(folder, TRAINING, VALIDATION, job="whole", **{**tiny.VALUES, **VARIANTS[variant]})
    for attempt in range(1, 5):
        spec.write(folder / "spec.json", msgspec.structs.replace(job, attempt=attempt))
        clock.moments = 0
        clock.kill_at = data.draw(st.integers(1, moments + 5)) if attempt < 4 else 0
        try:
            code = worker.main(folder)
        except Killed:
            continue
        finally:
            clock.kill_at = 0
        assert code == 0
        break
    assert weights_of(folder) == whole
    assert not (folder / "checkpoints").exists()
    assert_no_gap_and_no_double(folder, said)


def test_killed_before_its_result_is_written_a_finished_run_is_gone_on_with(
    clock: Clock,
    undisturbed: dict[int, tuple[bytes, list[Event], int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = job_folders.make(tmp_path, TRAINING, VALIDATION, job="whole", **tiny.VALUES)
    write = spec.write

    def killed(path: Any, value: Any) -> None:
        if Path(path).name == "result.json":
            raise Killed
        write(path, value)

    monkeypatch.setattr(spec, "write", killed)
    with pytest.raises(Killed):
        worker.main(tmp_path)
    monkeypatch.setattr(spec, "write", write)
    spec.write(tmp_path / "spec.json", msgspec.structs.replace(job, attempt=2))
    assert worker.main(tmp_path) == 0
    resumed = next(event for event in events_of(tmp_path) if event.kind == "resumed")
    assert resumed.data["from_step"] > 0
    assert weights_of(tmp_path) == undisturbed[0][0]


def test_killed_while_it_tidies_up_a_finished_run_is_trained(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        raise Killed

    monkeypatch.setattr(checkpoints, "clear", killed)
    job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES)
    with pytest.raises(Killed):
        worker.main(tmp_path)
    assert spec.read(tmp_path / "result.json", spec.Result).outcome == "trained"


def test_a_result_for_which_there_is_no_room_takes_that_of_the_checkpoints(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = spec.write

    def full(path: Any, value: Any) -> None:
        if Path(path).name == "result.json" and (tmp_path / spec.CHECKPOINT).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, value)

    monkeypatch.setattr(spec, "write", full)
    job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES)
    assert worker.main(tmp_path) == 0
    assert spec.read(tmp_path / "result.json", spec.Result).outcome == "trained"


def test_a_run_without_a_checkpoint_begins_anew_and_says_so(clock: Clock, tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES)
    clock.due_every, clock.kill_at = 10**9, 6
    with pytest.raises(Killed):
        worker.main(tmp_path)
    clock.kill_at = 0
    spec.write(tmp_path / "spec.json", msgspec.structs.replace(job, attempt=2))
    assert worker.main(tmp_path) == 0
    events = fold(events_of(tmp_path))
    assert (events[0].kind, events[0].data) == ("resumed", {"from_step": 0})
    assert [event.kind for event in events].count("started") == 1


def test_a_sigterm_ends_the_run_with_its_state_and_it_can_be_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tiny.use(monkeypatch)
    job = job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES)
    of = gradients.Gradients.of

    def terminated(self: gradients.Gradients, batch: Any, step: int) -> Any:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return of(self, batch, step)

    monkeypatch.setattr(gradients.Gradients, "of", terminated)
    handler = signal.getsignal(signal.SIGTERM)
    assert worker.main(tmp_path) == 1
    assert signal.getsignal(signal.SIGTERM) is handler
    signals.caught.clear()
    result = spec.read(tmp_path / "result.json", spec.Result)
    assert "SIGTERM" in result.reason and "step 4 is kept: resume it" in result.reason
    monkeypatch.setattr(gradients.Gradients, "of", of)
    spec.write(tmp_path / "spec.json", msgspec.structs.replace(job, attempt=2))
    assert worker.main(tmp_path) == 0
    resumed = next(event for event in events_of(tmp_path) if event.kind == "resumed")
    assert resumed.data == {"from_step": 4}


def test_a_checkpoint_of_other_processes_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    import torch

    torch.save({"run": {"step": 3, "ranks": 2}}, tmp_path / state.LAST)
    with pytest.raises(DeepFTError, match=r"is of 2 processes .* by 1"):
        state.States(tmp_path).read(1)
    (tmp_path / state.LAST).write_bytes(b"torn")
    with pytest.raises(DeepFTError, match="cannot be read"):
        state.States(tmp_path).read(1)


def test_nothing_of_a_restored_run_lies_in_the_file_that_it_was_read_from(tmp_path: Path) -> None:
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)

    def made() -> tuple[torch.nn.Module, torch.optim.Optimizer, averaging.Average]:
        torch.manual_seed(1)
        model = torch.nn.Linear(64, 64)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True), averaging.Average(model, 0.9)

    def numbers(model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: averaging.Average) -> list[Any]:
        kept = [tensor for state in optimizer.state.values() for tensor in state.values()]
        return [tensor.tolist() for tensor in (*model.parameters(), *average.model.parameters(), *kept)]

    model, optimizer, average = made()
    model(torch.ones(2, 64)).square().sum().backward()
    optimizer.step()
    average.update(1)
    wanted = numbers(model, optimizer, average)
    states = state.States(tmp_path)
    assert not states.write(state.Run(step=1), model, optimizer, accelerator, average)
    found = state.States(tmp_path).read(1)
    assert found is not None
    model, optimizer, average = made()
    state.restore(found[1], model, optimizer, accelerator, average)
    size = (tmp_path / state.LAST).stat().st_size
    with (tmp_path / state.LAST).open("r+b") as file:  # what is mapped and was not touched yet changes with it
        file.write(b"\xff" * size)
    assert numbers(model, optimizer, average) == wanted
    del found
    gc.collect()
    assert "last.pt" not in Path("/proc/self/maps").read_text()


def test_a_run_shorter_than_the_clock_is_written_down_after_its_first_epoch(clock: Clock, tmp_path: Path) -> None:
    clock.due_every = 10**9
    job_folders.make(tmp_path, TRAINING, VALIDATION, job="short", **tiny.VALUES)
    assert worker.main(tmp_path) == 0
    said = events_of(tmp_path)
    written = [event.step for event in said if event.kind == "checkpoint" and event.data["path"] == state.LAST]
    assert written == [next(event.step for event in said if event.kind == "epoch")]


# -- real processes -----------------------------------------------------------------------------

# One row a task: its template and small values. A new task is a row more, and its pictures below.
REAL: dict[str, dict[str, Any]] = {
    "classify": {"template": "classifier-mobilenet-v2", **tiny.VALUES, "num_epochs": 10, "batch_size": 4},
    "detect": {
        "template": "detector-faster-rcnn-light",
        **tiny.VALUES,
        "image_size": [64],
        "num_epochs": 6,
        "batch_size": 4,
    },
    "segment": {
        "template": "segmenter-light",
        **tiny.VALUES,
        "num_epochs": 6,
        "batch_size": 4,
        "class_weights": "balanced",
    },
    "embed": {"template": "embedder-mobilenet-v2", **tiny.VALUES, "num_epochs": 8, "batch_size": 4},
    "transfer": {  # its steps are over vectors, so short that there are many
        "template": "transfer-linear",
        "pretrained_weights": "None",
        "image_size": 32,
        "num_epochs": 150,
        "batch_size": 4,
        "per_item_lrate": 1e-3,
        "k_folds": 3,
    },
}
PICTURES: dict[str, tuple[Any, Any]] = {
    "detect": (boxed(13), boxed(5, first=100)),
    "segment": (outlined(13), outlined(5, first=100)),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("task", sorted(REAL))
def test_a_real_sigkill_changes_nothing(task: str, ranks: int, tmp_path: Path, engine: Engine) -> None:
    options = {**REAL[task], "ranks": ranks, "threads": 1}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    training, validation = PICTURES.get(task, (TRAINING, VALIDATION))
    job_folders.make(whole, training, validation, job=f"whole-{os.getpid()}", **options)
    engine.run(whole)
    job = job_folders.make(killed, training, validation, job=f"killed-{os.getpid()}", **options)
    engine.begin(killed)
    engine.until(killed, lambda event: event.kind == "step")
    for pid in processes.carriers(job.job):  # as a cluster tells a whole job; only the ranks listen to it
        os.kill(pid, signal.SIGUSR1)
    engine.until(killed, lambda event: event.data.get("path") == state.LAST)
    for pid in processes.carriers(job.job):
        os.kill(pid, signal.SIGKILL)
    engine.wait(killed)
    spec.write(killed / "spec.json", msgspec.structs.replace(job, attempt=2))
    engine.run(killed)
    said = events_of(whole)
    assert next(event for event in said if event.kind == "started").data["ranks"] == ranks
    resumed = next(event for event in events_of(killed) if event.kind == "resumed")
    assert resumed.data["from_step"] > 0 and resumed.attempt == 2
    assert weights_of(killed) == weights_of(whole)
    assert_no_gap_and_no_double(killed, said)


class Engine:
    """The local engine, and what a test waits for."""

    def __init__(self, folder: Path) -> None:
        self.local = LocalEngine(folder)
        self.handles: dict[Path, str] = {}

    def begin(self, folder: Path) -> None:
        self.handles[folder] = self.local.submit(folder)

    def wait(self, folder: Path) -> None:
        self._until(lambda: not self.local.poll(self.handles[folder], folder), folder)

    def run(self, folder: Path) -> None:
        self.begin(folder)
        self.wait(folder)
        assert spec.read(folder / "result.json", spec.Result).outcome == "trained"

    def until(self, folder: Path, wanted: Callable[[Event], bool]) -> None:
        self._until(lambda: any(wanted(event) for event in events_of(folder)), folder)

    def _until(self, condition: Callable[[], bool], folder: Path, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (folder / "log.txt").read_text()[-2000:]
            time.sleep(0.02)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    for folder, handle in made.handles.items():
        made.local.cancel(handle, folder)


def weights_of(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def events_of(folder: Path) -> list[Event]:
    return EventReader(folder / "events.jsonl").read()


def assert_no_gap_and_no_double(folder: Path, whole: list[Event]) -> None:
    """The folded view tells the same epochs, metrics and warnings as a run that was not disturbed."""
    events = fold(events_of(folder))
    assert [event.seq for event in events_of(folder)] == list(range(1, len(events_of(folder)) + 1))
    assert [told(event) for event in events if event.kind == "epoch"] == [
        told(event) for event in whole if event.kind == "epoch"
    ]
    for kind in ("started", "finished"):
        assert [event.kind for event in events].count(kind) == 1, kind
    warnings = [event.data["message"] for event in events if event.kind == "warning"]
    assert sorted(warnings) == sorted({event.data["message"] for event in whole if event.kind == "warning"})
    steps = [event.step for event in events if event.kind == "step"]
    assert steps == sorted(set(steps))


def told(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.data.items() if name != "seconds"}
