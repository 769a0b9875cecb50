"""The queue with real processes: start, follow, stop, delete, fail, and a server that is killed in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from desk import ANN, Desk
from small_engine import TRAINS, WAITS, SmallEngine

from deepft_lab import spec
from deepft_lab.errors import Conflict, InvalidRequest, NotFound
from deepft_lab.lab import Lab
from deepft_lab.records import Caller, EventQuery, LogQuery, Predict, PredictImage, Shutdown

OpenLab = Callable[..., Lab]


def ready(lab: Lab) -> Desk:
    """An app with a model that can be trained."""
    desk = Desk(lab).create()
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.new_model()
    return desk


def training(version) -> bool:
    return version.state == "training" and version.step > 1


def test_a_job_runs_to_its_end_and_is_collected(open_lab: OpenLab) -> None:
    desk = ready(open_lab(TRAINS, price_per_cpu_hour=2.0, currency="EUR"))
    version = desk.wait(desk.begin_training(description="first"))
    assert (version.state, version.progress, version.step, version.epoch, version.best_epoch) == ("trained", 1, 4, 2, 2)
    assert version.metrics == {"accuracy": 0.4} and version.best_metric == "accuracy"
    assert version.description == "first" and version.last_seq == 8 and version.queue_place is None
    assert version.cost == pytest.approx(1.5 / 3600 * 2.0) and version.currency == "EUR"
    page = desk.events(model="m", version="v1", query=EventQuery(after=2))
    assert [event.seq for event in page.events] == list(range(3, 9)) and page.state == "trained"
    (row,) = desk.lab.usage(ANN)
    assert (row.user, row.app, row.model, row.version, row.attempt, row.cpu_seconds) == (
        "ann",
        "insects",
        "m",
        "v1",
        1,
        1.5,
    )
    assert row.ended is not None and row.cost == pytest.approx(version.cost)
    assert not desk.lab.busy


def test_jobs_wait_in_line_and_start_in_order(open_lab: OpenLab) -> None:
    desk = ready(open_lab(WAITS))
    versions = [desk.begin_training() for _ in range(3)]
    desk.wait(versions[0], training)
    assert [desk.version(model="m", version=v.id).queue_place for v in versions] == [None, 1, 2]
    assert [version.id for version in desk.lab.running(ANN)] == ["v1", "v2", "v3"]
    machine = desk.lab.machine(ANN)
    assert (machine.running, machine.waiting) == (1, 2)
    desk.delete_version(model="m", version="v2")
    assert desk.version(model="m", version="v3").queue_place == 1
    desk.stop_version(model="m", version="v1")
    desk.wait(versions[2], training)
    assert [version.id for version in desk.versions(model="m")] == ["v3", "v1"]


def test_stopping_keeps_the_best(open_lab: OpenLab) -> None:
    desk = ready(open_lab(WAITS))
    version = desk.wait(desk.begin_training(), training)
    assert desk.stop_version(model="m", version=version.id).stopping
    ended = desk.wait(version)
    assert (ended.state, ended.metrics, ended.stopping) == ("trained", {"accuracy": 0.5}, False)
    with pytest.raises(Conflict, match="ended already"):
        desk.stop_version(model="m", version=version.id)


def test_what_waits_cannot_be_stopped_only_deleted(lab: Lab) -> None:
    desk = ready(lab)
    desk.begin_training()
    with pytest.raises(Conflict, match="waits"):
        desk.stop_version(model="m", version="v1")
    deleted = desk.delete_version(model="m", version="v1")
    assert (deleted.state, deleted.seconds_used) == ("deleted", 0)
    assert not desk.lab.busy and desk.lab.usage(ANN) == []


def test_deleting_a_running_version_ends_its_process_and_keeps_what_it_used(open_lab: OpenLab) -> None:
    engine = SmallEngine(WAITS, gpus=2)
    desk = ready(open_lab(engine=engine, price_per_gpu_hour=3600.0))
    version = desk.wait(desk.begin_training(), training)
    assert desk.lab.machine(ANN).gpus[0].job == version.job
    deleted = desk.delete_version(model="m", version=version.id)
    assert deleted.state == "deleted" and deleted.seconds_used > 0 and deleted.gpus == 1
    assert deleted.cost == pytest.approx(deleted.seconds_used)
    assert engine.children[0].wait(timeout=5) is not None
    assert not desk.lab.job_folder(version.job).exists()
    (row,) = desk.lab.usage(ANN)
    assert row.ended is not None and row.gpu_hours == pytest.approx(deleted.seconds_used / 3600)
    assert desk.versions(model="m") == [] and desk.version(model="m", version="v1").state == "deleted"
    assert desk.events(model="m", version="v1", query=EventQuery()).events == []
    with pytest.raises(NotFound):
        desk.spec(model="m", version="v1")
    assert desk.begin_training().id == "v2", "a number is never given twice"
    assert desk.delete_version(model="m", version="v1").state == "deleted", "twice does no harm"


def test_deleting_a_model_or_an_app_ends_its_jobs_and_keeps_the_ledger(open_lab: OpenLab) -> None:
    engine = SmallEngine(WAITS, places=2)
    desk = ready(open_lab(engine=engine))
    desk.new_model("other")
    first = desk.wait(desk.begin_training("m"), training)
    second = desk.wait(desk.begin_training("other"), training)
    assert desk.delete_model(model="m").count == 1
    with pytest.raises(NotFound):
        desk.version(model="m", version=first.id)
    assert desk.version(model="other", version=second.id).state == "training"
    desk.delete_app()
    for child in engine.children:
        child.wait(timeout=5)
    assert not desk.lab.busy and list(desk.lab.jobs_path.iterdir()) == []
    assert [row.model for row in desk.lab.usage(ANN)] == ["other", "m"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise ValueError('the lens is dirty')", "ValueError: the lens is dirty"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "runner with it"),
        ("spec.write(folder / 'exit.json', spec.Exit(code=None, signal=9)); os._exit(0)", "SIGKILL"),
        ("spec.write(folder / 'exit.json', spec.Exit(code=None, signal=11)); os._exit(0)", "SIGSEGV"),
        ("spec.write(folder / 'exit.json', spec.Exit(code=1, out_of_memory=True)); os._exit(0)", "out of memory"),
        ("result(outcome='failed', reason='The images are too small.')", "The images are too small."),
        ("say('failed', reason='No space.', traceback='...')", "No space."),
        ("(folder / 'result.json').write_bytes(b'{\"outc')", "without a result"),
        ("pass", "without a result"),
    ],
)
def test_a_job_without_a_result_fails_with_the_reason_in_words(open_lab: OpenLab, script: str, words: str) -> None:
    desk = ready(open_lab(script))
    version = desk.wait(desk.begin_training())
    assert version.state == "failed" and words in version.reason
    assert desk.lab.usage(ANN)[0].ended is not None


def test_a_job_that_cannot_be_started_fails_and_the_queue_goes_on(open_lab: OpenLab) -> None:
    class Refusing(SmallEngine):
        def submit(self, folder: Path) -> str:
            if spec.read(folder / "spec.json", spec.JobSpec).version == "v1":
                raise OSError("no processes left")
            return super().submit(folder)

    desk = ready(open_lab(engine=Refusing()))
    first, second = desk.begin_training(), desk.begin_training()
    assert "no processes left" in desk.wait(first).reason
    assert desk.wait(second).state == "trained"


@pytest.mark.parametrize("damage", ["gone", "broken"])
def test_a_job_whose_folder_is_lost_fails_and_the_queue_goes_on(open_lab: OpenLab, damage: str) -> None:
    desk = ready(open_lab(WAITS))
    running, lost, last = [desk.begin_training() for _ in range(3)]
    desk.wait(running, training)
    folder = desk.lab.job_folder(lost.job)
    if damage == "gone":
        shutil.rmtree(folder)
    else:
        (folder / "spec.json").write_bytes(b"{")
    desk.delete_version(model="m", version=running.id)
    assert str(folder) in desk.wait(lost).reason
    desk.wait(last, training)


def test_the_log_is_read_in_pages_and_characters_stay_whole(open_lab: OpenLab) -> None:
    desk = ready(open_lab("(folder / 'log.txt').write_text('Käfer\\n' * 60000, encoding='utf-8')"))
    version = desk.wait(desk.begin_training())
    text, after = "", 0
    while True:
        page = desk.log(model="m", version=version.id, query=LogQuery(after=after))
        if not page.text:
            break
        text, after = text + page.text, page.next
    assert text == "Käfer\n" * 60000
    assert desk.log(model="m", version=version.id, query=LogQuery(after=10**30)).text == ""


def test_events_of_a_resumed_run_give_the_view_without_doubles(open_lab: OpenLab) -> None:
    script = """
        say("started", epochs=3, steps=6, steps_per_epoch=2)
        for step in (1, 2, 3, 4):
            say("step", step, epoch=(step + 1) // 2)
            if step % 2 == 0:
                say("epoch", step, epoch=step // 2, metrics={"accuracy": step / 10}, best=True)
        writer.attempt = 2
        say("resumed", 2, from_step=2)
        time.sleep(600)
    """
    desk = ready(open_lab(script))
    version = desk.wait(desk.begin_training(), lambda version: version.last_seq == 8)
    assert (version.step, version.epoch, version.best_epoch, version.metrics) == (2, 1, 1, {"accuracy": 0.2})


def test_prediction_asks_the_warm_process_and_one_bad_image_stops_no_other(open_lab: OpenLab) -> None:
    desk = ready(open_lab(TRAINS))
    (input,) = desk.photos("ant", 1, start=90)
    version = desk.begin_training()
    desk.wait(version)

    def predict(*images: PredictImage):
        return desk.predict(model="m", version="v1", body=Predict(images=list(images)))

    answer = predict(
        PredictImage(data=b"ok"), PredictImage(data=b"bad"), PredictImage(input=input), PredictImage(input="nope")
    )
    assert [bool(prediction.error) for prediction in answer.predictions] == [False, True, False, True]
    assert answer.predictions[0].concepts[0].concept == "ant" and answer.cold
    for wrong in ([], [PredictImage()], [PredictImage(data=b"x", input=input)]):
        with pytest.raises(InvalidRequest):
            predict(*wrong)


def test_a_version_that_is_not_trained_cannot_predict(lab: Lab) -> None:
    desk = ready(lab)
    desk.begin_training()
    with pytest.raises(Conflict, match="queued"):
        desk.predict(model="m", version="v1", body=Predict(images=[PredictImage(data=b"x")]))


def test_shutting_down_asks_the_server_and_says_how_many_jobs_are_to_end(open_lab: OpenLab) -> None:
    lab = open_lab(WAITS)
    asked: list[bool] = []
    lab.on_shutdown = lambda: asked.append(lab.busy)
    desk = ready(lab)
    version = desk.wait(desk.begin_training(), training)
    assert lab.shutdown(ANN, body=Shutdown()).count == 1 and asked == [True]
    desk.stop_version(model="m", version=version.id)
    desk.wait(version)
    assert lab.shutdown(ANN, body=Shutdown()).count == 0 and len(asked) == 2


def test_the_ledger_is_everyones_for_an_administrator_and_ones_own_else(open_lab: OpenLab) -> None:
    desk = ready(open_lab(TRAINS))
    desk.wait(desk.begin_training())
    assert desk.lab.usage(Caller(user="bob")) == []
    assert len(desk.lab.usage(Caller(user="root", administrator=True))) == 1
    assert desk.lab.usage(ANN)[0].cost is None, "no price is set"


def test_a_lab_that_is_opened_again_goes_on_with_its_jobs(open_lab: OpenLab) -> None:
    lab = open_lab(WAITS)
    desk = ready(lab)
    version = desk.wait(desk.begin_training(), training)
    waiting = desk.begin_training()
    lab.close()
    seen = spec.read(lab.job_folder(version.job) / "runner.json", dict)["process"]

    again = Desk(open_lab(WAITS))
    now = again.version(model="m", version="v1")
    assert now.state == "training" and now.last_seq >= version.last_seq
    assert again.version(model="m", version=waiting.id).queue_place == 1
    (again.lab.job_folder(version.job) / "stop").touch()
    assert again.wait(version).state == "trained"
    again.wait(waiting, training)
    assert (again.lab.job_folder(version.job) / "starts").read_text() == "started\n"
    assert seen == spec.read(again.lab.job_folder(version.job) / "runner.json", dict)["process"]


def test_a_job_that_ended_while_no_server_was_there_is_collected_with_its_own_end(open_lab: OpenLab) -> None:
    lab = open_lab(WAITS)
    desk = ready(lab)
    version = desk.wait(desk.begin_training(), training)
    lab.close()
    folder = lab.job_folder(version.job)
    (folder / "stop").touch()
    deadline = time.monotonic() + 20
    while not (folder / "exit.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    ended = spec.read(folder / "exit.json", spec.Exit).ended
    time.sleep(0.2)
    again = Desk(open_lab(WAITS))
    collected = again.wait(version)
    assert collected.state == "trained" and collected.ended == ended
    assert again.lab.usage(ANN)[0].ended == ended


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_that_was_being_started_when_the_server_died_runs_once(open_lab: OpenLab, begun: bool) -> None:
    """The server dies between writing `starting` and writing the handle: with or without the process begun."""

    class Dying(SmallEngine):
        def submit(self, folder: Path) -> str:
            if begun:
                super().submit(folder)
            raise SystemExit  # the thread ends here, and nothing after it is written

    lab = open_lab(engine=Dying(WAITS), start=False)
    desk = ready(lab)
    version = desk.begin_training()
    with contextlib.suppress(SystemExit):
        lab.jobs._tend()
    lab.close()
    again = Desk(open_lab(WAITS))
    assert again.version(model="m", version="v1").state in ("starting", "training")
    again.wait(version, training)
    assert (again.lab.job_folder(version.job) / "starts").read_text() == "started\n"
    assert len(again.lab.usage(ANN)) == 1


SERVER = """
    import sys, time
    sys.path[:0] = [{tests!r}]
    from desk import Desk, NamingPredictors
    from small_engine import SmallEngine, WAITS
    from test_jobs import ready, training
    from deepft_lab.catalog import Catalog
    from deepft_lab.lab import Lab
    lab = Lab({store!r}, engine=SmallEngine(WAITS), catalog=Catalog(), predictors=NamingPredictors())
    lab.start()
    desk = ready(lab)
    version = desk.wait(desk.begin_training(), training)
    print(version.job, flush=True)
    time.sleep(600)
"""


def test_a_server_killed_by_sigkill_loses_and_doubles_no_event(open_lab: OpenLab, tmp_path: Path) -> None:
    code = textwrap.dedent(SERVER).format(tests=str(Path(__file__).parent), store=str(tmp_path / "store"))
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    job = server.stdout.readline().strip()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.stdout.close()
    desk = Desk(open_lab(WAITS))
    runner = int(spec.read(desk.lab.job_folder(job) / "runner.json", dict)["process"])
    assert psutil.pid_exists(runner), "the job outlives the server"
    before = desk.version(model="m", version="v1")
    now = desk.wait(before, lambda version: version.last_seq > before.last_seq)
    assert now.state == "training"
    desk.stop_version(model="m", version="v1")
    ended = desk.wait(now)
    page = desk.events(model="m", version="v1", query=EventQuery())
    assert [event.seq for event in page.events] == list(range(1, ended.last_seq + 1))
    notes = (desk.lab.job_folder(job) / "engine.jsonl").read_text().splitlines()
    assert [json.loads(line)["what"] for line in notes] == ["queued", "started"]


def test_a_folder_without_a_version_is_cleared_away(open_lab: OpenLab) -> None:
    lab = open_lab(start=False)
    (lab.jobs_path / ".halfwritten").mkdir()
    (lab.jobs_path / "unknown").mkdir()
    version = ready(lab).begin_training()
    lab.start()
    assert {path.name for path in lab.jobs_path.iterdir()} == {version.job}
