"""The advanced templates, and what their configurations are and are not."""

from __future__ import annotations

from typing import Any

from deepft_lab.catalog import Catalog
from deepft_lab.records import Fault
from deepft_lab.training import recipes

CLASSIFIER, DETECTOR, SEGMENTER = "classifier-advanced", "detector-advanced", "segmenter-advanced"


def faults_of(template: str, text: str) -> list[Fault]:
    return recipes.check(Catalog().get(template), {"config": text})[1]


def plan_of(template: str, text: str, **values: Any) -> Any:
    found = Catalog().get(template)
    complete, faults = recipes.check(found, {"config": text, **values})
    assert not faults, faults
    return recipes.settled(recipes.read(found.recipe, found.type), complete)
