"""The catalog: what the two templates say, what is wrong with others, and where weights are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepft_lab import params
from deepft_lab.catalog import Catalog
from deepft_lab.errors import NotFound, TemplateError, WeightsNotFound
from deepft_lab.records import Template
from deepft_lab.training.recipes.common import FIELDS, of_type

TEMPLATES = Path(__file__).parents[2] / "templates" / "visual-classifier"
A1, MOBILENET = "classifier-resnet50-rsb-a1", "classifier-mobilenet-v2"
# name: default, min, max, step, choices, as the reference states them for MMClassification_ResNet_50_RSB_A1
REFERENCE: dict[str, tuple[Any, ...]] = {
    "image_size": (224, 0, None, None, []),
    "batch_size": (64, 1, 256, 1, []),
    "num_epochs": (60, 1, 600, 1, []),
    "per_item_lrate": (1.953125e-5, 0, None, None, []),
    "weight_decay": (0.01, 0, 1, None, []),
    "per_item_min_lrate": (1.5625e-8, 0, None, None, []),
    "warmup_iters": (100, 0, None, None, []),
    "warmup_ratio": (1e-4, 0, None, None, []),
    "pretrained_weights": ("ImageNet-1k", None, None, None, ["None", "ImageNet-1k"]),
    "flip_probability": (0.5, 0, 1, None, []),
    "flip_direction": ("horizontal", None, None, None, ["horizontal", "vertical"]),
}


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Jupyter path and no cache but those below this folder."""
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return tmp_path


def copy_of(name: str, **changes: Any) -> str:
    return yaml.safe_dump({**yaml.safe_load((TEMPLATES / f"{name}.yaml").read_text()), **changes})


def test_every_template_file_of_the_project_is_sound() -> None:
    listed = Catalog().list()
    assert {A1, MOBILENET} <= {template.id for template in listed.templates}
    assert [broken for broken in listed.broken if str(TEMPLATES) in broken.origin] == []


def test_a1_has_the_fields_of_the_reference() -> None:
    template = Catalog().get(A1)
    fields = {field.name: field for field in template.fields}
    for name, expected in REFERENCE.items():
        field = fields[name]
        assert (field.default, field.min, field.max, field.step, field.choices) == expected, name
    common = {field.name for field in FIELDS}
    assert set(fields) - set(REFERENCE) - common == {"concepts_mutually_exclusive"}
    assert template.recommended
    assert template.recipe["loss"]["exclusive"] == template.recipe["loss"]["otherwise"] == "bce"
    assert params.effective_lrate(params.defaults(template.fields)) == pytest.approx(0.00125)


def test_every_template_has_the_common_fields_and_may_state_its_own(alone: Path) -> None:
    for template in Catalog().list().templates:
        fields = {field.name: field for field in template.fields}
        assert {field.name for field in of_type(template.type)} <= set(fields)
        assert params.check(template.fields, {})[1] == []
    own = {"name": "ema", "type": "number", "default": 0.9, "help": "Our own."}
    folder = alone / "jupyter_path" / "deepft-lab" / "templates"
    folder.mkdir(parents=True)
    fields = [*yaml.safe_load((TEMPLATES / f"{MOBILENET}.yaml").read_text())["fields"], own]
    (folder / "mine.yaml").write_text(copy_of(MOBILENET, id="mine", fields=fields))
    assert [field.default for field in Catalog().get("mine").fields if field.name == "ema"] == [0.9]


def test_the_legacy_name_is_an_alias() -> None:
    assert Catalog().get("MMClassification_ResNet_50_RSB_A1").id == A1


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match=MOBILENET):
        Catalog().get("classifier-of-dreams")


def test_every_field_explains_itself() -> None:
    for template in Catalog().list().templates:
        for field in template.fields:
            assert field.help.endswith("."), field.name
            assert field.label, field.name


def test_a_broken_file_is_listed_with_all_its_faults_and_hides_nothing(alone: Path) -> None:
    faulty = yaml.safe_load((TEMPLATES / f"{MOBILENET}.yaml").read_text())
    faulty["id"] = "bad name"
    faulty["surprise"] = 1
    del faulty["summary"]
    faulty["fields"][0]["default"] = 7
    faulty["fields"][1]["type"] = "colour"
    faulty["fields"][3]["default"] = "small"
    faulty["recipe"]["architecture"] = "os.system"
    faulty["recipe"]["loss"] = {"exclusive": "hinge"}
    faulty["fields"] = [field for field in faulty["fields"] if field["name"] != "num_epochs"]
    (alone / "broken.yaml").write_text(yaml.safe_dump(faulty))
    (alone / "nonsense.yaml").write_text("a: [")
    listed = Catalog([alone]).list()
    assert {A1, MOBILENET} <= {template.id for template in listed.templates}
    broken = {Path(found.origin).name: found.faults for found in listed.broken}
    assert {fault.field for fault in broken["broken.yaml"]} == {
        "id", "surprise", "summary", "fields.image_size.default", "fields.batch_size.type",
        "fields.per_item_lrate.default", "recipe.architecture", "recipe.loss.exclusive", "fields.num_epochs",
    }  # fmt: skip
    assert len(broken["nonsense.yaml"]) == 1
    with pytest.raises(TemplateError, match=r"broken\.yaml"):
        Catalog([alone]).get("broken")


def test_a_template_whose_file_was_spoilt_is_answered_with_the_file(alone: Path) -> None:
    (alone / "site.yaml").write_text(copy_of(MOBILENET, id="blue-stain", summary=7))
    with pytest.raises(NotFound, match=r"site\.yaml"):
        Catalog([alone]).get("blue-stain")


def test_the_first_id_on_the_path_wins(alone: Path) -> None:
    (alone / "own.yaml").write_text(copy_of(MOBILENET, summary="Our own."))
    found = Catalog([alone]).get(MOBILENET)
    assert (found.summary, found.origin) == ("Our own.", str(alone / "own.yaml"))
    assert found.hash != Catalog().get(MOBILENET).hash


def test_a_file_whose_id_is_taken_is_told_and_one_that_replaces_ours_hides_it_in_silence(alone: Path) -> None:
    (alone / "own.yaml").write_text(copy_of(MOBILENET, summary="Our own."))
    assert not [file for file in Catalog([alone]).list().broken if MOBILENET in file.origin]
    (alone / "second").mkdir()
    (alone / "second" / "copied.yaml").write_text(copy_of(MOBILENET, summary="Copied, and its id forgotten."))
    (told,) = Catalog([alone]).list().broken
    assert told.origin == str(alone / "second" / "copied.yaml")
    assert told.faults[0].field == "id" and str(alone / "own.yaml") in told.faults[0].reason
    (alone / "second" / "copied.yaml").write_text((alone / "own.yaml").read_text())
    assert Catalog([alone]).list().broken == [], "the same file twice is no fault"


def test_an_older_copy_that_jupyter_keeps_is_no_template(alone: Path) -> None:
    older = alone / ".ipynb_checkpoints" / "own-checkpoint.yaml"
    older.parent.mkdir()
    older.write_text(copy_of(MOBILENET, id="own", summary="Before the last change."))
    (alone / "own.yml").write_text(copy_of(MOBILENET, id="own", summary="As it is."))
    assert Catalog([alone]).get("own").summary == "As it is."


def test_a_file_that_changes_is_read_again(alone: Path) -> None:
    catalog = Catalog([alone])
    path = alone / "site.yaml"
    path.write_text(copy_of(MOBILENET, id="site", summary="First."))
    assert catalog.get("site").summary == "First."
    path.write_text(copy_of(MOBILENET, id="site", summary="The second."))
    assert catalog.get("site").summary == "The second."
    path.unlink()
    with pytest.raises(NotFound):
        catalog.get("site")


def test_the_hash_is_of_the_content_and_not_of_the_place(alone: Path) -> None:
    (alone / "same.yaml").write_text(copy_of(MOBILENET))
    assert Catalog([alone]).get(MOBILENET).hash == Catalog().get(MOBILENET).hash


def values_of(template: Template, **changes: Any) -> dict[str, Any]:
    return {**params.defaults(template.fields), **changes}


def test_weights_are_found_along_the_path_and_then_in_the_caches(alone: Path) -> None:
    own, catalog = alone / "own", Catalog(weights_paths=[alone / "own"])
    template = catalog.get(A1)
    assert catalog.find_weights(template, values_of(template, pretrained_weights="None")) is None
    snapshot = "hub/models--timm--resnet50.a1_in1k/snapshots/0123/model.safetensors"
    places = [
        alone / "hf_hub_cache" / snapshot.partition("/")[2],
        alone / "torch_home/hub/checkpoints/resnet50-11ad3fa6.pth",
        alone / "jupyter_path/deepft-lab/weights/resnet50.safetensors",
        own / "resnet50.safetensors",
    ]
    for place in places:  # from the last one that is looked at to the first
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
        assert catalog.find_weights(template, values_of(template)) == place


def test_of_several_snapshots_that_of_the_main_branch_is_taken(alone: Path) -> None:
    catalog = Catalog(weights_paths=[])
    template = catalog.get(A1)
    folder = alone / "hf_hub_cache" / "models--timm--resnet50.a1_in1k"
    for revision in ("aaaa", "bbbb", "cccc"):
        (folder / "snapshots" / revision).mkdir(parents=True)
        (folder / "snapshots" / revision / "model.safetensors").touch()
    assert catalog.find_weights(template, values_of(template)).parent.name == "aaaa"
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("bbbb\n")
    assert catalog.find_weights(template, values_of(template)).parent.name == "bbbb"


def test_missing_weights_are_an_error_with_file_places_and_both_ways_out(alone: Path) -> None:
    catalog = Catalog(weights_paths=[alone / "own"])
    template = catalog.get(MOBILENET)
    with pytest.raises(WeightsNotFound) as raised:
        catalog.find_weights(template, values_of(template))
    message = raised.value.message
    for part in (
        str(alone / "own" / "mobilenet_v2.safetensors"),
        "jupyter_path",
        "torch_home",
        "pretrained_weights = None",
    ):
        assert part in message
    assert raised.value.faults[0].field == "pretrained_weights"


def test_the_catalog_imports_no_torch() -> None:
    code = "import sys; from deepft_lab.catalog import Catalog; Catalog().list(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
