"""Each template of classifiers, embedders and embedding classifiers, in its smallest variant, through a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import pytest
import torch
from coloured import coloured

from deepft_lab.catalog import Catalog
from deepft_lab.training import architectures
from deepft_lab.training.loop import train
from deepft_lab.training.predicting import Predictor

SMALL = {"pretrained_weights": "None", "image_size": 64, "batch_size": 6, "num_epochs": 3}
RUNS: dict[str, dict[str, Any]] = {
    "classifier-resnet50-rsb-a1": {"per_item_lrate": 1e-3, "warmup_iters": 0, "augmentation": "none"},
    "classifier-resnet50": {"per_item_lrate": 3e-4, "learning_rate_steps": [2]},
    "classifier-efficientnet": {"variant": "b0", "per_item_lrate": 2e-3},
    "classifier-embednorm": {"image_size": 80, "lrate": 0.005, "num_epochs": 4},
    "classifier-resnext": {"per_item_lrate": 3e-4, "init_epochs": 2, "step_epochs": 1},
    "classifier-inception-v2": {"per_item_lrate": 1e-3, "logreg": 0},
    "classifier-inception-batchnorm": {"per_item_lrate": 3e-4},
    "classifier-mobilenet-v2": {"per_item_lrate": 2e-4},
    "classifier-efficientnetv2": {"variant": "b0", "per_item_lrate": 3e-5, "num_epochs": 4},
    "classifier-convnext": {"per_item_lrate": 5e-5},
    "classifier-vit-dinov2": {"per_item_lrate": 2e-5},
    "embedder-angular-margin": {"per_item_lrate": 1e-3, "angular_scale": 16, "embeddings_size": 16},
    "embedder-inception-batchnorm": {"per_item_lrate": 3e-4},
    "embedder-resnext": {"per_item_lrate": 3e-4},
    "embedder-mobilenet-v2": {"per_item_lrate": 2e-4},
    "transfer-linear": {"k_folds": 3, "num_epochs": 8, "per_item_lrate": 2e-3},
}
TYPES = ("visual-classifier", "visual-embedder", "embedding-classifier")
ADVANCED = {"classifier-advanced"}  # has tests of its own


def test_every_template_of_these_types_is_run_here() -> None:
    known = {template.id for template in Catalog().list().templates if template.type in TYPES}
    assert known - ADVANCED == set(RUNS)


@pytest.mark.parametrize("template", RUNS)
def test_a_template_learns_evaluates_saves_and_predicts(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    if template == "embedder-angular-margin":  # 44 million weights and no smaller variant: the same blocks, fewer
        monkeypatch.setitem(architectures.ARCHITECTURES, "resnet101", architectures.ARCHITECTURES["resnet18"])
    fields = {field.name for field in Catalog().get(template).fields}
    values = {name: value for name, value in {**SMALL, **RUNS[template]}.items() if name in fields}
    held_out = coloured(8, first=500)
    job = job_folders.make(tmp_path, coloured(12), held_out, template=template, threads=1, **values)
    told: list[tuple[str, dict[str, Any]]] = []
    result = train(job, tmp_path, lambda kind, step=0, **data: told.append((kind, data)))

    losses = [data["train_loss"] for kind, data in told if kind == "epoch"]
    assert min(losses[1:]) < losses[0]
    task_figures = {
        "visual-classifier": {"accuracy", "f1_macro", "roc_auc_macro"},
        "visual-embedder": {"recall_at_1", "recall_at_5", "mAP_at_R", "knn_accuracy"},
        "embedding-classifier": {"accuracy", "f1_macro", "roc_auc_macro", "k_fold_accuracy"},
    }[job.type]
    assert all(result.metrics[name] is not None for name in task_figures)
    assert set(result.metrics_by_concept) == {"red", "blue"}

    pictures = [content for content, _ in held_out]
    predictor = Predictor(tmp_path / "model")
    first = predictor.predict(pictures)
    if job.type == "visual-embedder":
        lengths = [sum(number * number for number in prediction.embedding) for prediction in first]
        assert lengths == pytest.approx([1.0] * len(first), rel=1e-4)
    else:
        assert all({value.concept for value in prediction.concepts} == {"red", "blue"} for prediction in first)
        right = sum(prediction.concepts[0].concept in labels for prediction, (_, labels) in zip(first, held_out))  # noqa: B905
        assert right / len(first) == pytest.approx(result.metrics["accuracy"])
    assert Predictor(tmp_path / "model").predict(pictures) == first
