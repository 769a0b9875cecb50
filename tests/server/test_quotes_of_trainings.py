"""A quote of a real training: over HTTP and in Python, beside the training itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import small_model, wait_for

from deepft_lab import errors
from deepft_lab.client import Quote

API = "deepft/api/apps/{owner}/{app}/quotes"


def test_a_quote_in_python_is_of_the_training_that_follows(lab: Any, tmp_path: Path) -> None:
    model = small_model(lab.create_app("quoted"), tmp_path, epochs=3)
    quote = model.quote(dataset="all", validation=0.25)
    assert isinstance(quote, Quote) and quote.state == "done" and quote.seconds > 0 and quote.memory > 1e8
    assert f"about {quote.seconds:.0f} s" in repr(quote) and "9 steps" in repr(quote), repr(quote)
    assert "evaluation" in quote._repr_html_()
    assert model.versions() == [] and lab.usage() == [], "nothing was trained"
    version = model.train(dataset="all", validation=0.25).wait(120)
    assert version.record.steps == quote.steps == 9 and version.record.epochs == quote.epochs
    begun = time.monotonic()
    assert model.quote(dataset="all", validation=0.25).id == quote.id
    assert time.monotonic() - begun < quote.seconds, "the answer was there"
    with pytest.raises(AttributeError, match=r"no 'secnds'.*seconds"):
        quote.secnds  # noqa: B018
    with pytest.raises(errors.InvalidParams, match="nowhere"):
        model.quote(dataset="nowhere")
    with pytest.raises(TimeoutError, match="given up"):
        model.quote(dataset="all", validation=0.5, timeout=0)


def test_a_quote_over_http_answers_at_once_and_can_be_given_up(lab: Any, http: httpx.Client, tmp_path: Path) -> None:
    app = lab.create_app("quoted-http")
    small_model(app, tmp_path, epochs=600)
    url = API.format(owner=app.owner, app=app.id)
    values = {"pretrained_weights": "None", "image_size": 32, "num_epochs": 600, "batch_size": 4}
    body = {"template": "classifier-mobilenet-v2", "values": values, "dataset": "all"}
    begun = time.monotonic()
    answer = http.post(url, json=body)
    assert answer.status_code == 202 and time.monotonic() - begun < 5
    quote = answer.json()
    assert quote["state"] in ("waiting", "measuring") and quote["seconds"] is None
    assert http.post(url, json=body).json()["id"] == quote["id"]
    one = f"{url}/{quote['id']}"
    assert wait_for(lambda: http.get(one).json()["progress"] > 0, 60)
    assert http.delete(one).json()["state"] == "cancelled"
    assert http.get(one).json()["state"] == "cancelled"
    assert http.get(f"{url}/unknown").status_code == 404
    wrong = http.post(url, json={**body, "values": {**values, "batch_size": 0}})
    assert wrong.status_code == 422 and wrong.json()["faults"][0]["field"] == "batch_size"
