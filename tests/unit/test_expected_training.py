"""When the lab tells its engine that somebody is about to train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from desk import ANN, Desk
from small_engine import TRAINS, WAITS, SmallEngine

from deepft_lab.lab import Lab
from deepft_lab.records import CheckParams, UpdateModel
from deepft_lab.server.extension import DeepFTLab

OpenLab = Callable[..., Lab]


def told(desk: Desk) -> list[Any]:
    """What ran each time, since the last question."""
    engine = desk.lab.engine
    assert isinstance(engine, SmallEngine)
    said, engine.prepared = engine.prepared, []
    return said


def test_who_sets_up_a_model_is_about_to_train_and_who_uploads_and_labels_is_not(lab: Lab) -> None:
    desk = Desk(lab).create()
    desk.photos("ant", 2)
    lab.templates(ANN)
    assert told(desk) == []
    lab.check_params(ANN, template="classifier-mobilenet-v2", body=CheckParams(values={}))
    assert told(desk) == [[]]
    desk.new_model()
    desk.update_model(model="m", body=UpdateModel(values={"num_epochs": 2}))
    assert told(desk) == [[], []]


def test_a_training_that_has_ended_or_was_deleted_may_be_followed_by_another(open_lab: OpenLab) -> None:
    desk = Desk(open_lab(TRAINS)).create()
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.new_model()
    told(desk)
    desk.wait(desk.begin_training())
    desk.lab.jobs.close()  # when the thread that collected it has ended, it has told
    assert told(desk) == [[]]


def test_nothing_is_got_ready_while_a_training_waits_for_a_place(open_lab: OpenLab) -> None:
    desk = Desk(open_lab(WAITS)).create()
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.new_model()
    told(desk)
    first = desk.begin_training()
    desk.wait(first, lambda version: version.state == "training")
    desk.new_model("other")
    ((running,),) = told(desk)  # the engine sees that its place is taken
    assert running.ranks == 1
    desk.begin_training()
    desk.new_model("third")
    assert told(desk) == []


def test_a_lab_that_closes_ends_what_the_engine_has_ready(open_lab: OpenLab) -> None:
    lab = open_lab(start=False)
    lab.close()
    assert isinstance(lab.engine, SmallEngine) and lab.engine.closed


def test_on_a_hub_no_worker_is_kept_ready_unless_the_administrator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    assert DeepFTLab().warm_worker_seconds == 900
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    assert DeepFTLab().warm_worker_seconds == 0
    assert DeepFTLab(warm_worker_seconds=60).warm_worker_seconds == 60
