"""The model's form in a real browser: fields of versions, configurations as YAML, and what is folded away."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from pages import MARKS, Open, target_of
from playwright.sync_api import expect

from deepft_lab import records

pytestmark = MARKS


def test_a_field_of_versions_offers_the_trained_ones_of_the_same_type(app: Any, mount: Open) -> None:
    versions = [
        _version(app, "v1", type="visual-classifier"),
        _version(app, "v2", type="visual-classifier", state="failed"),
        _version(app, "v3", type="visual-detector"),
    ]
    model = records.Model(
        owner=app.owner, app=app.id, id="m", type="visual-classifier", description="", concepts=None, template="t",
        values={}, created=0, versions=3,
    )  # fmt: skip
    answers = {"**/models": [msgspec.to_builtins(model)], "**/models/m/versions": msgspec.to_builtins(versions)}
    page = mount("modelForm", target_of(app), answers=answers)
    page.get_by_test_id("template-classifier-mobilenet-v2").check()
    expect(page.get_by_test_id("more-changed")).to_be_hidden()
    page.get_by_test_id("more").locator("summary").click()
    field = page.get_by_test_id("field-resume_from")
    field.focus()
    offered = page.locator(".dft-field").filter(has=field).get_by_role("option")
    expect(offered).to_have_count(1)
    expect(offered).to_contain_text("m/v1")
    expect(offered).to_contain_text("accuracy 0.950")
    field.press("ArrowDown")
    field.press("Enter")
    expect(page.get_by_test_id("more-changed")).to_have_text("• 1 changed")
    assert 'resume_from="m/v1"' in page.get_by_test_id("show-python").locator("code").text_content()
    # a version of one type means nothing to another
    page.get_by_test_id("type-visual-detector").check()
    expect(page.get_by_test_id("more-changed")).to_be_hidden()
    assert "resume_from" not in page.get_by_test_id("show-python").locator("code").text_content()


def test_each_fault_in_a_configuration_says_where_it_is(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    page.get_by_test_id("template-classifier-advanced").check()
    field = page.get_by_test_id("field-config")
    right = field.input_value()
    assert "\n" in right
    field.fill("backbone: {name: resnot50}\nschedule: {name: none of these}\n")
    fault = page.get_by_test_id("fault-config")
    expect(fault).to_contain_text("config.backbone.name")
    expect(fault).to_contain_text("config.schedule")
    assert fault.locator("div").count() >= 2
    field.fill(right)
    expect(fault).to_be_hidden()
    # Enter keeps the indentation
    field.fill("head:\n  name: x")
    field.press("End")
    field.press("Enter")
    expect(field).to_have_value("head:\n  name: x\n  ")


def test_a_list_of_numbers_is_read_as_one_types_it(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    page.get_by_test_id("type-visual-detector").check()
    page.get_by_test_id("template-detector-advanced").check()
    field = page.get_by_test_id("field-image_size")
    code = page.get_by_test_id("show-python").locator("code")
    for text in ("512, 640", "[512; 640]", " 512  640 "):
        field.fill(text)
        expect(code).to_contain_text("image_size=[512, 640]")
    field.fill("512, wide")
    expect(page.get_by_test_id("fault-image_size")).to_contain_text("number")
    field.fill("512, 4")
    expect(page.get_by_test_id("fault-image_size")).to_contain_text("between 32 and")


def _version(app: Any, id: str, **given: Any) -> records.ModelVersion:
    values = {
        "owner": app.owner, "app": app.id, "model": "m", "id": id, "job": id, "type": "", "template": "t",
        "template_hash": "", "values": {}, "concepts": [], "dataset": None, "train_version": "", "author": app.owner,
        "validation_version": None, "description": "", "created": time.time(), "state": "trained", "attempt": 1,
        "started": None, "ended": None, "reason": "", "queue_place": None, "progress": 1.0, "epoch": 1, "epochs": 1,
        "step": 1, "steps": 1, "images_per_second": None, "seconds_left": None, "seconds_used": 1.0, "gpus": 0,
        "cost": None, "currency": "EUR", "stopping": False, "metrics": {"accuracy": 0.95}, "metrics_by_concept": {},
        "best_epoch": 1, "best_metric": "accuracy", "warnings": [], "last_seq": 1,
    }  # fmt: skip
    return records.ModelVersion(**values | given)


def test_the_form_says_by_which_metric_the_checkpoint_is_kept(app: Any, mount: Open) -> None:
    page = mount("modelForm", target_of(app))
    kept = page.get_by_test_id("train-kept")
    for type, metric in (("visual-classifier", "ROC AUC"), ("visual-detector", "mAP"), ("visual-segmenter", "mIoU")):
        page.get_by_test_id(f"type-{type}").check()
        expect(kept).to_be_visible()
        expect(kept).to_contain_text(metric)
