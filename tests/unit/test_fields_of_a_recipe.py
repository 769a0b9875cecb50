"""Fields that a template's own recipe does not read are faults, and those that it needs are the same for each type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from shelf import Shelf

from deepft_lab import params
from deepft_lab.catalog import Catalog

TEMPLATES = Path(__file__).parents[2] / "templates"
HELP = "Our own."


def document(name: str, *fields: dict[str, Any], without: tuple[str, ...] = (), **recipe: Any) -> dict[str, Any]:
    """A template of ours with more fields, or fewer, and other parts of the recipe."""
    found = yaml.safe_load(next(TEMPLATES.rglob(f"{name}.yaml")).read_text()) | {"id": "own"}
    found["fields"] = [field for field in found["fields"] if field["name"] not in without]
    found["fields"] += [{"help": HELP, **field} for field in fields]
    found["recipe"] |= recipe
    return found


def faults_of(shelf: Shelf, content: dict[str, Any]) -> dict[str, str]:
    (shelf.folder / "own.yaml").write_text(yaml.safe_dump(content))
    broken = [item for item in shelf.catalog.list().broken if Path(item.origin).parent == shelf.folder]
    return {fault.field: fault.reason for item in broken for fault in item.faults}


def number(name: str, default: float = 0.5) -> dict[str, Any]:
    return {"name": name, "type": "number", "default": default}


def whole(name: str, default: int = 1) -> dict[str, Any]:
    return {"name": name, "type": "integer", "default": default}


FLIPS = {"name": "average_horizontal_flips", "type": "boolean", "default": True}
EXCLUSIVE = {"name": "concepts_mutually_exclusive", "type": "choice", "default": "auto", "choices": ["auto"]}
STEPS = {"name": "learning_rate_steps", "type": "integers", "default": [3]}
RATIOS = {"name": "anchor_ratios", "type": "numbers", "default": [1.0]}


@pytest.mark.parametrize(
    ("template", "field", "words"),
    [
        ("classifier-mobilenet-v2", number("momentum"), "optimizer is adamw"),
        ("classifier-resnet50-rsb-a1", number("momentum"), "optimizer is lamb"),
        ("classifier-mobilenet-v2", whole("init_epochs"), "schedule is cosine; it is read by init_step"),
        ("classifier-mobilenet-v2", whole("step_epochs"), "schedule is cosine"),
        ("classifier-mobilenet-v2", STEPS, "schedule is cosine; it is read by steps"),
        ("classifier-embednorm", number("per_item_min_lrate"), "schedule is constant"),
        ("classifier-embednorm", number("per_item_lrate"), "keep one of the two"),
        ("classifier-resnet50", number("warmup_ratio"), "beside warmup_iters"),
        ("embedder-mobilenet-v2", number("base_gradient_multiplier"), "in a visual-embedder"),
        ("embedder-mobilenet-v2", FLIPS, "in a visual-embedder"),
        ("embedder-mobilenet-v2", EXCLUSIVE, "in a visual-embedder"),
        ("embedder-mobilenet-v2", number("angular_scale"), "no margin"),
        ("embedder-mobilenet-v2", whole("embeddings_size", 64), "no projection"),
        ("embedder-angular-margin", whole("logreg"), "loss is on angles"),
        ("transfer-linear", number("flip_probability"), "in an embedding-classifier"),
        ("segmenter-light", EXCLUSIVE, "in a visual-segmenter"),
        ("segmenter-light", number("momentum"), "optimizer is adamw"),
        ("detector-yolox", {**FLIPS, "name": "use_focal_loss"}, "a head of the name dense"),
        ("detector-yolox", RATIOS, "no anchors of stated ratios"),
        ("detector-faster-rcnn-light", RATIOS, "no anchors of stated ratios"),
        ("detector-ssd", RATIOS, "no anchors of stated ratios"),
    ],
)  # fmt: skip
def test_a_field_that_this_recipe_does_not_read_is_a_fault(
    shelf: Shelf, template: str, field: dict[str, Any], words: str
) -> None:
    faults = faults_of(shelf, document(template, field))
    assert list(faults) == [f"fields.{field['name']}"]
    assert words in faults[f"fields.{field['name']}"]


def test_a_direction_without_a_probability_is_a_fault(shelf: Shelf) -> None:
    faults = faults_of(shelf, document("classifier-mobilenet-v2", without=("flip_probability",)))
    assert list(faults) == ["fields.flip_direction"] and "beside flip_probability" in faults["fields.flip_direction"]


@pytest.mark.parametrize(
    ("template", "field", "recipe"),
    [
        ("classifier-mobilenet-v2", number("momentum"), {"optimizer": {"name": "sgd"}}),
        ("classifier-mobilenet-v2", whole("init_epochs"), {"schedule": {"name": "init_step"}}),
        ("classifier-mobilenet-v2", STEPS, {"schedule": {"name": "steps"}}),
        ("segmenter-advanced", number("momentum"), {}),  # the configuration may name sgd
        ("classifier-advanced", STEPS, {}),
        ("classifier-mobilenet-v2", FLIPS, {}),
        ("embedder-inception-batchnorm", number("angular_scale"), {"margin": {}}),
    ],
)
def test_a_field_that_a_recipe_reads_is_none(
    shelf: Shelf, template: str, field: dict[str, Any], recipe: dict[str, Any]
) -> None:
    without = ("logreg", "init_epochs", "step_epochs") if "margin" in recipe else ("per_item_min_lrate",)
    if "margin" in recipe:
        recipe = {**recipe, "schedule": {"name": "cosine"}}
    assert faults_of(shelf, document(template, field, without=without, **recipe)) == {}


@pytest.mark.parametrize("template", ["classifier-mobilenet-v2", "segmenter-light", "detector-ssd", "transfer-linear"])
def test_every_type_takes_lrate_and_the_weight_decay_of_the_recipe(shelf: Shelf, template: str) -> None:
    without = ("per_item_lrate", "weight_decay")
    content = document(template, number("lrate", 0.01), without=without)
    assert faults_of(shelf, content) == {}
    assert params.effective_lrate({"lrate": 0.01, "batch_size": 8}, ranks=2) == 0.01
    content = document(template, without=without)
    assert list(faults_of(shelf, content)) == ["fields.per_item_lrate or lrate"]


def test_stochastic_depth_of_a_recipe_wants_a_network_that_has_it(shelf: Shelf) -> None:
    faults = faults_of(shelf, document("classifier-mobilenet-v2", stochastic_depth=0.1))
    assert "mobilenet_v2: no blocks that can be left out" in faults["recipe.stochastic_depth"]


def test_our_own_templates_have_no_field_that_nothing_reads() -> None:
    listed = Catalog().list()
    assert not [item for item in listed.broken if Path(item.origin).is_relative_to(TEMPLATES)]
    assert len(listed.templates) >= len(list(TEMPLATES.rglob("*.yaml")))
