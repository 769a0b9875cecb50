"""Each template as it stands: its own network at its own image size, from a random start. Left to `make test-all`."""

from __future__ import annotations

import math
from pathlib import Path

import job_folders
import photographs
import pytest
from after_a_kill import Told

from deepft_lab.catalog import Catalog
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TEMPLATES = {template.id: template.type for template in Catalog().list().templates}
SAMPLES = {"visual-detector": photographs.boxed, "visual-segmenter": photographs.outlined}
SHORT = {"pretrained_weights": "None", "batch_size": 2, "num_epochs": 1, "min_samples_per_epoch": 1}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_trains_evaluates_saves_and_predicts_at_its_full_size(template: str, tmp_path: Path) -> None:
    sample = SAMPLES.get(TEMPLATES[template], photographs.classified)()
    training = [*sample.training[:2], *sample.training[-2:]]
    held_out = [*sample.validation[:2], *sample.validation[-2:]]
    fields = {field.name: field.default for field in Catalog().get(template).fields}
    values = {name: value for name, value in SHORT.items() if name in fields}
    of_regions = TEMPLATES[template] in SAMPLES
    job = job_folders.make(tmp_path, training, held_out, template=template, exclusive=not of_regions, **values)
    assert all(job.values[name] == fields[name] for name in ("image_size", "variant", "config") if name in fields)
    told = Told()
    result = train(job, tmp_path, told)

    started = told.of("started")[0]
    assert (result.outcome, started["steps"]) == ("trained", 2)
    assert math.isfinite(told.of("epoch")[0]["train_loss"])
    assert result.metrics[started["best_metric"]] is not None
    found = Predictor(tmp_path / "model").predict([content for content, *_ in held_out])
    assert len(found) == len(held_out) and not any(prediction.error for prediction in found)
    if not of_regions:
        assert all(prediction.concepts or prediction.embedding for prediction in found)
