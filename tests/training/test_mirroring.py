"""Mirroring can be switched off in every template: it spoils text, digits, and what left and right tell apart."""

from __future__ import annotations

import pytest
import torch

from deepft_lab import params
from deepft_lab.catalog import Catalog
from deepft_lab.records import Template
from deepft_lab.training import augment, tasks
from deepft_lab.training.tasks.classify import Classify

TEMPLATES = {template.id: template for template in Catalog().list().templates}
MIRRORING = [id for id, template in TEMPLATES.items() if template.type != "embedding-classifier"]
OFF = {"flip_probability": 0.0, "average_horizontal_flips": False}


def flip_of(template: Template, **values: object) -> augment.Flip:
    """How training images are mirrored with these values, those that the template has."""
    complete = params.defaults(template.fields)
    complete |= {name: value for name, value in values.items() if name in complete}
    task = tasks.make(template.type, template.recipe, complete, ["a", "b"], exclusive=True)
    return task.flip if isinstance(task, Classify) else augment.flip_of(complete)


@pytest.mark.parametrize("id", MIRRORING)
def test_mirroring_is_on_by_default_and_can_be_switched_off(id: str) -> None:
    template = TEMPLATES[id]
    assert flip_of(template).probability == 0.5
    assert flip_of(template, **OFF).probability == 0.0
    assert flip_of(template, **OFF, augmentation="none").probability == 0.0
    assert len({*OFF} & {field.name for field in template.fields}) == 1


@pytest.mark.parametrize("id", [id for id in MIRRORING if id != "classifier-embednorm"])
def test_mirroring_has_its_direction(id: str) -> None:
    assert flip_of(TEMPLATES[id], flip_probability=1.0, flip_direction="vertical") == (1.0, "vertical")


def test_embeddings_are_of_pictures_as_they_are_so_that_no_field_changes_them() -> None:
    template = TEMPLATES["transfer-linear"]
    fields = {field.name for field in template.fields}
    assert not {"augmentation", "flip_probability", "flip_direction"} & fields
    assert all("augmentation" in {field.name for field in TEMPLATES[id].fields} for id in MIRRORING)
    task = tasks.make(template.type, template.recipe, params.defaults(template.fields), ["a", "b"], exclusive=True)
    picture = torch.randint(0, 255, (60, 90, 3), dtype=torch.uint8)
    targets = [torch.tensor([1.0, 0.0])]
    shown = [task.train_batch([picture], targets, []).images, task.test_batch([picture]).images]
    assert torch.equal(*shown)
