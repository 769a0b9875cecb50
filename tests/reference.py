"""What another service published of its templates, table by table: defaults, ranges, steps and choices of fields.

The service is Clarifai, whose names people bring along. Written down from its public pages and its lists of types:
`...` stands for what was published nowhere, None for a bound that there is not. Text models, and the inner names of
old templates that no person could choose, are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Published(NamedTuple):
    """A field as the service describes it. A boolean is true or false, an array holds numbers."""

    kind: str  # number, array, boolean, choice, text
    default: Any = ...
    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: tuple[Any, ...] = ()


def number(default: Any = ..., min: float | None = 0, max: float | None = None, step: float | None = None) -> Published:
    return Published("number", default, min, max, step)


def array(default: Any = ...) -> Published:
    return Published("array", default)


def boolean(default: Any = ...) -> Published:
    return Published("boolean", default)


def choice(default: Any, *choices: str) -> Published:
    return Published("choice", default, choices=choices)


# Outside the templates' own tables, for all of them.
COMMON = {
    "invalid_data_tolerance_percent": number(5, 0, 100, 1),
    "seed": number(-1, None),
    "num_gpus": number(1, None, 1, 1),
}

_WEIGHTS = choice("ImageNet-1k", "None", "ImageNet-1k")
_ALL_MM_CLASSIFIERS = {
    "flip_probability": number(0.5, 0, 1),
    "flip_direction": choice("horizontal", "horizontal", "vertical"),
    "concepts_mutually_exclusive": boolean(False),
}
_LEGACY = {
    "logreg": number(1, 0, 1, 1),
    "image_size": number(256, 32, 1024, 16),
    "batch_size": number(64, 1, 128, 1),
    "init_epochs": number(25, 1, 200, 1),
    "step_epochs": number(7, 1, 200, 1),
    "num_epochs": number(65, 1, 200, 1),
    "per_item_lrate": number(7.8125e-5),
    "num_items_per_epoch": number(0),
}
_ALL_MM_DETECTORS = {
    "image_size": array(),
    "batch_size": number(..., 1, 32, 1),
    "num_epochs": number(..., 1, 200, 1),
    "per_item_lrate": number(),
}
_RETINANET = {
    "image_size": Published("number", ..., 320, 800, None, (320, 512, 800)),
    "batch_size": number(..., 1, 16, 1),
    "num_epochs": number(..., 1, 200, 1),
    "use_perclass_regression": boolean(),
    "anchor_ratios": array(),
    "use_focal_loss": boolean(),
    "per_item_lrate": number(),
}
_ADVANCED = {"custom_config": Published("text", "{template}.py"), "image_size": array([320])}

TEMPLATES: dict[tuple[str, str], dict[str, Published]] = {
    ("visual-classifier", "MMClassification_ResNet_50_RSB_A1"): {
        "image_size": number(224),
        "batch_size": number(64, 1, 256, 1),
        "num_epochs": number(60, 1, 600, 1),
        "per_item_lrate": number(1.953125e-5),
        "weight_decay": number(0.01, 0, 1),
        "per_item_min_lrate": number(1.5625e-8),
        "warmup_iters": number(100),
        "warmup_ratio": number(1e-4),
        "pretrained_weights": _WEIGHTS,
        **_ALL_MM_CLASSIFIERS,
    },
    ("visual-classifier", "MMClassification_ResNet_50"): {
        "image_size": number(224),
        "batch_size": number(64, 1, 256, 1),
        "num_epochs": number(60, 1, 600, 1),
        "per_item_lrate": number(3.90625e-4),
        "learning_rate_steps": array([30, 40, 50]),
        "weight_decay": number(1e-4, 0, 1),
        "momentum": number(0.9, 0, 1),
        "pretrained_weights": _WEIGHTS,
        **_ALL_MM_CLASSIFIERS,
    },
    ("visual-classifier", "MMClassification_EfficientNet"): {
        "image_size": number(336),
        "batch_size": number(4, 1, 256, 1),
        "num_epochs": number(30, 1, 200, 1),
        "per_item_lrate": number(3.90625e-4),
        "weight_decay": number(1e-4, 0, 1),
        "momentum": number(0.9, 0, 1),
        "pretrained_weights": _WEIGHTS,
        **_ALL_MM_CLASSIFIERS,
    },
    ("visual-classifier", "MMClassification_AdvancedConfig"): {
        **_ADVANCED,
        "concepts_mutually_exclusive": boolean(False),
    },
    ("visual-classifier", "Clarifai_InceptionTransferEmbedNorm"): {
        "logreg": number(1, 0, 1, 1),
        "image_size": number(256, 32, 1024, 16),
        "batch_size": number(128, 1, 128, 1),
        "lrate": number(0.1),
        "base_gradient_multiplier": number(0.001),
        "num_epochs": number(20, 1, 200, 1),
        "num_items_per_epoch": number(0),
        "average_horizontal_flips": boolean(True),
    },
    ("visual-classifier", "Clarifai_ResNext"): _LEGACY,
    ("visual-classifier", "Clarifai_InceptionV2"): _LEGACY,
    ("visual-classifier", "Clarifai_InceptionBatchNorm"): _LEGACY,
    ("visual-detector", "MMDetection_YoloF"): {
        "image_size": array([512]),
        "keep_aspect_ratio": boolean(True),
        "max_aspect_ratio": number(1.5, 1.0, 5.0),
        "batch_size": number(16, 1, 32, 1),
        "num_epochs": number(100, 1, 200, 1),
        "min_samples_per_epoch": number(300, 1, 10000, 1),
        "per_item_lrate": number(0.001875),
        "pretrained_weights": choice("coco", "None", "coco"),
        "frozen_stages": number(1, 1, 4, 1),
    },
    ("visual-detector", "MMDetection_SSD"): {
        **_ALL_MM_DETECTORS,
        "pretrained_weights": choice(..., "None", "coco"),
    },
    ("visual-detector", "MMDetection_FasterRCNN"): {
        **_ALL_MM_DETECTORS,
        "random_resize_lower": array([]),
        "random_resize_upper": array([]),
        "pretrained_weights": choice("coco", "None", "coco"),
    },
    ("visual-detector", "MMDetection_YOLOX"): {
        **_ALL_MM_DETECTORS,
        "keep_aspect_ratio": boolean(),
        "max_aspect_ratio": number(..., 1.0, 5.0),
        "min_samples_per_epoch": number(..., 1, 10000, 1),
        "pretrained_weights": choice(..., "None", "coco"),
        "frozen_stages": number(..., 1, 4, 1),
        "load_from": Published("text"),
    },
    ("visual-detector", "Clarifai_InceptionV4"): _RETINANET,
    ("visual-detector", "Clarifai_InceptionV2"): _RETINANET,
    ("visual-detector", "MMDetection_AdvancedConfig"): _ADVANCED,
    ("visual-embedder", "Clarifai_ResNet_AngularMargin"): {
        "image_size": number(..., 32, 1024, 16),
        "batch_size": number(..., 1, 128, 1),
        "init_epochs": number(..., 1, 200, 1),
        "step_epochs": number(..., 1, 200, 1),
        "num_epochs": number(..., 1, 200, 1),
        "per_item_lrate": number(),
        "num_items_per_epoch": number(0),
        "angular_scale": number(..., 16, 128, 16),
        "angular_margin": number(..., 0.1, 0.9),
        "embeddings_size": number(..., None),
    },
    ("visual-embedder", "Clarifai_InceptionBatchNorm"): _LEGACY,
    ("visual-embedder", "Clarifai_ResNext"): _LEGACY,
    ("visual-segmenter", "MMSegmentation_SegFormer"): {
        "image_size": array([520]),
        "batch_size": number(2, 1, 16, 1),
        "num_epochs": number(1, 1, 200, 1),
        "per_item_lrate": number(7.5e-6),
        "pretrained_weights": choice("ade20k", "None", "ade20k"),
    },
    ("visual-segmenter", "MMSegmentation_AdvancedConfig"): {**_ADVANCED, "image_size": array()},
    # It has no template there.
    ("embedding-classifier", "transfer-linear"): {
        "base_embed_model": Published("text"),
        "enrich_dataset": choice("Automatic", "Automatic", "Disabled"),
        "concepts_mutually_exclusive": boolean(False),
    },
}


def parameter_file(type: str, template: str) -> dict[str, Any]:
    """The service's own file of a template with every published default, as its SDK writes it: numbers are floats."""
    fields = {name: _written(field.default, template) for name, field in TEMPLATES[type, template].items()}
    common = {name: _written(field.default, template) for name, field in COMMON.items()}
    document: dict[str, Any] = {"dataset_id": "", "dataset_version_id": "", "concepts": [], "train_params": fields}
    if type == "embedding-classifier":
        document["concepts_mutually_exclusive"] = fields.pop("concepts_mutually_exclusive")
        return document | {"inference_params": {"min_value": 0.0}}
    document["train_params"] |= {"template": template, **common}
    chosen = {"detection_threshold": 0.0} if type == "visual-detector" else {"select_concepts": []}
    return document | {"inference_params": chosen}


def _written(default: Any, template: str) -> Any:
    """A field without a default is written as null."""
    if isinstance(default, list):
        return [_written(value, template) for value in default]
    if isinstance(default, int) and not isinstance(default, bool):
        return float(default)
    if isinstance(default, str):
        return default.format(template=template)
    return None if default is ... else default
