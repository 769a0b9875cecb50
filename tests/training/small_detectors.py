"""Each detector in its smallest variant: the values it trains with in the tests, and what is smaller in its recipe."""

from __future__ import annotations

from typing import Any

import torch

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
