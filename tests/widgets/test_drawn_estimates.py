"""Estimate, beside Train: what it shows while it measures, what it found, when that is stale, and what went wrong."""

from __future__ import annotations

from typing import Any

import msgspec
from pages import MARKS, Open, target_of
from playwright.sync_api import expect

from deepft_lab import records

pytestmark = MARKS

FOUND: dict[str, Any] = {
    "seconds": 720.0, "memory": 2.1e9, "steps": 690, "epochs": 30, "micro_batch": 16, "cost": 0.25, "currency": "EUR",
    "parts": {"start": 6.0, "decoding": 2.0, "training": 650.0, "evaluation": 62.0},
}  # fmt: skip


class Server:
    """Answers a page's quotes in the server's place: `says` is what the quote is now."""

    def __init__(self, page: Any, app: Any) -> None:
        self.app, self.asked, self.deleted = app, [], 0
        self.says: dict[str, Any] = {}
        page.route("**/quotes", self._create)
        page.route("**/quotes/q1", self._one)

    def _record(self, **fields: Any) -> Any:
        numbers = {name: int(fields[name]) for name in ("memory",) if name in fields}
        return msgspec.to_builtins(
            records.Quote(id="q1", owner=self.app.owner, app=self.app.id, **{**fields, **numbers})
        )

    def _create(self, route: Any) -> None:
        self.asked.append(route.request.post_data_json)
        self.says = self.says if len(self.asked) > 1 else {"state": "waiting", "reason": "A training has the machine."}
        route.fulfill(json=self._record(**self.says), status=202)

    def _one(self, route: Any) -> None:
        if route.request.method == "DELETE":
            self.deleted += 1
            self.says = {"state": "cancelled"}
        route.fulfill(json=self._record(**self.says))


def test_an_estimate_waits_measures_and_is_told_in_place(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    server = Server(page, app)
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    words = page.get_by_test_id("estimate-words")
    expect(page.get_by_test_id("estimate")).to_be_hidden()
    estimate = page.get_by_test_id("model-estimate")
    estimate.focus()
    page.keyboard.press("Enter")
    expect(words).to_have_text("A training has the machine.")
    expect(estimate).to_be_disabled()
    expect(page.get_by_test_id("estimate-cancel")).to_be_focused()
    server.says = {"state": "measuring", "progress": 0.6}
    bar = page.get_by_role("progressbar", name="Measuring what the training takes")
    expect(bar).to_have_attribute("aria-valuenow", "60")
    server.says = {"state": "done", "progress": 1.0, **FOUND}
    expect(words).to_have_text("It will take about 12 min, 2.1 GB of memory, 690 steps, 0.25 EUR.")
    expect(page.get_by_test_id("estimate-parts")).to_have_text(
        "Start 6 s, decoding 2 s, training 11 min, evaluation 62 s"
    )
    assert words.evaluate("element => !!element.closest('[aria-live=polite]')")
    expect(bar).to_be_hidden()
    expect(estimate).to_be_focused()
    (body,) = server.asked
    assert body["template"] == "classifier-mobilenet-v2" and body["values"]["batch_size"] > 0
    assert page.get_by_test_id("model-save").is_visible(), "nothing was saved for it"

    # Another value makes it stale, and the old one again makes it right; a name costs nothing.
    field = page.get_by_test_id("field-num_epochs")
    before = field.input_value()
    field.fill("3")
    expect(words).to_have_text("For other values: about 12 min, 2.1 GB of memory, 690 steps, 0.25 EUR.")
    expect(page.get_by_test_id("estimate")).to_have_class("dft-estimate dft-stale")
    field.fill(before)
    expect(words).to_contain_text("It will take")
    page.get_by_label("Model id").fill("ant-or-bee")
    expect(words).to_contain_text("It will take")


def test_an_estimate_can_be_cancelled_and_ends_with_its_page(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    server = Server(page, app)
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    page.get_by_test_id("model-estimate").dblclick()
    expect(page.get_by_test_id("estimate-cancel")).to_be_focused()
    assert len(server.asked) == 1, "a second click asks nothing anew"
    page.keyboard.press("Enter")
    words = page.get_by_test_id("estimate-words")
    expect(words).to_have_text("The estimate was cancelled.")
    expect(page.get_by_test_id("model-estimate")).to_be_focused()
    server.says = {"state": "measuring", "progress": 0.2}
    page.get_by_test_id("model-estimate").click()
    expect(words).to_have_text("Measuring a few steps …")
    with page.expect_request(lambda request: request.method == "DELETE"):
        page.evaluate("mounted.dispose()")


def test_an_estimate_says_what_is_wrong_where_it_is_wrong(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    server = Server(page, app)
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    page.get_by_test_id("field-batch_size").fill("0")
    page.get_by_test_id("model-estimate").click()
    expect(page.get_by_test_id("fault-batch_size")).to_be_visible()
    expect(page.get_by_test_id("field-batch_size")).to_be_focused()
    assert server.asked == []
    page.get_by_test_id("field-batch_size").fill("8")
    page.get_by_test_id("model-estimate").click()
    expect(page.get_by_test_id("estimate-words")).to_have_text("A training has the machine.")
    server.says = {"state": "failed", "reason": "Memory does not suffice: one image takes 9 GiB."}
    expect(page.get_by_test_id("estimate-words")).to_have_text(
        "It could not be estimated. Memory does not suffice: one image takes 9 GiB."
    )


def test_an_app_that_cannot_train_says_so_instead_of_an_estimate(app: Any, mount: Open) -> None:
    """The real server's answer: none of the ten inputs is labelled."""
    page = mount("modelForm", target_of(app), width=320)
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    page.get_by_test_id("field-pretrained_weights").select_option("None")
    page.get_by_test_id("model-estimate").click()
    expect(page.get_by_test_id("error")).to_contain_text("cannot be trained so")
    expect(page.get_by_test_id("model-estimate")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth <= 320")
