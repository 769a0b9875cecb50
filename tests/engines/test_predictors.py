"""Warm predictors: real processes that answer, go when idle, and leave nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from coloured import coloured
from predict import model_folder

from deepft_lab.engines.predictors import Predictors
from deepft_lab.errors import Unavailable

PICTURES = [content for content, _ in coloured(20)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three finished models with random weights."""
    made = []
    for concepts in (["a", "b"], ["c", "d"], ["e", "f"]):
        made.append(model_folder(tmp_path_factory.mktemp("model"), "mobilenet_v2", concepts))
    return made


@pytest.fixture
def predictors() -> Iterator[Predictors]:
    made = Predictors(idle_seconds=300)
    yield made
    made.close()


def wait_until_gone(pid: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.05)


def test_a_predictor_answers_stays_warm_crashes_and_starts_again(predictors: Predictors, models: list[Path]) -> None:
    found, cold = predictors.predict(models[0], [*PICTURES, b"text, no picture"])
    assert cold
    assert len(found) == 21
    assert "text" in found[20].error and not found[20].concepts
    for prediction in found[:20]:
        values = [value.value for value in prediction.concepts]
        assert {value.concept for value in prediction.concepts} == {"a", "b"}
        assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1)

    again, cold = predictors.predict(models[0], PICTURES[:1])
    assert not cold
    assert again[0].concepts[0].value == pytest.approx(found[0].concepts[0].value, abs=1e-4)
    assert predictors.predict(models[0], [])[0] == []

    process = predictors._warm[models[0]]
    assert stat.S_IMODE(process.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(process.socket.parent.stat().st_mode) == 0o700

    with ThreadPoolExecutor(4) as pool:  # several callers at once
        answers = list(pool.map(lambda content: predictors.predict(models[0], [content])[0][0], PICTURES[:8]))
    assert [a.concepts[0].concept for a in answers] == [f.concepts[0].concept for f in found[:8]]

    os.kill(process.process.pid, signal.SIGSTOP)  # it dies in the middle of an answer
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(predictors.predict, models[0], PICTURES[:1])
        time.sleep(0.3)
        os.kill(process.process.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"signal 9.*starts a fresh one"):
            waiting.result(30)
    found, cold = predictors.predict(models[0], PICTURES[:1])
    assert cold and not found[0].error


def test_the_one_used_longest_ago_makes_room_and_closing_ends_all(predictors: Predictors, models: list[Path]) -> None:
    for model in (models[0], models[1], models[0], models[2]):
        predictors.predict(model, PICTURES[:1])
    assert set(predictors.warm()) == {models[0], models[2]}
    pids = [predictors._warm[model].process.pid for model in predictors.warm()]
    predictors.close()
    for pid in pids:
        wait_until_gone(pid)


def test_an_idle_predictor_ends_itself_and_the_next_call_starts_it_again(models: list[Path]) -> None:
    predictors = Predictors(idle_seconds=0.5)
    try:
        predictors.predict(models[0], PICTURES[:1])
        process = predictors._warm[models[0]].process
        assert process.wait(20) == 0
        assert predictors.warm() == []
        assert predictors.predict(models[0], PICTURES[:1])[1]
    finally:
        predictors.close()


def test_a_predictor_goes_with_a_server_that_was_killed(models: list[Path]) -> None:
    code = (
        "import sys, time; from pathlib import Path; from deepft_lab.engines.predictors import Predictors;"
        "p = Predictors(); p.predict(sys.argv[1], []); print(p._warm[Path(sys.argv[1])].process.pid, flush=True);"
        "time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(models[0])], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server, server.stdout:
        pid = int(server.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        server.kill()
    wait_until_gone(pid)


def test_a_model_that_cannot_be_loaded_is_told_in_words(
    predictors: Predictors, models: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="no model in"):
        predictors.predict(tmp_path, PICTURES[:1])
    (tmp_path / "model.json").write_bytes((models[0] / "model.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(Unavailable, match="no safetensors file"):
        predictors.predict(tmp_path, PICTURES[:1])
