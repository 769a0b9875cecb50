"""Quotes with real processes: asked, cached, waiting, giving way, cancelled, failed, forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from desk import Desk
from small_engine import SmallEngine
from test_jobs import ready, training

from deepft_lab.engines.base import Allocation
from deepft_lab.errors import InvalidParams, NotFound
from deepft_lab.lab import Lab, quotes
from deepft_lab.records import CreateQuote, Quote, Train

OpenLab = Callable[..., Lab]

SAYS = """
say("measuring", share=0.5)
say("quote", seconds=90.0, parts={"start": 5.0, "training": 85.0}, epochs=3, steps=12, memory=2 * 10**9,
    gpu_memory=None, micro_batch=8, cpu_seconds=180.0, cpu_taken=1.0, source="sample")
result(outcome="trained")
"""
LASTS = """
say("measuring", share=0.5)
time.sleep(60)
"""
# Measures at once, and trains until it is asked to stop.
BOTH = f"""
if job.quote:
{"".join(f"    {line}" + chr(10) for line in SAYS.splitlines())}
else:
    say("started", epochs=1, steps=1000)
    for step in range(1, 3000):
        say("step", step, epoch=1, seconds_left=600.0)
        if (folder / "stop").exists():
            break
        time.sleep(0.02)
    result(outcome="trained")
"""


def asked(desk: Desk, quote: Quote, until: Callable[[Quote], bool] | None = None) -> Quote:
    """The quote once it is over, or as it is wanted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = desk.quote(quote=quote.id)
        if until(now) if until else now.state not in ("waiting", "measuring"):
            return now
        time.sleep(0.02)
    raise AssertionError(f"It did not come to it: {now}")


def test_a_quote_is_measured_once_and_leaves_nothing(open_lab: OpenLab) -> None:
    engine = SmallEngine(SAYS)
    desk = ready(open_lab(engine=engine, price_per_cpu_hour=2.0, currency="EUR"))
    first = desk.create_quote(body=CreateQuote(model="m"))
    assert first.state == "waiting" and first.seconds is None
    found = asked(desk, first)
    assert (found.state, found.progress, found.steps, found.memory) == ("done", 1.0, 12, 2 * 10**9), found.reason
    assert found.seconds is not None and 90 <= found.seconds < 100, "what the processes took to end is counted"
    assert sum(found.parts.values()) == pytest.approx(found.seconds)
    assert found.cpu_seconds == 180.5, "of 1.5 CPU-seconds the launcher took a half"
    assert found.cost == pytest.approx(180.5 / 3600 * 2) and found.currency == "EUR"
    assert not desk.lab.job_folder(first.id).exists()
    assert desk.versions(model="m") == [] and desk.datasets() == [] and not desk.lab.busy
    assert desk.create_quote(body=CreateQuote(model="m")) == found and len(engine.children) == 1
    assert desk.create_quote(body=CreateQuote(model="m", validation=0.5)).id != found.id


def test_what_decides_a_quote_is_the_training_and_not_who_asks(open_lab: OpenLab) -> None:
    """A form that nobody saved and the saved model of the same values are one question."""
    engine = SmallEngine(SAYS)
    desk = ready(open_lab(engine=engine))
    saved = asked(desk, desk.create_quote(body=CreateQuote(model="m")))
    template, values = "classifier-mobilenet-v2", {"pretrained_weights": "None"}
    typed = CreateQuote(model="m", template=template, values=values)
    assert desk.create_quote(body=typed).id == saved.id
    other = CreateQuote(model="m", template=template, values={**values, "batch_size": 7})
    assert desk.create_quote(body=other).id != saved.id
    desk.photos("ant", 1, start=50)
    assert desk.create_quote(body=typed).id != saved.id, "one input more is another training"


def test_a_quote_has_the_faults_of_the_training(open_lab: OpenLab) -> None:
    desk = ready(open_lab(SAYS))
    wrong = CreateQuote(template="classifier-mobilenet-v2", values={"batch_size": 0, "lens": 1})
    with pytest.raises(InvalidParams) as caught:
        desk.create_quote(body=wrong)
    assert {fault.field for fault in caught.value.faults} == {"batch_size", "lens"}
    with pytest.raises(InvalidParams, match="nowhere"):
        desk.create_quote(body=CreateQuote(model="m", dataset="nowhere"))
    with pytest.raises(NotFound):
        desk.create_quote(body=CreateQuote(model="other"))
    assert list(desk.lab.jobs_path.iterdir()) == []


def test_a_quote_waits_while_a_training_has_the_machine_and_says_so(open_lab: OpenLab) -> None:
    desk = ready(open_lab(BOTH))
    version = desk.wait(desk.begin_training(), training)
    waiting = desk.create_quote(body=CreateQuote(model="m"))
    assert waiting.state == "waiting" and "about 10 min more" in waiting.reason
    desk.stop_version(model="m", version=version.id)
    assert asked(desk, waiting).state == "done"


def test_a_quote_that_waits_for_another_says_so(open_lab: OpenLab) -> None:
    desk = ready(open_lab(engine=SmallEngine(LASTS)))
    first = asked(desk, desk.create_quote(body=CreateQuote(model="m")), lambda now: now.progress == 0.5)
    second = desk.create_quote(body=CreateQuote(model="m", validation=0.5))
    assert asked(desk, second, lambda now: bool(now.reason)).reason == "Another one is measured before it."
    desk.delete_quote(quote=first.id)
    assert asked(desk, second, lambda now: now.state == "measuring").reason == ""


def test_a_training_never_waits_for_a_quote(open_lab: OpenLab) -> None:
    engine = SmallEngine("if job.quote:\n    say('measuring', share=0.5)\n    time.sleep(60)\n" + BOTH)
    desk = ready(open_lab(engine=engine))
    quote = desk.create_quote(body=CreateQuote(model="m"))
    asked(desk, quote, lambda now: now.progress == 0.5)
    version = desk.wait(desk.train(model="m", body=Train()), training)
    again = asked(desk, quote, lambda now: bool(now.reason))
    assert (again.state, again.progress) == ("waiting", 0.0) and "A training has the machine" in again.reason
    assert engine.children[0].wait(timeout=5) is not None, "what was measured has ended"
    desk.stop_version(model="m", version=version.id)
    assert asked(desk, quote, lambda now: now.progress == 0.5).state == "measuring"


class TwoPlaces(SmallEngine):
    """A job takes as many places as it asked for GPUs."""

    def allocate(self, num_gpus: int, running: Sequence[Allocation]) -> Allocation | None:
        free = 2 - sum(other.ranks for other in running)
        return Allocation(ranks=num_gpus, threads=1) if free >= num_gpus else None


def test_a_quote_overtakes_no_training_that_waits_for_more_than_is_free(open_lab: OpenLab) -> None:
    desk = ready(open_lab(engine=TwoPlaces(BOTH)))
    desk.new_model("large", values={"num_gpus": 2})
    first = desk.wait(desk.begin_training("m"), training)
    second = desk.begin_training("large")
    quote = desk.create_quote(body=CreateQuote(model="m"))
    for _ in range(3):  # turns of the queue
        desk.lab.jobs.wake()
        time.sleep(0.1)
    assert desk.quote(quote=quote.id).state == "waiting"
    desk.stop_version(model="m", version=first.id)
    desk.stop_version(model="large", version=desk.wait(second, training).id)
    assert asked(desk, quote).state == "done"


def test_a_quote_that_is_given_up_ends_its_processes(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SmallEngine(LASTS)
    desk = ready(open_lab(engine=engine))
    quote = desk.create_quote(body=CreateQuote(model="m"))
    asked(desk, quote, lambda now: now.progress == 0.5)
    assert desk.delete_quote(quote=quote.id).state == "cancelled"
    assert engine.children[0].wait(timeout=5) is not None
    assert not desk.lab.job_folder(quote.id).exists()
    assert desk.delete_quote(quote=quote.id).state == "cancelled", "twice does no harm"

    # Nobody asks any more.
    monkeypatch.setattr(quotes, "FORGOTTEN_SECONDS", 0.3)
    desk.create_quote(body=CreateQuote(model="m"))
    _until(lambda: len(engine.children) == 2)
    assert engine.children[1].wait(timeout=10) is not None


def test_a_server_that_ends_takes_its_quotes_along(open_lab: OpenLab) -> None:
    engine = SmallEngine(LASTS)
    desk = ready(open_lab(engine=engine))
    quote = desk.create_quote(body=CreateQuote(model="m"))
    asked(desk, quote, lambda now: now.progress == 0.5)
    desk.lab.close()
    assert engine.children[0].wait(timeout=5) is not None
    assert not desk.lab.job_folder(quote.id).exists()


def test_a_quote_of_a_killed_server_ends_when_one_is_started_again(open_lab: OpenLab) -> None:
    engine = SmallEngine(LASTS)
    first = open_lab(engine=engine)
    desk = ready(first)
    quote = desk.create_quote(body=CreateQuote(model="m"))
    asked(desk, quote, lambda now: now.progress == 0.5)
    first.jobs.close()  # all that a killed server does not do any more
    open_lab(LASTS)
    assert engine.children[0].wait(timeout=5) is not None
    assert not first.job_folder(quote.id).exists()


def test_a_quote_that_fails_says_why_and_may_be_asked_again(open_lab: OpenLab) -> None:
    engine = SmallEngine(
        "say('failed', reason='The lens is dirty.')\nresult(outcome='failed', reason='The lens is dirty.')"
    )
    desk = ready(open_lab(engine=engine))
    failed = asked(desk, desk.create_quote(body=CreateQuote(model="m")))
    assert (failed.state, failed.reason, failed.seconds) == ("failed", "The lens is dirty.", None)
    assert desk.create_quote(body=CreateQuote(model="m")).id != failed.id


def test_a_quote_is_its_apps_alone(open_lab: OpenLab) -> None:
    desk = ready(open_lab(SAYS))
    quote = desk.create_quote(body=CreateQuote(model="m"))
    other = Desk(desk.lab, app="other").create()
    for question in (other.quote, other.delete_quote):
        with pytest.raises(NotFound, match="no quote"):
            question(quote=quote.id)


def test_the_quotes_of_a_deleted_app_end_with_it(open_lab: OpenLab) -> None:
    engine = SmallEngine(LASTS)
    desk = ready(open_lab(engine=engine))
    quote = desk.create_quote(body=CreateQuote(model="m"))
    asked(desk, quote, lambda now: now.progress == 0.5)
    desk.delete_app()
    assert engine.children[0].poll() is not None, "what is measured decodes pictures that nobody may keep"
    assert not desk.lab.job_folder(quote.id).exists()
    with pytest.raises(NotFound):
        desk.quote(quote=quote.id)


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
