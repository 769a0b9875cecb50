"""Template files that are wrong, or meant to harm: each is listed with its faults, and hides nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from shelf import Shelf

from deepft_lab.records import Fault

TEMPLATES = Path(__file__).parents[2] / "templates"
SOUND = "classifier-mobilenet-v2"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


def document(name: str, **changes: Any) -> dict[str, Any]:
    """A template of ours as data; `recipe__loss=...` changes a key within."""
    found = yaml.safe_load(next(TEMPLATES.rglob(f"{name}.yaml")).read_text()) | {"id": "own"}
    for path, value in changes.items():
        place, keys = found, path.split("__")
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
    return found


def faults_of(shelf: Shelf, content: str | bytes | dict[str, Any]) -> list[Fault]:
    """What the catalog says of a file; its list must be one that can be sent, and short."""
    text = yaml.safe_dump(content) if isinstance(content, dict) else content
    (shelf.folder / "own.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    listed = shelf.catalog.list()
    assert SOUND in {template.id for template in listed.templates}
    assert len(msgspec.json.encode(listed.broken)) < 100_000
    return [fault for broken in listed.broken if Path(broken.origin).stem == "own" for fault in broken.faults]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB + "id: own", "aliases .* line 2"),
        ("id: own\nfields: &a [*a]", "aliases"),
        ("[" * 5000, "nested too deeply"),
        ("id: 2026-13-45", "month must be in 1..12"),
        ("id: !!bool maybe", "tag"),
        ("id: !!python/object/apply:os.system ['true']", "python/object/apply"),
        ('"\\ud800": "\\ud801"', "half of a character"),
        ("recipe: {null: 1, own: 2}", "str-like"),
        ("id: own\nid: other", "'id' stands twice, again in line 2"),
        (b"id: \xff\xfe\xfd", "YAML"),
        (b"#" * 1_100_000, "longer than 1,000,000 bytes"),
        ("", "no mapping"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plain_data_is_one_fault(shelf: Shelf, content: str | bytes, words: str) -> None:
    faults = faults_of(shelf, content)
    assert len(faults) == 1
    with pytest.raises(ValueError, match=words):
        raise ValueError(faults[0].reason)


def test_a_name_of_a_file_that_is_no_text_can_be_shown(shelf: Shelf) -> None:
    (shelf.folder / "torn\udcff.yaml").write_text("a: [")
    listed = shelf.catalog.list()
    assert b"torn" in msgspec.json.encode(listed)


@pytest.mark.parametrize(
    ("name", "changes", "field", "words"),
    [
        (SOUND, {"recipe__dropout": float("inf")}, "recipe.dropout", "finite"),
        (SOUND, {"recipe__optimizer": {"name": "adamx"}}, "recipe.optimizer.name", "adamw, lamb, sgd"),
        (SOUND, {"recipe__optimizer": {"name": "adamw", "arguments": {"betas": 5}}},
         "recipe.optimizer.arguments.betas", "takes no arguments"),
        (SOUND, {"recipe__weights": {"ImageNet1k": {"file": "mobilenet_v2"}}},
         "fields.pretrained_weights.choices", "ImageNet1k"),
        (SOUND, {"recipe__weights": {"ImageNet-1k": {"file": "a", "huggingface": "a\0b"}}},
         "recipe.weights.ImageNet-1k.huggingface", "no path"),
        (SOUND, {"recipe__weights": {"ImageNet-1k": {"file": "../a"}}}, "recipe.weights.ImageNet-1k.file", "no path"),
        ("classifier-convnext", {"recipe__variants__tiny__architecture": "convnext_tny"},
         "recipe.variants.tiny.architecture", "convnext_tiny"),
        ("classifier-convnext", {"recipe__variants": {}}, "fields.variant.choices", "variants are none"),
        ("detector-faster-rcnn-light", {"recipe__backbone__name": "mobilenet_v22"},
         "recipe.backbone.name", "mobilenet_v2"),
        ("detector-faster-rcnn-light", {"recipe__head__anchors": {"fitted": 99}},
         "recipe.head.anchors.fitted", "<= 16"),
        ("detector-faster-rcnn-light", {"recipe__head__name": "three_stage"}, "recipe.head.name", "two_stage, dense"),
        ("detector-retinanet", {"recipe__head__anchors": {"ratios": []}}, "recipe.head.anchors.ratios", "length >= 1"),
        ("detector-yolof", {"recipe__variants": {"big": {"architecture": "resnet101"}}},
         "recipe.variants.big", "no variants"),
        ("embedder-mobilenet-v2", {"recipe__margin": {"scale": 64}}, "recipe", "leave one of the two out"),
    ],
)  # fmt: skip
def test_what_only_a_run_would_miss_is_a_fault(
    shelf: Shelf, name: str, changes: dict[str, Any], field: str, words: str
) -> None:
    faults = faults_of(shelf, document(name, **changes))
    reasons = {fault.field: fault.reason for fault in faults}
    assert field in reasons and words in reasons[field], faults


@pytest.mark.parametrize(
    ("field", "place", "words"),
    [
        ({"name": "weight_decy", "type": "number", "default": 0.1}, "fields.weight_decy", "Did you mean weight_decay"),
        ({"name": "brilliance", "type": "number", "default": 0.1}, "fields.brilliance", "Known are: augmentation"),
        ({"name": "k_folds", "type": "integer", "default": 1}, "fields.k_folds", "in a visual-classifier"),
        ({"name": "ema", "type": "text", "default": ""}, "fields.ema.type", "as number"),
        ({"name": "decode", "type": "choice", "default": "fast", "choices": ["fast"]}, "fields.decode.choices", "full"),
    ],
)  # fmt: skip
def test_a_field_that_nothing_reads_so_is_a_fault(shelf: Shelf, field: dict[str, Any], place: str, words: str) -> None:
    content = document(SOUND)
    content["fields"].append({"help": "Our own.", **field})
    faults = faults_of(shelf, content)
    assert [fault.field for fault in faults] == [place]
    assert words in faults[0].reason


def test_a_field_of_another_type_of_model_breaks_nothing_else(shelf: Shelf) -> None:
    content = document("segmenter-light")
    content["fields"].append({"name": "logreg", "type": "integer", "default": 1, "help": "Our own."})
    assert [fault.field for fault in faults_of(shelf, content)] == ["fields.logreg"]


def test_every_fault_of_the_recipe_comes_at_once(shelf: Shelf) -> None:
    head = {"name": "two_stage", "anchors": {"fitted": 99, "wrong": 1}, "hidden": "x", "giou": 1}
    faults = faults_of(shelf, document("detector-faster-rcnn-light", recipe__head=head, recipe__keys="theirs"))
    assert {fault.field for fault in faults} == {
        "recipe.head.anchors.fitted", "recipe.head.anchors.wrong", "recipe.head.hidden", "recipe.head.giou",
        "recipe.keys",
    }  # fmt: skip
