"""Each template of classifiers, embedders and embedding classifiers, in its smallest variant, through a whole run.

On photographs where they are at hand; and once more from the middle, as after a kill.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import photographs
import pytest
import torch
from after_a_kill import train_and_go_on

from deepft_lab.catalog import Catalog
from deepft_lab.training import architectures
from deepft_lab.training.predicting import Predictor

SMALL = {"pretrained_weights": "None", "image_size": 64, "batch_size": 6, "num_epochs": 3, "augmentation": "none"}
RUNS: dict[str, dict[str, Any]] = {
    "classifier-resnet50-rsb-a1": {"per_item_lrate": 1e-3, "warmup_iters": 0, "augmentation": "template"},
    "classifier-resnet50": {"per_item_lrate": 3e-4, "learning_rate_steps": [2]},
    "classifier-efficientnet": {"variant": "b0", "per_item_lrate": 2e-3},
    "classifier-embednorm": {"image_size": 80, "lrate": 0.005},
    "classifier-resnext": {"per_item_lrate": 1e-3, "init_epochs": 2, "step_epochs": 1},
    "classifier-inception-v2": {"per_item_lrate": 1e-3, "logreg": 0},
    "classifier-inception-batchnorm": {"per_item_lrate": 3e-4},
    "classifier-mobilenet-v2": {"per_item_lrate": 2e-4},
    "classifier-efficientnetv2": {"variant": "b0", "per_item_lrate": 3e-5},
    "classifier-convnext": {"per_item_lrate": 3e-6},
    "classifier-vit-dinov2": {"per_item_lrate": 2e-5},
    "classifier-advanced": {
        "config": "backbone: {name: timm/resnet10t}\nhead: {dropout: 0.1}\noptimizer: {name: adamw}",
        "per_item_lrate": 1e-3,
    },
    "embedder-angular-margin": {"per_item_lrate": 1e-3, "angular_scale": 16, "embeddings_size": 16, "num_epochs": 4},
    "embedder-inception-batchnorm": {"per_item_lrate": 3e-4, "num_epochs": 4},
    "embedder-resnext": {"per_item_lrate": 3e-4},
    "embedder-mobilenet-v2": {"per_item_lrate": 2e-4},
    "transfer-linear": {"k_folds": 3, "num_epochs": 8, "per_item_lrate": 2e-3},
}
TYPES = ("visual-classifier", "visual-embedder", "embedding-classifier")


def test_every_template_of_these_types_is_run_here() -> None:
    known = {template.id for template in Catalog().list().templates if template.type in TYPES}
    assert known == set(RUNS)


@pytest.mark.parametrize("template", RUNS)
def test_a_template_learns_evaluates_resumes_saves_and_predicts(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    if template == "embedder-angular-margin":  # 44 million weights and no smaller variant: the same blocks, fewer
        monkeypatch.setitem(architectures.ARCHITECTURES, "resnet101", architectures.ARCHITECTURES["resnet18"])
    fields = {field.name for field in Catalog().get(template).fields}
    values = {name: value for name, value in {**SMALL, **RUNS[template]}.items() if name in fields}
    sample = photographs.classified()
    folder = tmp_path / "job"
    job = job_folders.make(folder, *sample, template=template, threads=1, **values)
    result, told = train_and_go_on(job, folder, monkeypatch, step=3)

    losses = [data["train_loss"] for data in told.of("epoch")]
    assert min(losses[1:]) < losses[0]
    task_figures = {
        "visual-classifier": {"accuracy", "f1_macro", "roc_auc_macro"},
        "visual-embedder": {"recall_at_1", "recall_at_5", "mAP_at_R", "knn_accuracy"},
        "embedding-classifier": {"accuracy", "f1_macro", "roc_auc_macro", "k_fold_accuracy"},
    }[job.type]
    assert all(result.metrics[name] is not None for name in task_figures)
    assert set(result.metrics_by_concept) == sample.concepts

    pictures = [content for content, _ in sample.validation]
    first = Predictor(folder / "model").predict(pictures)
    if job.type == "visual-embedder":
        lengths = [sum(number * number for number in prediction.embedding) for prediction in first]
        assert lengths == pytest.approx([1.0] * len(first), rel=1e-4)
    else:
        assert all({value.concept for value in prediction.concepts} == sample.concepts for prediction in first)
        right = sum(
            prediction.concepts[0].concept in labels
            for prediction, (_, labels) in zip(first, sample.validation, strict=True)
        )
        assert right / len(first) == pytest.approx(result.metrics["accuracy"])
    assert Predictor(folder / "model").predict(pictures) == first
