"""What detectors, segmenters and embedders train on, and the versions that a training begins from."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from desk import Desk

from deepft_lab import manifest, masks, spec
from deepft_lab.errors import InvalidParams
from deepft_lab.lab.examples import Example
from deepft_lab.lab.region_selection import mark, select_regions
from deepft_lab.lab.selection import select
from deepft_lab.records import AnnotateRegions, InputRegions, ModelVersion, Region


def box(concept: str, *corners: float, **more: Any) -> Region:
    return Region(concept=concept, box=corners or (0.1, 0.2, 0.5, 0.6), **more)


def polygon(concept: str) -> Region:
    return Region(kind="polygon", concept=concept, box=(0, 0, 0, 0), polygons=[[0.1, 0.1, 0.9, 0.1, 0.5, 0.8]])


def mask(concept: str) -> Region:
    return Region(kind="mask", concept=concept, box=(0, 0, 1, 1), mask=masks.encode(np.eye(6)))


def put(desk: Desk, input: str, *add: Region) -> None:
    desk.annotate_regions(body=AnnotateRegions(inputs=[InputRegions(input=input, add=list(add))]))


def new_model(desk: Desk, type: str, **given: Any) -> None:
    """A model of a type whose own templates are not needed here: what is looked at is what it would train on."""
    desk.new_model(**given)
    with desk.lab.database.writing() as connection:
        connection.exec_driver_sql("UPDATE models SET type = ?", (type,))


def entries(desk: Desk, version: ModelVersion, name: str = "train") -> dict[str, manifest.Entry]:
    path = desk.lab.job_folder(version.job) / f"{name}.jsonl"
    return {entry.input: entry for entry in manifest.load(path).entries}


def test_a_detector_takes_every_region_through_its_box(desk: Desk) -> None:
    one, two, three, four = desk.photos("", 4)
    put(desk, one, polygon("ant"), box("bee"), Region(kind="point", concept="ant", box=(0.5, 0.5, 0.5, 0.5)))
    put(desk, two, mask("ant"), box("", ignored=True), box("bee", ignored=True), box("wasp"))
    put(desk, three, box("wasp"))
    new_model(desk, "visual-detector", concepts=["ant", "bee"])
    version = desk.begin_training(validation=0.0)
    found = entries(desk, version)
    assert set(found) == {one, two}, "an input without a region of the model's concepts does not train"
    assert four not in found
    assert [(r.kind, r.concept, r.ignored, r.id) for r in found[one].regions] == [
        ("box", "ant", False, 0),
        ("box", "bee", False, 0),
    ]
    assert found[one].regions[0].box == (0.1, 0.1, 0.9, 0.8)
    assert [(r.concept, r.ignored) for r in found[two].regions] == [("", True), ("ant", False), ("bee", True)]
    assert any("point" in warning for warning in version.warnings)


def test_what_a_point_alone_shows_is_not_taken_for_absent(desk: Desk) -> None:
    one, two, three = desk.photos("", 3, dataset="train")
    put(desk, one, box("ant"), box("bee"))
    put(desk, two, box("ant"), Region(kind="point", concept="bee", box=(0.5, 0.5, 0.5, 0.5)))
    put(desk, three, box("bee"), Region(kind="point", concept="bee", box=(0.5, 0.5, 0.5, 0.5)))
    new_model(desk, "visual-detector")
    version = desk.begin_training(dataset="train", validation=0.0)
    found = entries(desk, version)
    assert found[two].labels == {"ant": 1, "bee": 1} and [region.concept for region in found[two].regions] == ["ant"]
    assert found[three].labels == {"bee": 1} and not any("labelled" in warning for warning in version.warnings)


def test_inputs_of_a_dataset_without_regions_train_as_empty_ones(desk: Desk) -> None:
    one, two, three = desk.photos("", 3, dataset="train")
    put(desk, one, box("ant"))
    desk.label([three], positive=["ant"])
    new_model(desk, "visual-detector")
    version = desk.begin_training(dataset="train", validation=0.0)
    found = entries(desk, version)
    assert set(found) == {one, two, three} and found[two].regions == []
    assert found[two].labels == {} and found[three].labels == {"ant": 1}, "what is there and not drawn is not absent"
    assert any("1 of 3 inputs to train on bears no region" in warning for warning in version.warnings)
    assert any("1 input is labelled with a concept that no region shows" in warning for warning in version.warnings)


def test_a_segmenter_takes_polygons_and_masks_and_says_that_boxes_are_not_enough(desk: Desk) -> None:
    one, two, three = desk.photos("", 3)
    put(desk, one, polygon("ant"), mask("bee"), box("", 0, 0, 0.2, 0.2, ignored=True))
    put(desk, two, box("ant"), mask("bee"))
    put(desk, three, polygon("ant"))
    new_model(desk, "visual-segmenter")
    version = desk.begin_training(validation=0.0)
    found = entries(desk, version)
    assert set(found) == {one, three}, "where a concept has a box alone, its pixels are not known"
    assert [region.kind for region in found[one].regions] == ["box", "polygon", "mask"]
    assert found[one].regions[2].mask == masks.encode(np.eye(6))
    assert any("boxes alone" in warning for warning in version.warnings)
    put(desk, three, box("wasp"))
    desk.new_model("w", concepts=["ant", "wasp"])
    with desk.lab.database.writing() as connection:
        connection.exec_driver_sql("UPDATE models SET type = 'visual-segmenter'")
    with pytest.raises(InvalidParams, match="It has boxes alone in this app"):
        desk.begin_training("w")


def test_all_concepts_of_a_detector_are_those_that_have_regions(desk: Desk) -> None:
    one, two = desk.photos("label", 2)
    put(desk, one, box("ant"))
    put(desk, two, box("ant", ignored=True), Region(kind="point", concept="eye", box=(0.5, 0.5, 0.5, 0.5)))
    new_model(desk, "visual-detector")
    version = desk.begin_training(validation=0.0)
    assert version.concepts == ["ant"] and list(entries(desk, version)) == [one]
    told = [warning for warning in version.warnings if "No input has a region" in warning]
    assert len(told) == 2 and "'eye'" in told[0] and "'label'" in told[1]


def test_a_detector_without_regions_says_what_to_do(desk: Desk) -> None:
    desk.photos("ant", 3)
    new_model(desk, "visual-detector")
    with pytest.raises(InvalidParams, match="No input in this app has a box, polygon or mask of it"):
        desk.begin_training()


def test_the_same_regions_give_the_same_dataset_version(desk: Desk) -> None:
    one, two = desk.photos("", 2, dataset="train")
    put(desk, one, box("bee"), box("ant"), polygon("ant"))
    first = desk.freeze_dataset(dataset="train")
    assert first.concepts == ["ant", "bee"]
    body = AnnotateRegions(inputs=[InputRegions(input=one, replace=True)])
    desk.annotate_regions(body=body)
    assert desk.freeze_dataset(dataset="train").id != first.id
    put(desk, one, polygon("ant"), box("ant"), box("bee"))
    assert desk.freeze_dataset(dataset="train").id == first.id
    put(desk, two, mask("ant"))
    frozen = manifest.load(desk.lab.blobs.path(desk.freeze_dataset(dataset="train").id))
    kinds = {entry.input: [region.kind for region in entry.regions] for entry in frozen.entries}
    assert kinds == {one: ["box", "polygon", "box"], two: ["mask"]}


def example(number: int, *regions: Region, **labels: int) -> Example:
    return Example(f"{number:024x}", f"{number}.png", f"{number:064x}", 1, 1, labels, list(regions))


def choose(examples: list[Example], concepts: list[str], fraction: float = 0.2, **more: Any) -> Any:
    type = more.pop("type", "visual-detector")
    marked, _ = mark(examples, type)
    return select_regions(
        type=type, concepts=concepts, source=marked, validation=None, fraction=fraction, seed=1, **more
    )


def test_the_split_is_stratified_by_the_regions_concepts() -> None:
    examples = [example(i, box("ant")) for i in range(40)] + [
        example(40 + i, box("ant"), box("bee")) for i in range(10)
    ]
    chosen = choose(examples, ["ant", "bee"])
    assert not chosen.faults
    assert sum("bee" in e.labels for e in chosen.validation) == 2 and len(chosen.validation) == 10
    again = choose(list(reversed(examples)), ["ant", "bee"])
    assert {e.id for e in again.validation} == {e.id for e in chosen.validation}


def test_one_image_a_concept_trains_and_says_that_it_cannot_be_measured() -> None:
    examples = [example(i, box(f"c{i}")) for i in range(5)] + [example(5, box("c9")), example(6, box("c9"))]
    chosen = choose(examples, [*(f"c{i}" for i in range(5)), "c9"])
    assert not chosen.faults and len(chosen.training) == 6
    assert sum("nothing can be measured" in warning for warning in chosen.warnings) == 5
    alone = choose(examples[:5], [f"c{i}" for i in range(5)])
    assert not alone.faults and any("Nothing could be held out" in warning for warning in alone.warnings)
    labelled = [example(i, **{f"c{i}": 1}) for i in range(5)]
    classified = select(concepts=[f"c{i}" for i in range(5)], source=labelled, validation=None, fraction=0.2, seed=1)
    assert not classified.faults and len(classified.training) == 5 and classified.validation == []


def test_a_thousand_concepts_are_chosen_from() -> None:
    concepts = [f"c{i:04}" for i in range(1000)]
    examples = [example(i, box(concepts[i % 1000]), box(concepts[i * 7 % 1000])) for i in range(3000)]
    chosen = choose(examples, concepts)
    assert not chosen.faults and len(chosen.training) + len(chosen.validation) == 3000
    labelled = [example(i, **{concepts[i % 1000]: 1}) for i in range(3000)]
    classified = select(concepts=concepts, source=labelled, validation=None, fraction=0.2, seed=1)
    assert not classified.faults and classified.exclusive
    assert all(len(e.labels) == 1000 for e in classified.training)


def embed(examples: list[Example], concepts: tuple[str, ...] = ("ant", "bee")) -> Any:
    return select(concepts=concepts, source=examples, validation=None, fraction=0.0, seed=1, type="visual-embedder")


def test_an_embedder_needs_two_concepts_with_two_inputs_each() -> None:
    ants = [example(i, ant=1) for i in range(3)]
    (fault,) = embed([*ants, example(9, bee=1)]).faults
    assert "two concepts with two inputs each" in fault.reason and "ant 3, bee 1" in fault.reason
    chosen = embed([*ants, example(8, bee=1), example(9, bee=1), example(10, bee=0)])
    assert not chosen.faults and chosen.exclusive and len(chosen.training) == 5


def test_concepts_of_an_embedder_exclude_each_other() -> None:
    (fault,) = embed([example(1, ant=1, bee=1), example(2, ant=1), example(3, bee=1)]).faults
    assert fault.value == ["ant", "bee"] and "1.png" in fault.reason


# -- versions that a training begins from ---------------------------------------------------------


def trained(desk: Desk, model: str) -> ModelVersion:
    """A version that has trained, as far as the store knows."""
    version = desk.begin_training(model)
    folder = desk.lab.job_folder(version.job) / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_text(model)
    job = spec.read(folder.parent / "spec.json", spec.JobSpec)
    card = {
        "type": job.type, "recipe": job.template.recipe, "values": job.values, "concepts": job.concepts,
        "exclusive": job.exclusive,
    }  # fmt: skip
    (folder / "model.json").write_bytes(msgspec.json.encode(card))
    with desk.lab.database.writing() as connection:
        connection.exec_driver_sql("UPDATE versions SET state = 'trained' WHERE job = ?", (version.job,))
    return version


@pytest.fixture
def two_models(desk: Desk) -> Desk:
    desk.photos("ant", 4)
    desk.photos("bee", 4)
    desk.new_model("first")
    desk.new_model("second")
    return desk


def set_values(desk: Desk, model: str, **values: Any) -> None:
    """Puts values into a template that may not have their fields yet: only what comes of them is looked at."""
    template = desk.lab.catalog.get("classifier-mobilenet-v2")
    known = {field.name for field in template.fields}
    for name in values:
        if name not in known:
            from deepft_lab.records import Field

            template.fields.append(Field(name=name, type="text", default="", help="A version."))
    with desk.lab.database.writing() as connection:
        text = msgspec.json.encode({"pretrained_weights": "None", **values}).decode()
        connection.exec_driver_sql('UPDATE models SET "values" = ? WHERE id = ?', (text, model))


def test_a_training_goes_on_from_a_version_and_keeps_it(two_models: Desk) -> None:
    desk = two_models
    trained(desk, "first")
    set_values(desk, "second", resume_from="first/v1")
    version = desk.begin_training("second")
    job = spec.read(desk.lab.job_folder(version.job) / "spec.json", spec.JobSpec)
    assert job.base is None and job.resume_model == str(desk.lab.job_folder(version.job) / "resume")
    desk.delete_version(model="first", version="v1")
    assert (desk.lab.job_folder(version.job) / "resume" / "model.safetensors").read_text() == "first"


def test_a_version_with_another_network_is_refused_before_anything_is_queued(two_models: Desk) -> None:
    desk = two_models
    version = trained(desk, "first")
    card = desk.lab.job_folder(version.job) / "model" / "model.json"
    recipe = desk.lab.catalog.get("classifier-efficientnetv2").recipe
    written = {"type": "visual-classifier", "template": "other", "recipe": recipe, "values": {"variant": "small"}}
    card.write_bytes(msgspec.json.encode(written))
    set_values(desk, "second", resume_from="first/v1")
    with pytest.raises(InvalidParams, match=r"another: architecture tf_efficientnetv2_s \(other\), here mobilenet_v2"):
        desk.begin_training("second")
    same = {**written, "recipe": desk.lab.catalog.get("classifier-mobilenet-v2").recipe, "values": {}}
    card.write_bytes(msgspec.json.encode(same))
    version = desk.begin_training("second")
    assert (version.id, version.state) == ("v1", "queued")


def test_an_embedding_classifier_stands_on_a_version_of_the_same_app(two_models: Desk) -> None:
    desk = two_models
    trained(desk, "first")
    desk.new_model(
        "third",
        type="embedding-classifier",
        template="transfer-linear",
        values={"base_model": "first/v1", "image_size": 64},
    )
    version = desk.begin_training("third")
    job = spec.read(desk.lab.job_folder(version.job) / "spec.json", spec.JobSpec)
    assert job.resume_model is None and job.base is not None
    assert job.stored_side == 292  # the base's, which sees 224 pixels
    assert (desk.lab.job_folder(version.job) / "base" / "model.safetensors").read_text() == "first"


def test_a_base_that_another_release_has_trained_is_a_fault_in_words(two_models: Desk) -> None:
    desk = two_models
    card = desk.lab.job_folder(trained(desk, "first").job) / "model" / "model.json"
    card.write_text(card.read_text().replace('"task":"classify"', '"task":"divine"'))
    desk.new_model("third", type="embedding-classifier", template="transfer-linear", values={"base_model": "first/v1"})
    with pytest.raises(InvalidParams, match="trained by another release"):
        desk.begin_training("third")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"resume_from": "v9"}, "no version 'v9' of the model 'second'"),
        ({"resume_from": "first/v2"}, "is queued, not trained"),
        ({"resume_from": "nope/v1"}, "no model 'nope'"),
        ({"resume_from": "/v1"}, "written as model/v3"),
        ({"base_model": "first"}, "written as model/v3"),
        ({"base_model": "third/v1"}, "third/v1 is a visual-detector"),
        ({"resume_from": "third/v1"}, "third/v1 is a visual-detector; here a visual-classifier is needed"),
    ],
)
def test_a_version_that_cannot_be_begun_from_is_a_fault_in_words(two_models: Desk, values: Any, words: str) -> None:
    desk = two_models
    trained(desk, "first")
    desk.begin_training("first")
    desk.new_model("third")
    trained(desk, "third")
    with desk.lab.database.writing() as connection:
        connection.exec_driver_sql("UPDATE models SET type = 'visual-detector' WHERE id = 'third'")
    set_values(desk, "second", **values)
    with pytest.raises(InvalidParams, match=words) as caught:
        desk.begin_training("second")
    assert [fault.field for fault in caught.value.faults] == list(values)


def test_a_version_whose_files_are_gone_cannot_be_begun_from(two_models: Desk) -> None:
    version = trained(two_models, "first")
    (two_models.lab.job_folder(version.job) / "model" / "model.json").unlink()
    set_values(two_models, "second", resume_from="first/v1")
    with pytest.raises(InvalidParams, match="files of first/v1 are gone"):
        two_models.begin_training("second")


def test_no_version_is_named_by_an_empty_text(two_models: Desk) -> None:
    set_values(two_models, "second", resume_from=" ", base_model="")
    version = two_models.begin_training("second")
    job = spec.read(two_models.lab.job_folder(version.job) / "spec.json", spec.JobSpec)
    assert (job.base, job.resume_model) == (None, None)
