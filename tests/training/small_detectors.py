"""Each detector in its smallest variant: the values it trains with in the tests, and what is smaller in its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import msgspec
import torch

from deepft_lab import spec
from deepft_lab.catalog import Catalog
from deepft_lab.training import tasks
from deepft_lab.training.detection import pictures
from deepft_lab.training.tasks.detect import Detect

CONCEPTS = ["a", "b", "c"]
SMALL_HEAD = {
    "proposals": [20, 20], "candidates": [50, 50], "region_samples": 16, "hidden": [32], "region_convolutions": 0,
}  # fmt: skip
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # values, and what is smaller in the recipe
    "detector-faster-rcnn-light": ({"per_item_lrate": 5e-4}, {"head": SMALL_HEAD}),
    "detector-faster-rcnn": (
        {"per_item_lrate": 1e-3, "random_resize_lower": [64], "random_resize_upper": [80]},
        {"backbone": {"name": "resnet18"}, "neck": {"channels": 16}, "head": SMALL_HEAD},
    ),
    "detector-retinanet": (
        {"per_item_lrate": 1e-3, "use_perclass_regression": True, "use_focal_loss": False},
        {"backbone": {"name": "resnet18"}, "neck": {"channels": 16}, "sizes": []},
    ),
    "detector-ssd": (
        {"image_size": [96, 96], "per_item_lrate": 1e-3},
        {
            "backbone": {"name": "ssdlite_mobilenet_v3_large", "strides": [16, 32, 64, 107, 160, 320]},
            "head": {"towers": "separable"},
        },
    ),
    "detector-yolof": (
        {"per_item_lrate": 1e-3}, {"backbone": {"name": "resnet18"}, "neck": {"channels": 32}},
    ),
    "detector-rt-detr": (
        {"image_size": [64, 64], "per_item_lrate": 1e-4},
        {
            "backbone": {"name": "resnet18"}, "neck": {"channels": 32, "depth": 0.33},
            "head": {"queries": 20, "layers": 2},
        },
    ),
    "detector-yolox": (
        {"per_item_lrate": 2.5e-3},
        {
            "backbone": {"name": "csp_darknet", "arguments": {"depth": 0.33, "width": 0.25}},
            "neck": {"channels": 32, "depth": 0.33}, "head": {"channels": 32},
        },
    ),
}  # fmt: skip

ADVANCED = """
backbone: {name: timm/resnet10t, strides: [8, 16]}
neck: {name: fpn, channels: 16}
head: {name: dense, anchors: {scales: [2]}, towers: none}
optimizer: {name: adamw}
"""
EVERY = {**RUNS, "detector-advanced": ({"per_item_lrate": 1e-3, "config": ADVANCED}, {})}
VALUES = {
    "pretrained_weights": "None", "image_size": [64], "batch_size": 4, "num_epochs": 5, "warmup_iters": 0,
    "min_samples_per_epoch": 1, "augmentation": "none", "flip_probability": 0,
}  # fmt: skip


def job_of(folder: Path, template: str, training: Any, validation: Any, **more: Any) -> spec.JobSpec:
    """A job of the smallest variant. It trains with `VALUES` and the template's own of `RUNS`, and with `more`."""
    own, changes = EVERY[template]
    fields = {field.name for field in Catalog().get(template).fields}
    values = {name: value for name, value in {**VALUES, **own, **more}.items() if name in fields}
    size = values.pop("image_size")
    least = [320] if template == "detector-retinanet" else size  # what its field allows
    job = job_folders.make(
        folder, training, validation, template=template, exclusive=False, threads=1, image_size=least, **values
    )
    return smaller(msgspec.structs.replace(job, values={**job.values, "image_size": size}), folder, changes)


def smaller(job: spec.JobSpec, folder: Path, changes: dict[str, Any]) -> spec.JobSpec:
    """The job with parts of its recipe exchanged."""
    recipe = {name: dict(part) if isinstance(part, dict) else part for name, part in job.template.recipe.items()}
    for name, part in changes.items():
        recipe[name] = {**recipe[name], **part} if isinstance(part, dict) else part
    template = msgspec.structs.replace(job.template, recipe=recipe)
    made = msgspec.structs.replace(job, template=template)
    made = msgspec.structs.replace(made, stored_side=tasks.of_job(made).kept_side)
    spec.write(folder / "spec.json", made)
    return made


def recipe_of(template: str) -> dict[str, Any]:
    """The template's recipe, smaller."""
    recipe = Catalog().get(template).recipe
    found = {name: dict(part) if isinstance(part, dict) else part for name, part in recipe.items()}
    for name, part in RUNS[template][1].items():
        found[name] = {**found[name], **part} if isinstance(part, dict) else part
    return found


def small(template: str, more: dict[str, Any] | None = None, **values: Any) -> Detect:
    """A detector of three concepts with given values, and with `more` changes of its recipe."""
    recipe = recipe_of(template)
    for name, part in (more or {}).items():
        recipe[name] = {**recipe.get(name, {}), **part}
    complete = {field.name: field.default for field in Catalog().get(template).fields}
    complete |= {"image_size": [96, 96] if template == "detector-ssd" else [64], **values}
    task = tasks.make("visual-detector", recipe, complete, CONCEPTS, exclusive=False)
    assert isinstance(task, Detect)
    return task


def target(*rows: tuple[float, ...], ignored: tuple[tuple[float, ...], ...] = ()) -> pictures.Target:
    """Boxes in pixels and ignored regions, with their labels in the last place."""
    boxes, regions = (torch.tensor(some, dtype=torch.float32).reshape(-1, 5) for some in (rows, ignored))
    return {
        "boxes": boxes[:, :4], "labels": boxes[:, 4].long(),
        "ignored": regions[:, :4], "ignored_labels": regions[:, 4].long(),
        "size": torch.tensor([64, 64]),
    }  # fmt: skip
