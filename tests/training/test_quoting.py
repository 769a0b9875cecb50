"""A job that only measures: with the real loop, on a sample, and what it makes of it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
import tiny
from coloured import coloured

from deepft_lab import manifest, spec
from deepft_lab.catalog import Catalog
from deepft_lab.engines.local import LocalEngine
from deepft_lab.events import EventReader
from deepft_lab.training import head_start, loop, quoting, tasks

COUNT, HELD = 100, 30


def job(folder: Path, **values: Any) -> spec.JobSpec:
    made = job_folders.make(folder, coloured(COUNT), coloured(HELD, first=5000), threads=1, **{**tiny.VALUES, **values})
    made = msgspec.structs.replace(made, cache=str(folder / "cache"))
    spec.write(folder / "spec.json", made)
    return made


def measured(made: spec.JobSpec, folder: Path) -> tuple[dict[str, Any], list[str]]:
    said: list[tuple[str, dict[str, Any]]] = []
    quoting.measure(made, folder, lambda kind, step=0, **data: said.append((kind, data)))
    (quote,) = [data for kind, data in said if kind == "quote"]
    return quote, [kind for kind, _ in said]


def test_a_quote_counts_the_whole_job_and_leaves_only_decoded_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.use(monkeypatch)
    made = job(tmp_path, num_epochs=5)
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(quoting, "SECONDS", 1.0)
    quote, kinds = measured(made, tmp_path)
    assert kinds[0] == "measuring" and kinds[-1] == "quote" and set(kinds) == {"measuring", "quote"}
    assert {path.name for path in tmp_path.iterdir()} == before | {"cache"}
    assert (quote["steps"], quote["epochs"]) == (5 * math.ceil(COUNT / 8), 5)
    assert quote["micro_batch"] == 8 and quote["memory"] > 1e7 and quote["gpu_memory"] is None
    assert quote["seconds"] == pytest.approx(sum(quote["parts"].values()))
    assert all(seconds > 0 for seconds in quote["parts"].values()), quote["parts"]

    said: list[tuple[str, dict[str, Any]]] = []
    loop.train(made, tmp_path, lambda kind, step=0, **data: said.append((kind, data)))
    (started,) = [data for kind, data in said if kind == "started"]
    assert started["steps"] == quote["steps"]
    assert started["decoded"] == COUNT - quoting.PICTURES, "the quote decoded the others"


def test_what_is_measured_is_counted_as_often_as_the_job_does_it(tmp_path: Path) -> None:
    made = job(tmp_path, num_epochs=10)
    watch = quoting.Watch(made, tmp_path, lambda *given, **named: None, before=4.0)
    watch.begun, watch.started_at = 0.0, 3.0  # 3 s until it started, 1 of decoding, 0.5 of what is computed once
    watch.started = {"gathering": 1.0, "settling": 0.5, "decoded": 50, "micro_batch": 8}
    watch.first, watch.steps = 0.7, [(2, 0.4), (3, 0.6), (1, 2.0)]  # the last one was disturbed
    watch.evaluations, watch.writing = [0.2, 9.0, 0.3], [0.1]
    sizes = quoting.Sizes(training=1000, validation=300, missing=500, sampled_training=64, sampled_validation=30)
    parts = watch.sum(sizes)["parts"]
    steps = 10 * math.ceil(1000 / 8)
    a_step = (5 * 0.2 + 2.0) / 6
    assert parts["training"] == pytest.approx(0.5 * 1000 / 64 + steps * a_step), "a head is fitted to training pictures"
    assert parts["decoding"] == pytest.approx(1.0 * 500 / 50)
    assert parts["evaluation"] == pytest.approx(10 * (0.3 * 10 + 0.1))
    assert parts["start"] > 4.0 + 3.0 - 1.5


def test_what_is_computed_once_is_counted_as_far_as_it_goes() -> None:
    values = {"image_size": 32, "batch_size": 8}

    def seen(template: str, type: str) -> tuple[int, int]:
        recipe = Catalog().get(template).recipe
        task = tasks.make(type, recipe, values, ["a", "b"], exclusive=True)
        return task.settled(1000, 300), task.settled(50_000, 300)

    assert seen("classifier-mobilenet-v2", "visual-classifier") == (1000, head_start.MOST)
    assert seen("transfer-linear", "embedding-classifier") == (1300, 50_300), "embeddings of all"


def test_an_evaluation_is_counted_by_all_that_it_looks_at(tmp_path: Path) -> None:
    """An embedder's neighbours are looked for among training inputs, which are embedded each time."""
    made = job(tmp_path, template="embedder-mobilenet-v2", num_epochs=10)
    task = tasks.of_job(made)
    assert (task.evaluated(2500, 100), task.evaluated(500, 100), task.evaluated(500, 0)) == (2100, 600, 0)
    watch = quoting.Watch(made, tmp_path, lambda *given, **named: None, before=0.0)
    watch.started = {"gathering": 0.0, "settling": 0.0, "decoded": 0, "micro_batch": 8}
    watch.first, watch.steps, watch.evaluations = 0.1, [(1, 0.1)], [0.94]
    sizes = quoting.Sizes(training=2500, validation=100, missing=0, sampled_training=64, sampled_validation=30)
    assert watch.sum(sizes)["parts"]["evaluation"] == pytest.approx(10 * 0.94 * (2000 + 100) / (64 + 30))


def test_a_quote_ends_where_the_time_limit_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.use(monkeypatch)
    monkeypatch.setattr(quoting, "SECONDS", 0.5)
    quote, _ = measured(job(tmp_path, num_epochs=600, max_minutes=0.01), tmp_path)
    assert quote["seconds"] == pytest.approx(0.6) and sum(quote["parts"].values()) > 1.2


def test_the_small_job_ends_early_and_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.use(monkeypatch)
    monkeypatch.setattr(quoting, "SECONDS", 1e-6)
    monkeypatch.setattr(loop.Progress, "due", lambda self, step: True)
    watches: list[quoting.Watch] = []
    real = quoting.Watch.sum
    monkeypatch.setattr(quoting.Watch, "sum", lambda self, sizes: watches.append(self) or real(self, sizes))
    measured(job(tmp_path), tmp_path)
    assert watches[0].step == quoting.STEPS and len(watches[0].evaluations) == 1


def test_two_ranks_measure_together(tmp_path: Path) -> None:
    """As the engine starts them: runner, launcher, two workers."""
    made = job(tmp_path, ranks=2, num_gpus=2, num_epochs=2)
    spec.write(tmp_path / "spec.json", msgspec.structs.replace(made, quote=True))
    engine = LocalEngine(tmp_path)
    handle = engine.submit(tmp_path)
    while engine.poll(handle, tmp_path):
        time.sleep(0.1)
    said = EventReader(tmp_path / "events.jsonl").read()
    assert said[-1].kind == "quote", (tmp_path / "log.txt").read_text()
    assert said[-1].data["steps"] == 2 * math.ceil(COUNT / 16)
    ending = spec.read(tmp_path / "exit.json", spec.Exit)
    assert ending.code == 0 and ending.cpu_seconds > said[-1].data["cpu_taken"] > 0
    assert said[-1].data["parts"]["start"] > 0.5, "the imports of launcher and workers are counted"


def test_half_of_a_sample_must_be_decoded_where_much_must(tmp_path: Path) -> None:
    entries = [manifest.Entry(f"{place}", f"{place}", 8, 8) for place in range(500)]
    missing = {f"{place}" for place in range(400, 500)}
    chosen = quoting._some(entries, missing, 64)
    assert len({entry.sha256 for entry in chosen}) == 64
    assert sum(entry.sha256 in missing for entry in chosen) >= 32
    assert len(quoting._some(entries[:10], missing, 64)) == 10
