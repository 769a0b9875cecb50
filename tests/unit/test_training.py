"""What a model trains on: the split, the labels that are filled in, and every fault at once."""

from __future__ import annotations

import msgspec
import pytest
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as some

from deepft_lab import manifest, spec
from deepft_lab.errors import Conflict, InvalidParams, WeightsNotFound
from deepft_lab.lab import selection
from deepft_lab.lab.examples import Example
from deepft_lab.lab.selection import select
from deepft_lab.lab.split import hold_out
from deepft_lab.records import CreateModel, EditInputs, Gpu, Template, UpdateModel


def example(number: int, **labels: int) -> Example:
    return Example(f"{number:024x}", f"{number}.png", f"{number:064x}", 1, 1, labels)


labelled = some.lists(some.dictionaries(some.sampled_from("abcd"), some.integers(0, 1)), max_size=60)


@settings(deadline=None)
@given(labelled, some.floats(0.01, 0.9), some.integers(0, 5))
def test_a_split_loses_nothing_and_depends_on_nothing_but_its_seed(labels, fraction: float, seed: int) -> None:
    examples = [example(i, **given) for i, given in enumerate(labels)]
    training, validation = hold_out(examples, fraction, seed)
    assert sorted(e.id for e in training + validation) == [e.id for e in examples]
    again = hold_out(list(reversed(examples)), fraction, seed)
    assert {e.id for e in again[0]} == {e.id for e in training}


def test_a_split_is_stratified_and_rare_concepts_stand_on_both_sides() -> None:
    examples = [example(i, ant=1) for i in range(100)] + [example(i, bee=1) for i in range(100, 120)]
    examples += [example(200, wasp=1), example(201, wasp=1), example(300, fly=1)]
    training, validation = hold_out(examples, 0.2, 1)

    def count(side, concept: str) -> int:
        return sum(concept in e.labels for e in side)

    assert (count(validation, "ant"), count(validation, "bee")) == (20, 4)
    assert (count(training, "wasp"), count(validation, "wasp")) == (1, 1)
    assert (count(training, "fly"), count(validation, "fly")) == (1, 0)


def test_another_seed_gives_another_split() -> None:
    examples = [example(i, ant=1) for i in range(50)]
    assert {e.id for e in hold_out(examples, 0.2, 1)[1]} != {e.id for e in hold_out(examples, 0.2, 2)[1]}


def choose(source, concepts=("ant", "bee"), validation=None, exclusivity="auto", fraction=0.0):
    return select(
        concepts=concepts,
        source=source,
        validation=validation,
        fraction=fraction,
        seed=1,
        exclusivity=exclusivity,
        names=("train", "val"),
    )


def test_concepts_exclude_each_other_where_every_input_has_exactly_one() -> None:
    chosen = choose([example(1, ant=1), example(2, bee=1)])
    assert chosen.exclusive and not chosen.faults
    assert [e.labels for e in chosen.training] == [{"ant": 1, "bee": 0}, {"ant": 0, "bee": 1}]


def test_missing_labels_are_negative_only_where_nobody_labels_negatives() -> None:
    chosen = choose([example(1, ant=1, bee=1), example(2, bee=1), example(3, ant=1)])
    assert not chosen.exclusive
    assert chosen.training[1].labels == {"ant": 0, "bee": 1} and not chosen.warnings
    chosen = choose([example(1, ant=1, bee=1), example(2, ant=0, bee=1), example(3, bee=1), example(4, ant=1)])
    assert chosen.training[2].labels == {"bee": 1}, "ant has labelled negatives, so it is unknown here"
    assert chosen.training[3].labels == {"ant": 1, "bee": 0}
    (warning,) = [words for words in chosen.warnings if "labelled negative" in words]
    assert "ant (1 of 4)" in warning and "bee" not in warning.split(":")[1], "who labels one negative is told"


def test_exclusivity_that_is_asked_for_names_the_input_that_speaks_against_it() -> None:
    chosen = choose([example(1, ant=1, bee=1), example(2, ant=1), example(3, bee=1)], exclusivity="true")
    assert [fault.field for fault in chosen.faults] == ["concepts_mutually_exclusive"]
    assert "1.png" in chosen.faults[0].reason
    assert choose([example(1, ant=1), example(2, bee=1)], exclusivity="false").exclusive is False
    assert choose([example(1, ant=1)], concepts=("ant",), exclusivity=True).faults[0].value is True


def test_inputs_that_bear_none_of_the_concepts_are_left_out_and_told_of() -> None:
    chosen = choose([example(1, ant=1), example(2, bee=1), example(3)])
    assert len(chosen.training) == 2 and any("1 of 3" in warning for warning in chosen.warnings)


@pytest.mark.parametrize(
    ("images", "count", "words"),
    [
        ("10 and more a concept", 20, ""),
        ("10 and more a concept", 19, "There are 19 inputs to train on. Linear wants 10 and more a concept."),
        ("1,000 and more", 999, "Linear wants 1,000 and more"),
        ("1,000 and more", 1000, ""),
        ("As many as the network wants", 20, "Usually 1,000 and more are wanted"),
    ],
)
def test_few_inputs_are_as_few_as_the_template_says(images: str, count: int, words: str) -> None:
    template = Template(
        id="t", type="embedding-classifier", name="Linear", summary="", fields=[], recipe={}, images=images
    )
    chosen = selection.Selection(training=[None] * count, validation=[], faults=[], warnings=[])  # type: ignore[list-item]
    selection.warn_of_few(chosen, template, ["ant", "bee"])
    assert bool(chosen.warnings) == bool(words) and words in "".join(chosen.warnings)


def test_inputs_of_both_datasets_are_left_out_of_training() -> None:
    chosen = choose([example(1, ant=1), example(2, bee=1), example(3, ant=1)], validation=[example(3, ant=1)])
    assert [e.name for e in chosen.training] == ["1.png", "2.png"]
    assert any("'train'" in w or "train" in w for w in chosen.warnings)
    assert any("No validation input is positive for 'bee'" in warning for warning in chosen.warnings)


def test_concepts_without_inputs_are_faults_one_each() -> None:
    chosen = choose([example(1, ant=1)], concepts=("ant", "bee", "wasp"), validation=[example(2, bee=1)])
    assert {fault.value: fault.field for fault in chosen.faults} == {"bee": "concepts", "wasp": "concepts"}
    reasons = {fault.value: fault.reason for fault in chosen.faults}
    assert "none is left to train on" in reasons["bee"] and "No input" in reasons["wasp"]


def test_a_single_concept_needs_negatives() -> None:
    assert "negative" in choose([example(1, ant=1), example(2, ant=1)], concepts=("ant",)).faults[0].reason
    chosen = choose([example(1, ant=1), example(2, ant=0)], concepts=("ant",))
    assert not chosen.faults and not chosen.exclusive


def test_training_writes_a_complete_job_folder_and_queues(desk: Desk) -> None:
    desk.photos("ant", 10)
    desk.photos("bee", 10)
    desk.new_model(values={"num_epochs": 3, "seed": 7})
    version = desk.begin_training()
    assert (version.id, version.state, version.queue_place, version.concepts) == ("v1", "queued", 1, ["ant", "bee"])
    assert any("20 inputs" in w or "16 inputs" in w for w in version.warnings)
    folder = desk.lab.job_folder(version.job)
    job = spec.read(folder / "spec.json", spec.JobSpec)
    assert (job.version, job.user, job.seed, job.exclusive, job.weights) == ("v1", "ann", 7, True, None)
    assert job.template.hash == version.template_hash and job.values["num_epochs"] == 3
    assert (job.values["image_size"], job.stored_side) == (224, 292)  # half-way to the smallest crop
    for name, id in (("train", job.train_version), ("validation", job.validation_version)):
        content = (folder / f"{name}.jsonl").read_bytes()
        assert manifest.identify(content) == id and desk.lab.blobs.read(id) == content
    training = manifest.load(folder / "train.jsonl").entries
    validation = manifest.load(folder / "validation.jsonl").entries
    assert (len(training), len(validation)) == (16, 4)
    assert sum(entry.labels["bee"] for entry in validation) == 2
    assert all(desk.lab.blobs.path(entry.sha256).exists() for entry in training + validation)
    assert msgspec.to_builtins(job)["concepts"] == desk.spec(model="m", version="v1")["concepts"]
    assert not [path for path in desk.lab.jobs_path.iterdir() if path.name.startswith(".")]


def test_whole_pictures_are_stored_at_no_side(desk: Desk) -> None:
    desk.photos("ant", 10)
    desk.photos("bee", 10)
    desk.new_model(values={"decode": "full"})
    folder = desk.lab.job_folder(desk.begin_training().job)
    assert spec.read(folder / "spec.json", spec.JobSpec).stored_side is None


def test_without_a_seed_the_versions_of_a_model_share_their_split(desk: Desk) -> None:
    desk.photos("ant", 10)
    desk.photos("bee", 10)
    desk.new_model()
    first, second = desk.begin_training(), desk.begin_training()
    assert second.id == "v2" and second.queue_place == 2
    assert (first.train_version, first.validation_version) == (second.train_version, second.validation_version)


def test_named_datasets_are_frozen_and_what_they_share_is_not_trained_on(desk: Desk) -> None:
    ants = desk.photos("ant", 4, dataset="train")
    desk.photos("bee", 4, dataset="train")
    desk.photos("ant", 2, dataset="val", start=50)
    desk.photos("bee", 2, dataset="val", start=50)
    desk.edit_inputs(body=EditInputs(inputs=[ants[0]], add_datasets=["val"]))
    desk.new_model()
    version = desk.begin_training(dataset="train", validation="val")
    folder = desk.lab.job_folder(version.job)
    assert len(manifest.load(folder / "train.jsonl").entries) == 7
    assert len(manifest.load(folder / "validation.jsonl").entries) == 5
    assert any("left out of training" in warning for warning in version.warnings)
    assert [v.id for v in desk.dataset_versions(dataset="val")] == [version.validation_version]
    assert [v.id for v in desk.dataset_versions(dataset="train")] == [version.train_version]


def test_a_dataset_that_was_validated_on_counts_as_one_for_validation(desk: Desk) -> None:
    desk.photos("ant", 3, dataset="spring")
    desk.photos("bee", 3, dataset="spring")
    shared = desk.photos("ant", 2, dataset="autumn", start=50)
    desk.photos("bee", 2, dataset="autumn", start=50)
    assert desk.edit_inputs(body=EditInputs(inputs=shared[:1], add_datasets=["spring"])).warnings == []
    desk.new_model()
    desk.begin_training(dataset="spring", validation="autumn")
    warned = desk.edit_inputs(body=EditInputs(inputs=shared[1:], add_datasets=["spring"])).warnings
    assert "'spring' and 'autumn'" in warned[0]


def test_no_validation_is_a_choice(desk: Desk) -> None:
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.new_model()
    version = desk.begin_training(validation=0.0)
    assert version.validation_version is None
    assert not (desk.lab.job_folder(version.job) / "validation.jsonl").exists()


def test_every_fault_of_a_training_comes_at_once(desk: Desk) -> None:
    desk.photos("ant", 2)
    desk.label(desk.photos("bee", 1), remove=["bee"])
    desk.new_model(concepts=["ant", "bee"])
    with desk.lab.database.writing() as connection:
        connection.exec_driver_sql("""UPDATE models SET "values" = '{"batch_size": 0, "pretrained_weights": "None"}'""")
    with pytest.raises(InvalidParams) as caught:
        desk.begin_training()
    assert {(fault.field, fault.value) for fault in caught.value.faults} == {("batch_size", 0), ("concepts", "bee")}
    assert list(desk.lab.jobs_path.iterdir()) == [] and desk.versions(model="m") == []


def test_all_concepts_means_those_that_have_inputs(desk: Desk) -> None:
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.label(desk.photos("wasp", 1), negative=["wasp"])
    desk.new_model()
    version = desk.begin_training()
    assert version.concepts == ["ant", "bee"]
    assert any("'wasp'" in warning for warning in version.warnings)


def test_unknown_datasets_and_wrong_fractions_are_faults(desk: Desk) -> None:
    desk.photos("ant", 3, dataset="train")
    desk.photos("bee", 3, dataset="train")
    desk.new_model()
    for how, field in (
        ({"dataset": "nope"}, "dataset"),
        ({"dataset": "train", "validation": "nope"}, "validation"),
        ({"dataset": "train", "validation": "train"}, "validation"),
        ({"validation": 0.95}, "validation"),
        ({"validation": float("nan")}, "validation"),
    ):
        with pytest.raises(InvalidParams) as caught:
            desk.begin_training(**how)
        assert [fault.field for fault in caught.value.faults] == [field], how


def test_an_app_without_concepts_cannot_train(desk: Desk) -> None:
    desk.new_model()
    with pytest.raises(InvalidParams, match="no concepts"):
        desk.begin_training()


def test_missing_weights_are_told_before_anything_is_queued(
    desk: Desk, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    desk.photos("ant", 3)
    desk.photos("bee", 3)
    desk.new_model(values={"pretrained_weights": "ImageNet-1k"})
    with pytest.raises(WeightsNotFound, match="mobilenet_v2"):
        desk.begin_training()
    assert list(desk.lab.jobs_path.iterdir()) == []


def test_a_model_is_refused_with_every_fault(desk: Desk) -> None:
    with pytest.raises(InvalidParams) as caught:
        desk.new_model(concepts=["ant"], values={"batch_size": -1, "nonsense": 1})
    assert {fault.field for fault in caught.value.faults} == {"concepts", "batch_size", "nonsense"}
    with pytest.raises(InvalidParams, match="no model type 'visual-guesser'"):
        desk.create_model(body=CreateModel(id="x", type="visual-guesser"))
    with pytest.raises(InvalidParams, match="no-such-template"):
        desk.new_model(template="no-such-template")
    desk.new_model()
    with pytest.raises(Conflict):
        desk.new_model()


def test_what_is_recommended_hangs_on_the_machine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def recommended() -> dict[str, str]:
        listed = desk.lab.templates(desk.caller).templates
        first = {template.type: template.id for template in reversed(listed)}
        assert first == {template.type: template.id for template in listed if template.recommended}
        return first

    desk.create_model(body=CreateModel(id="without", type="visual-classifier"))
    assert desk.model(model="without").template == recommended()["visual-classifier"] == "classifier-mobilenet-v2"
    assert recommended()["visual-embedder"] == "embedder-mobilenet-v2"
    machine = desk.lab.engine.machine()
    gpu = Gpu(index=0, name="a", memory_total=1, memory_used=0, utilisation=None, job=None)
    monkeypatch.setattr(desk.lab.engine, "machine", lambda: msgspec.structs.replace(machine, gpus=[gpu]))
    desk.create_model(body=CreateModel(id="with", type="visual-classifier"))
    assert desk.model(model="with").template == recommended()["visual-classifier"] == "classifier-resnet50-rsb-a1"
    assert recommended()["visual-embedder"] == "embedder-angular-margin"


def test_a_value_whose_field_its_template_has_lost_is_left_out_and_told(desk: Desk) -> None:
    desk.photos("ant", 4)
    desk.photos("bee", 4)
    desk.new_model()
    with desk.lab.database.writing() as connection:
        old = '{"pretrained_weights": "None", "sharpness": 3}'
        connection.exec_driver_sql('UPDATE models SET "values" = ?', (old,))
    version = desk.begin_training()
    assert "sharpness" not in version.values
    changed = desk.update_model(model=version.model, body=UpdateModel(values={"num_epochs": 7}))
    assert changed.values["num_epochs"] == 7 and "sharpness" not in changed.values
    (warning,) = [words for words in version.warnings if "sharpness" in words]
    assert warning == "sharpness = 3 is left out: classifier-mobilenet-v2 has no such field any more."


def test_a_legacy_name_finds_its_template(desk: Desk) -> None:
    desk.new_model(template="MMClassification_ResNet_50_RSB_A1")
    assert desk.model(model="m").template == "classifier-resnet50-rsb-a1"


def test_a_change_of_template_keeps_the_values_both_have(desk: Desk) -> None:
    desk.new_model(values={"batch_size": 16, "num_epochs": 4})
    changed = desk.update_model(model="m", body=UpdateModel(template="classifier-resnet50-rsb-a1"))
    assert (changed.values["batch_size"], changed.values["num_epochs"]) == (16, 4)
    assert changed.values["per_item_lrate"] == pytest.approx(1.953125e-5), "not given, so the new template's default"
    with pytest.raises(InvalidParams):
        desk.update_model(model="m", body=UpdateModel(values={"num_epochs": 0}))
    assert desk.model(model="m").values["num_epochs"] == 4
