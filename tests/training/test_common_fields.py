"""What the fields of every template do, on a network of a few hundred weights."""

from __future__ import annotations

import copy
import re
import resource
import weakref
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
import torch
from coloured import coloured
from safetensors.torch import load_file, save_file
from torch import Tensor

from deepft_lab import manifest, spec, worker
from deepft_lab.errors import DeepFTError
from deepft_lab.events import EventReader
from deepft_lab.training import checkpoints, fitting, gradients, loop, memory, probe, state
from deepft_lab.training.averaging import Average
from deepft_lab.training.tasks.classify import Classify
from deepft_lab.training.weights import WrongWeights

TRAINING, VALIDATION = coloured(21), coloured(6, first=1000)
Events = dict[str, list[dict[str, Any]]]


def run(folder: Path, training: Any = TRAINING, validation: Any = VALIDATION, **options: Any) -> Events:
    """Trains, and gives what was said by kind."""
    job = job_folders.make(folder, training, validation, **{**tiny.VALUES, **options})
    return go(job, folder)


def go(job: spec.JobSpec, folder: Path) -> Events:
    said: Events = {}
    loop.train(job, folder, lambda kind, step=0, **data: said.setdefault(kind, []).append({"step": step, **data}))
    return said


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def alike(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-5) -> bool:
    return all(torch.allclose(one[key], other[key], atol=tolerance, rtol=1e-4) for key in one)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.use(monkeypatch, tiny.Plain)


# -- parts of a batch ---------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_in_parts_gives_the_step_of_the_whole(tmp_path: Path, parts: int) -> None:
    whole = run(tmp_path / "whole")
    split = run(tmp_path / "split", gradient_accumulation=parts)
    assert alike(weights(tmp_path / "whole"), weights(tmp_path / "split"))
    losses = [[epoch["train_loss"] for epoch in said["epoch"]] for said in (whole, split)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_full_memory_halves_the_parts_and_the_run_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole")
    loss = Classify.loss

    def limited(self: Classify, model: Any, batch: Any) -> Tensor:
        if model.training and len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return loss(self, model, batch)

    monkeypatch.setattr(Classify, "loss", limited)
    monkeypatch.setattr(memory, "saved", lambda *given: 0)
    said = run(tmp_path / "small")
    assert [warning["message"] for warning in said["warning"]] == [
        f"Memory was full: from step 1 on a batch is computed in parts of {part}. The effective batch stays the same."
        for part in (4, 2)
    ]
    assert alike(weights(tmp_path / "whole"), weights(tmp_path / "small"))


def test_memory_that_is_full_with_one_image_ends_the_run_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Classify, model: Any, batch: Any) -> Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 8 bytes")

    monkeypatch.setattr(memory, "saved", lambda *given: 0)
    monkeypatch.setattr(Classify, "loss", full)
    with pytest.raises(DeepFTError, match="full with a single image of image_size = 32"):
        run(tmp_path)


def test_full_memory_in_an_evaluation_gives_the_same_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole")
    outputs = Classify.outputs

    def limited(self: Classify, model: Any, batch: Any) -> list[Any]:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return outputs(self, model, batch)

    monkeypatch.setattr(Classify, "outputs", limited)
    small = run(tmp_path / "small")
    assert [epoch["metrics"] for epoch in small["epoch"]] == [
        pytest.approx(epoch["metrics"], abs=1e-5) for epoch in whole["epoch"]
    ]


@pytest.mark.parametrize("where", ["loss", "outputs"])
def test_a_process_that_is_of_no_use_after_full_memory_ends_and_another_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    tried: list[int] = []

    def full(self: Classify, model: Any, batch: Any) -> Any:
        tried.append(len(batch))
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(memory, "saved", lambda *given: 0)
    monkeypatch.setattr(memory, "_LITTLE", 2**60)
    monkeypatch.setattr(Classify, where, full)
    with pytest.raises(memory.FullMemory, match="memory is full"):
        run(tmp_path)
    assert len(tried) == 1, "oneDNN makes nothing after it could not, whatever the size"


def test_another_error_is_not_taken_for_full_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Classify, model: Any, batch: Any) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(memory, "saved", lambda *given: 0)
    monkeypatch.setattr(Classify, "loss", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        run(tmp_path)


def test_where_little_is_free_the_probe_decides_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = probe.Measured(base=100, sizes=[2, 4], memory=[300, 400], seconds=[0.2, 0.3])
    monkeypatch.setattr(probe, "measure", lambda folder, sizes: measured)
    monkeypatch.setattr(memory, "free", lambda device: 500)  # 0.9 of it holds 200 + 50 x 4 - 100 + ... = 4 images
    said = run(tmp_path)
    quote = said["quote"][0]
    assert (quote["source"], quote["micro_batch"]) == ("probe", 4)
    assert quote["seconds"] == pytest.approx(9 * 2 * 0.3)
    assert "parts of 4" in said["warning"][0]["message"]


def test_where_nothing_fits_the_error_says_what_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = probe.Measured(base=0, sizes=[2, 4], memory=[2000, 4000], seconds=[0.2, 0.3])
    monkeypatch.setattr(probe, "measure", lambda folder, sizes: measured)
    monkeypatch.setattr(memory, "free", lambda device: 300)
    with pytest.raises(DeepFTError, match="image_size = 32 would fit with batch_size = 1"):
        run(tmp_path, image_size=64)


@pytest.mark.parametrize(
    ("size", "fixed", "way_out"),
    [
        (640, 0, "image_size = 320 would fit"),
        ([640], 0, r"image_size = \[320\] would fit"),
        ([1280, 640], 0, r"image_size = \[640, 320\] would fit"),
        (640, 175, "image_size = 192 would fit"),
        (640, 270, "a smaller network, or end what else"),  # with no image of any size
    ],
)
def test_what_would_fit_is_told_of_any_form_of_a_size(size: Any, fixed: float, way_out: str) -> None:
    assert re.search(way_out, fitting._nothing_fits(size, fixed, fixed + 1000.0, 300.0))


def test_the_probe_measures_real_steps(tmp_path: Path) -> None:
    job_folders.make(tmp_path, TRAINING, VALIDATION, threads=1, **{**tiny.VALUES, "image_size": 160})
    measured = probe.measure(tmp_path, fitting._SIZES)
    assert measured is not None and measured.sizes == [2, 4]
    assert measured.memory[1] > measured.memory[0] > measured.base > 50e6
    assert measured.memory_at(32) > measured.memory_at(4) > 0
    assert measured.seconds_at(32) > 0


def test_what_the_backward_pass_keeps_is_counted_and_the_network_stays(tmp_path: Path) -> None:
    from deepft_lab.training import tasks
    from deepft_lab.training.task import Batch

    job = job_folders.make(tmp_path, TRAINING, [], **tiny.VALUES)
    task = tasks.make(job.type, job.template.recipe, job.values, job.concepts, exclusive=True)
    model = tiny.Tiny(2)
    before = copy.deepcopy(model.state_dict())
    outcomes: list[weakref.ref[torch.Tensor]] = []
    model.features[2].register_forward_hook(lambda *given: outcomes.append(weakref.ref(given[-1])))  # a ReLU keeps it
    counted = [
        memory.saved(task, model, Batch(torch.rand(count, 3, 32, 32), torch.eye(2).repeat(count // 2, 1)))
        for count in (2, 4, 8)
    ]
    assert counted[2] - counted[1] == 2 * (counted[1] - counted[0]) > 0
    assert len(outcomes) == 3 and not any(outcome() is not None for outcome in outcomes), "nothing is held afterwards"
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


# -- averaged weights, early ends ---------------------------------------------------------------


def test_the_average_of_the_weights_is_evaluated_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.use(monkeypatch)
    made: list[Average] = []
    update = Average.update

    def watched(self: Average, step: int) -> None:
        made[:] = [self]
        update(self, step)

    monkeypatch.setattr(Average, "update", watched)
    run(tmp_path, validation=[], ema=0.9)  # without validation the last epoch is kept
    kept = weights(tmp_path)
    assert all(torch.equal(kept[key], tensor) for key, tensor in made[0].model.state_dict().items())


def test_the_average_follows_its_formula() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    average, expected = Average(model, 0.5), 1.0
    for step, value in enumerate((3.0, -1.0, 2.0), 1):
        torch.nn.init.constant_(model.weight, value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected)


def test_epochs_that_bring_nothing_better_end_the_run(tmp_path: Path) -> None:
    said = run(tmp_path, num_epochs=9, early_stopping_patience=2, per_item_lrate=0.0)
    assert len(said["epoch"]) == 3 and said["finished"][0]["best_epoch"] == 1
    assert "2 epochs brought nothing better" in said["stopping"][0]["reason"]


def test_the_last_epoch_is_the_best_where_validation_tells_nothing() -> None:
    empty: dict[str, float | None] = {"mAP": None, "AR": None}  # pictures without a box
    assert loop._place(empty, "", 2) > loop._place(empty, "", 1)
    assert loop._place({}, "", 2) > loop._place({}, "", 1)
    assert loop._place({"mAP": 0.5}, "mAP", 1) > loop._place({"mAP": 0.4}, "mAP", 2)


def test_the_time_limit_ends_the_run_with_the_best_and_counts_all_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.States, "seconds", property(lambda self: self.before + 59.0))
    assert len(run(tmp_path / "a", max_minutes=1)["epoch"]) == 3
    read = state.States.read

    def late(self: state.States, ranks: int) -> Any:
        found = read(self, ranks)
        self.before = 2.0  # of an attempt before
        return found

    monkeypatch.setattr(state.States, "read", late)
    said = run(tmp_path / "b", max_minutes=1)
    assert len(said["epoch"]) == 1 and "1 minutes are over" in said["stopping"][0]["reason"]
    assert (tmp_path / "b" / "model" / "model.json").exists()


# -- precision, compiling, weights of concepts --------------------------------------------------


def test_half_precision_trains_on_a_cpu_and_fp16_says_that_it_needs_a_gpu(tmp_path: Path) -> None:
    said = run(tmp_path / "bf16", mixed_precision="bf16", ema=0.9)
    assert said["started"][0]["precision"] == "bf16"
    said = run(tmp_path / "fp16", mixed_precision="fp16")
    assert said["started"][0]["precision"] == "float32"
    assert "fp16 needs a GPU" in said["warning"][0]["message"]


def test_a_compiled_network_reports_its_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, *given, **named: compiled.append(self))
    monkeypatch.setattr(loop.Progress, "due", lambda self, step: True)
    said = run(tmp_path, compile=True)
    assert len(compiled) == 1 and said["quote"][0]["warm_up"] > 0


def test_the_quote_comes_early_and_is_what_the_progress_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.Progress, "due", lambda self, step: True)
    said = run(tmp_path)
    quote = said["quote"][0]
    assert quote["step"] == 3 and quote["source"] == "run" and quote["micro_batch"] == 8
    step = next(step for step in said["step"] if step["step"] == 3)
    assert quote["seconds"] == pytest.approx(step["seconds_left"], abs=60)
    assert quote["memory"] >= step["memory"] > 1e7


def test_a_task_without_weights_of_concepts_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def balance(self: Classify, targets: Tensor) -> str:
        asked.append(len(targets))
        return "It has none."

    monkeypatch.setattr(Classify, "balance", balance, raising=False)
    assert "warning" not in run(tmp_path / "none")
    said = run(tmp_path / "balanced", class_weights="balanced")
    assert asked == [21] and said["warning"][0]["message"] == "It has none."


# -- losses, disks, weights ---------------------------------------------------------------------


def test_a_loss_that_is_no_number_names_its_step_and_inputs_and_the_best_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = gradients.Gradients.of
    monkeypatch.setattr(
        gradients.Gradients, "of", lambda self, batch, step: of(self, batch, step) * (float("nan") if step == 4 else 1)
    )
    with pytest.raises(DeepFTError) as caught:
        run(tmp_path)
    words = caught.value.message
    assert "loss is nan at step 5 (epoch 2, learning rate 0.00" in words and "per_item_lrate" in words
    named = words.split("inputs ")[1].split(")")[0].split(", ")
    known = {entry.input for entry in manifest.load(tmp_path / "train.jsonl").entries}
    assert len(named) == 8 and set(named) <= known
    assert "epoch 1, is kept" in words
    assert checkpoints.read_card(tmp_path / "model").best_epoch == 1


@pytest.mark.parametrize("lost", [5, 4])  # the last step of the run; one after which its state is written
def test_weights_that_are_lost_with_a_sound_loss_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    of = gradients.Gradients.of

    def lose(self: gradients.Gradients, batch: Any, step: int) -> Tensor:
        loss = of(self, batch, step)
        if step == lost:
            next(p for p in self.model.parameters() if p.grad is not None).grad.fill_(float("nan"))  # type: ignore[union-attr]
        return loss

    monkeypatch.setattr(gradients.Gradients, "of", lose)
    monkeypatch.setattr(state.States, "due", property(lambda self: True))
    with pytest.raises(
        DeepFTError, match=rf"The gradients are no numbers at step {lost + 1} \(epoch 2.*epoch 1, is kept"
    ):
        run(tmp_path, num_epochs=2)
    kept = torch.load(tmp_path / spec.CHECKPOINT, weights_only=True)
    assert kept["run"]["step"] == lost and all(tensor.isfinite().all() for tensor in kept["model"].values())
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path).values())


def test_a_full_disk_at_a_checkpoint_is_a_warning_and_the_state_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "EVERY", 0.0)
    monkeypatch.setattr(state, "SHARE", 1e9)
    write, steps = state.States.write, []

    def without_room(self: state.States, run: state.Run, *rest: Any) -> str:
        if run.step < 4:
            steps.append(run.step)
            return write(self, run, *rest)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # stands for a disk that is full
        try:
            return write(self, run, *rest)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert torch.load(self.path, weights_only=True)["run"]["step"] == steps[-1]
            assert [path.name for path in self.path.parent.glob(".*")] == []

    monkeypatch.setattr(state.States, "write", without_room)
    said = run(tmp_path)
    assert steps and len(said["epoch"]) == 3
    assert "The disk is full" in said["warning"][0]["message"]


def test_a_full_disk_at_the_best_weights_keeps_the_best_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = checkpoints.save_best

    def full(folder: Path, model: torch.nn.Module, epoch: int) -> str:
        if epoch == 1:
            return save(folder, model, epoch)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            return save(folder, model, epoch)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(checkpoints, "save_best", full)
    said = run(tmp_path, validation=[])  # each epoch is the best so far
    assert said["finished"][0]["best_epoch"] == 1
    assert "weights of epoch 2 could not be written" in " ".join(warning["message"] for warning in said["warning"])


def test_events_for_which_there_is_no_room_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES)
    write, refused = worker.EventWriter.write, []

    def full(self: Any, kind: str, step: int = 0, **data: Any) -> Any:
        if kind == "epoch" and not refused:
            refused.append(kind)
            raise OSError(28, "No space left on device")
        return write(self, kind, step, **data)

    monkeypatch.setattr(worker.EventWriter, "write", full)
    assert worker.main(tmp_path) == 0
    events = EventReader(tmp_path / "events.jsonl").read()
    assert refused and [event.data["epoch"] for event in events if event.kind == "epoch"] == [1, 2, 3]


def test_weights_that_are_no_numbers_are_found_when_they_are_loaded(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES)
    tensors = tiny.Plain(2).state_dict()
    tensors["features.0.weight"][3, 1] = float("nan")
    save_file(tensors, tmp_path / "given.safetensors")
    with pytest.raises(WrongWeights, match=r"no numbers .* such as features\.0\.weight"):
        go(msgspec.structs.replace(job, weights=str(tmp_path / "given.safetensors")), tmp_path)


def test_training_that_goes_on_keeps_what_was_learned_of_each_concept(tmp_path: Path) -> None:
    run(tmp_path / "old", coloured(20), coloured(6, first=900))
    job = job_folders.make(
        tmp_path / "new", coloured(21, ("green", "red", "blue")), [], **{**tiny.VALUES, "per_item_lrate": 0.0}
    )
    assert job.concepts == ["blue", "green", "red"]
    said = go(msgspec.structs.replace(job, resume_model=str(tmp_path / "old" / "model")), tmp_path / "new")
    old, new = weights(tmp_path / "old"), weights(tmp_path / "new")
    assert torch.equal(new["features.0.weight"], old["features.0.weight"])
    for key in ("classifier.1.weight", "classifier.1.bias"):
        assert torch.equal(new[key][[0, 2]], old[key])  # blue and red
        assert not torch.equal(new[key][1], old[key][0])
    assert any("new concepts, which begin at random: green" in warning["message"] for warning in said["warning"])


def test_a_version_of_another_architecture_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "old", num_epochs=1)
    tiny.use(monkeypatch, tiny.Tiny)
    job = job_folders.make(tmp_path / "new", TRAINING, [], **tiny.VALUES)
    with pytest.raises(WrongWeights, match=r"another architecture \(classifier-mobilenet-v2\)"):
        go(msgspec.structs.replace(job, resume_model=str(tmp_path / "old" / "model")), tmp_path / "new")


def test_inputs_that_cannot_be_read_are_listed_beyond_the_tolerance(tmp_path: Path) -> None:
    job = job_folders.make(tmp_path, TRAINING, VALIDATION, **tiny.VALUES, invalid_data_tolerance_percent=4)
    bad = manifest.load(tmp_path / "train.jsonl").entries[:2]
    for entry in bad:
        (Path(job.blobs) / entry.sha256[:2] / entry.sha256).write_bytes(b"torn")
    with pytest.raises(DeepFTError, match="more than invalid_data_tolerance_percent = 4 allows") as caught:
        go(job, tmp_path)
    assert all(entry.input in caught.value.message for entry in bad)
    tolerant = msgspec.structs.replace(job, values={**job.values, "invalid_data_tolerance_percent": 10})
    assert go(tolerant, tmp_path)["started"][0]["train"] == 19
