"""What a training will take, before it is begun: Estimate pressed in a real JupyterLab, and then Train."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

MEASURED = 120_000  # ms until a quote is there: launcher and torch start


@pytest.mark.timeout(400)
def test_an_estimate_in_the_sidebars_form_is_what_the_training_takes(window: Any, lab: Any, photos: Any) -> None:
    app = lab.create_app("estimated")
    for concept in photos.concepts[:2]:
        app.upload(photos.files("train", concept, 24), dataset="train", concepts=[concept])
    window.show_app("estimated")
    form = window.by("model-form")
    window.click_until(window.by("create-model"), form.get_by_test_id("reset"))
    form.get_by_label("Model id").fill("ant-or-bee")
    window.by("template-classifier-mobilenet-v2").check(force=True)
    window.by("field-pretrained_weights").select_option("None")
    for name, value in {"image_size": 64, "num_epochs": 3, "batch_size": 8}.items():
        window.by(f"field-{name}").fill(str(value))

    estimate, words = window.by("model-estimate"), window.by("estimate-words")
    estimate.focus()
    window.page.keyboard.press("Enter")
    expect(words).to_be_visible()
    expect(window.by("estimate-progress")).to_be_visible()
    expect(words).to_have_text(
        re.compile(r"^It will take about \d+.* s, \d.* [MG]B of memory, 15 steps\.$"), timeout=MEASURED
    )
    window.shoot("estimate")
    assert not app.models(), "nothing was created for it"
    field = window.by("field-num_epochs")
    field.fill("4")
    expect(words).to_contain_text("For other values: about")
    field.fill("3")
    expect(words).to_contain_text("It will take about")

    window.by("model-train").click()
    window.by("version-view").wait_for()
    version = app.model("ant-or-bee").version("v1").wait(180)
    assert version.record.steps == 15
    assert not window.errors
