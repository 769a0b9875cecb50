"""What is made from the template files is up to date, and the schema says the same as the catalog."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deepft_lab.catalog import Catalog
from deepft_lab.training import template_docs, template_schema
from deepft_lab.training.recipes import advanced, builders
from deepft_lab.training.recipes.common import BEST, of_type

FILES = sorted(template_schema.PATH.parent.rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(template_schema.PATH.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_is_up_to_date() -> None:
    assert template_schema.PATH.read_text() == template_schema.text(), (
        "run python -m deepft_lab.training.template_schema"
    )


@pytest.mark.parametrize("name", ["templates.md", "advanced.md"])
def test_the_pages_are_up_to_date(name: str) -> None:
    path, text = next((path, text) for path, text in template_docs.pages().items() if path.name == name)
    assert path.read_text() == text, "run python -m deepft_lab.training.template_docs"


def test_the_pages_name_every_template_field_and_part() -> None:
    pages = {path.name: text for path, text in template_docs.pages().items()}
    checkout = [t for t in Catalog().list().templates if Path(t.origin).is_relative_to(template_schema.PATH.parent)]
    assert len(checkout) == len(FILES)
    for template in checkout:
        assert f"### {template.id}\n" in pages["templates.md"]
        assert all(f"`{field.name}`" in pages["templates.md"] for field in template.fields)
        assert all(f"`{alias}`" in pages["templates.md"] for alias in template.aliases)
    for _, kind in advanced.CONFIGS.values():
        assert all(f"`{key}`" in pages["advanced.md"] for key in kind.__struct_fields__)
    assert builders.GROUP in pages["advanced.md"]


def test_the_form_and_the_page_name_the_metric_that_chooses_the_checkpoint() -> None:
    page = {path.name: text for path, text in template_docs.pages().items()}["templates.md"]
    words = {
        "visual-classifier": "accuracy", "embedding-classifier": "ROC AUC", "visual-detector": "mAP (",
        "visual-embedder": "mAP@R", "visual-segmenter": "mIoU",
    }  # fmt: skip
    for template in Catalog().list().templates:
        field = next(field for field in template.fields if field.name == "validation")
        assert f"by {BEST[template.type]};" in field.help and words[template.type] in BEST[template.type]
        if field.help == next(own for own in of_type(template.type) if own.name == "validation").help:
            section = page.partition(f"### {template.id}\n")[2].partition("\n### ")[0]
            assert "| `validation` |" not in section
    assert all(" ".join(words.split()) in " ".join(page.split()) for words in BEST.values())


def test_an_editor_accepts_every_template_of_the_project(validator: Any) -> None:
    assert len(FILES) > 10
    for path in FILES:
        assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))] == [], path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["surprise"], 1),
        (["type"], "visual-dreamer"),
        (["fields", 0, "type"], "colour"),
        (["fields", 0, "surprise"], 1),
        (["fields", -1, "name"], "warmup_ration"),
        (["recipe", "network"], "os.system"),
        (["recipe", "augment", "colour"], 2),
        (["recipe", "optimizer", "surprise"], 1),
        (["origin"], "here"),
    ],
)  # fmt: skip
def test_an_editor_marks_what_the_catalog_refuses(validator: Any, tmp_path: Path, path: list[Any], value: Any) -> None:
    sound = yaml.safe_load(next(file for file in FILES if file.stem == "segmenter-light").read_text())
    faulty = copy.deepcopy(sound)
    place = faulty
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert list(validator.iter_errors(faulty))
    (tmp_path / "faulty.yaml").write_text(yaml.safe_dump(faulty))
    assert [Path(found.origin).stem for found in Catalog([tmp_path]).list().broken] == ["faulty"]


def test_a_default_configuration_with_faults_breaks_its_template(tmp_path: Path) -> None:
    document = yaml.safe_load(next(file for file in FILES if file.stem == "segmenter-advanced").read_text())
    field = next(field for field in document["fields"] if field["name"] == "config")
    field["default"] = "backbone: {name: resnet51}\nhead: {name: none}"
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**document, "id": "own"}))
    faults = Catalog([tmp_path]).list().broken[0].faults
    assert [fault.field for fault in faults] == ["fields.config.backbone.name", "fields.config.head.name"]


def test_the_example_of_the_guide_is_a_template(validator: Any, tmp_path: Path) -> None:
    guide = (template_schema.PATH.parent / "README.md").read_text()
    example = next(part for part in guide.split("```yaml\n")[1:] if "id: blue-stain" in part).partition("```")[0]
    (tmp_path / "blue-stain.yaml").write_text(example)
    catalog = Catalog([tmp_path])
    assert catalog.list().broken == []
    assert catalog.get("blue-stain").recipe["augment"]["colour"] == 0.2
    assert list(validator.iter_errors(yaml.safe_load(example))) == []
