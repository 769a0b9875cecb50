"""Whether a template's fields and its recipe fit each other: choices, names and types that only a run would miss.

    faults = agreement.check(template, plan)     # each at its path in the file; the parts by themselves are sound

A field that nothing reads would stand in the form without any effect, so its name is a fault. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from deepft_lab import params
from deepft_lab.records import Fault, Field, Template
from deepft_lab.training.recipes import advanced, backbones, builders, checking, common, steps
from deepft_lab.training.recipes.detector import Dense, Detector
from deepft_lab.training.recipes.embedder import Embedder
from deepft_lab.training.recipes.parts import Base, Installed

# What the training reads, by the types that a field of the name may have.
KNOWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("batch_size", "num_epochs", "init_epochs", "step_epochs", "warmup_iters", "num_items_per_epoch",
         "min_samples_per_epoch", "frozen_stages", "embeddings_size", "k_folds", "logreg", "seed", "num_gpus",
         "early_stopping_patience", "gradient_accumulation"),
        ("integer",),
    ),
    **dict.fromkeys(
        ("per_item_lrate", "per_item_min_lrate", "lrate", "base_gradient_multiplier", "warmup_ratio", "weight_decay",
         "momentum", "flip_probability", "max_aspect_ratio", "angular_scale", "angular_margin", "validation", "ema",
         "max_minutes", "invalid_data_tolerance_percent"),
        ("number", "integer"),
    ),
    **dict.fromkeys(
        ("keep_aspect_ratio", "average_horizontal_flips", "use_perclass_regression", "use_focal_loss", "compile"),
        ("boolean",),
    ),
    **dict.fromkeys(
        ("pretrained_weights", "variant", "backbone", "flip_direction", "concepts_mutually_exclusive", "augmentation",
         "class_weights", "mixed_precision", "decode"),
        ("choice",),
    ),
    **dict.fromkeys(("config", "base_model", "resume_from"), ("text",)),
    **dict.fromkeys(("learning_rate_steps", "anchor_ratios"), ("numbers", "integers")),
    **dict.fromkeys(("random_resize_lower", "random_resize_upper"), ("integers",)),
}  # fmt: skip
# Names that are read for some types of models alone.
_CLASSIFIER, _DETECTOR, _EMBEDDER = ("visual-classifier",), ("visual-detector",), ("visual-embedder",)
_SEGMENTER, _TRANSFER = ("visual-segmenter",), ("embedding-classifier",)
ONLY: dict[str, tuple[str, ...]] = {
    "logreg": (*_CLASSIFIER, *_EMBEDDER, *_TRANSFER),
    "concepts_mutually_exclusive": (*_CLASSIFIER, *_TRANSFER),  # an embedder's concepts always are
    **dict.fromkeys(("average_horizontal_flips", "base_gradient_multiplier"), _CLASSIFIER),
    **dict.fromkeys(
        ("flip_probability", "flip_direction", "augmentation"), (*_CLASSIFIER, *_DETECTOR, *_EMBEDDER, *_SEGMENTER)
    ),  # embeddings of an embedding classifier are computed once, of pictures as they are
    **dict.fromkeys(("angular_scale", "angular_margin", "embeddings_size"), _EMBEDDER),
    **dict.fromkeys(("k_folds", "base_model", "backbone"), _TRANSFER),
    **dict.fromkeys(
        ("frozen_stages", "keep_aspect_ratio", "max_aspect_ratio", "random_resize_lower", "random_resize_upper",
         "anchor_ratios", "use_perclass_regression", "use_focal_loss"),
        _DETECTOR,
    ),
    advanced.FIELD: tuple(model_type for model_type, _ in advanced.CONFIGS.values()),
}  # fmt: skip
_SIZES = {"visual-detector": ("integers",), "visual-segmenter": ("integers", "integer")}  # others: one integer
# Fields whose choices are what the training knows.
CHOICES: dict[str, tuple[str, ...]] = {
    "flip_direction": ("horizontal", "vertical"),
    "concepts_mutually_exclusive": ("auto", "true", "false"),
    **{field.name: tuple(field.choices) for field in common.FIELDS if field.choices},
}
# Fields that some schedules alone read (schedules.py).
_OF_SCHEDULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("init_epochs", "step_epochs"), ("init_step",)),
    "learning_rate_steps": ("steps",),
    "per_item_min_lrate": ("cosine", "steps", "init_step", "linear", "poly"),
}
# Fields that are read beside another one alone.
_BESIDE = {"warmup_ratio": "warmup_iters", "flip_direction": "flip_probability"}
_WITH_ARGUMENTS = ("optimizer", "schedule", "backbone", "neck", "head", "loss")


def check(template: Template, plan: Base) -> list[Fault]:
    """Every disagreement of a template with its recipe, `plan`."""
    fields = {field.name: field for field in template.fields}
    faults = [fault for field in template.fields for fault in _of_field(field, template.type)]
    told = {fault.field for fault in faults}
    faults += [
        Fault(f"fields.{name}", name, f"Nothing in this template reads it. {why}")
        for name, why in _unread(plan, fields)
        if name in fields and f"fields.{name}" not in told
    ]
    faults += _of_variants(plan, fields)
    faults += _of_weights(plan, fields)
    faults += _of_backbone(plan, template.type)
    faults += _of_depth(plan)
    faults += _of_head(plan, template.type)
    augment = getattr(plan, "augment", None)
    faults += steps.faults("recipe.augment.steps", msgspec.to_builtins(getattr(augment, "steps", ())), template.type)
    for key in _WITH_ARGUMENTS:
        part = getattr(plan, key, None)
        if isinstance(part, Installed):
            continue
        name, arguments = getattr(part, "name", ""), getattr(part, "arguments", None)
        if arguments and not isinstance(builders.find(key, name, template.type), builders.Builder):
            faults += checking.of_arguments(f"recipe.{key}.arguments", name, arguments)
    return faults


def _of_field(field: Field, model_type: str) -> list[Fault]:
    place = f"fields.{field.name}"
    known = {name: types for name, types in KNOWN.items() if model_type in ONLY.get(name, (model_type,))}
    known["image_size"] = _SIZES.get(model_type, ("integer",))
    if field.name not in known:
        way_out = params.meant(field.name, known) or f" Known are: {', '.join(sorted(known))}."
        whose = builders.with_article(model_type)
        return [Fault(place, field.name, f"Nothing in {whose} reads a field of this name.{way_out}")]
    if field.type not in known[field.name]:
        reason = f"The training reads {field.name} as {' or '.join(known[field.name])}."
        return [Fault(f"{place}.type", field.type, reason)]
    strange = [choice for choice in field.choices if choice not in CHOICES.get(field.name, field.choices)]
    if strange:
        reason = f"The training knows {', '.join(CHOICES[field.name])}."
        return [Fault(f"{place}.choices", strange, reason)]
    return []


def _unread(plan: Any, fields: dict[str, Field]) -> Iterator[tuple[str, str]]:
    """Names of fields that other templates of the type read and this one does not, each with the reason."""
    if "lrate" in fields:
        yield "per_item_lrate", "lrate, which is of a whole step, comes first: keep one of the two."
    for name, needed in _BESIDE.items():
        if needed not in fields:
            yield name, f"It means something beside {needed} alone."
    if advanced.FIELD not in fields:  # a configuration may name another optimizer, schedule or head
        if plan.optimizer.name != "sgd":
            yield "momentum", f"The recipe's optimizer is {plan.optimizer.name}, which has none; sgd has."
        for name, schedules in _OF_SCHEDULES.items():
            if plan.schedule.name not in schedules:
                yield name, f"The recipe's schedule is {plan.schedule.name}; it is read by {', '.join(schedules)}."
    if isinstance(plan, Detector) and advanced.FIELD not in fields:
        yield from _unread_by_head(plan)
    if isinstance(plan, Embedder):
        if plan.margin is None:
            yield from dict.fromkeys(("angular_scale", "angular_margin"), "The recipe has no margin.").items()
        else:
            yield "logreg", "The recipe has a margin, so its loss is on angles."
        if not plan.projection:
            yield "embeddings_size", "The recipe has no projection: the embedding is what its backbone gives."


def _unread_by_head(plan: Detector) -> Iterator[tuple[str, str]]:
    """Of a detector's head."""
    if not isinstance(plan.head, Dense):
        for name in ("use_perclass_regression", "use_focal_loss"):
            yield name, "It is of a head of the name dense."
    anchors = getattr(plan.head, "anchors", None)
    if anchors is None or anchors.fitted or anchors.sides:
        yield "anchor_ratios", "The recipe's head has no anchors of stated ratios."


def _of_variants(plan: Any, fields: dict[str, Field]) -> list[Fault]:
    chooser = fields.get("variant") or fields.get("backbone")
    faults: list[Fault] = []
    kind: Any = type(plan)
    hints = checking.hints_of(kind)
    networks = checking.options(hints.get("architecture", hints.get("network")))
    for name, variant in plan.variants.items():
        if not networks:
            reason = "A detector has no variants: state its backbone in the recipe."
            faults.append(Fault(f"recipe.variants.{name}", variant.architecture, reason))
        elif variant.architecture not in networks:
            reason = f"It is one of {', '.join(networks)}."
            faults.append(Fault(f"recipe.variants.{name}.architecture", variant.architecture, reason))
    if chooser is None:
        return faults + _unless(
            not plan.variants, "recipe.variants", list(plan.variants), "No field `variant` chooses."
        )
    lacking = [choice for choice in chooser.choices if choice not in plan.variants]
    reason = f"The recipe's variants are {', '.join(plan.variants) or 'none'}."
    return faults + _unless(not lacking, f"fields.{chooser.name}.choices", lacking, reason)


def _of_weights(plan: Any, fields: dict[str, Field]) -> list[Fault]:
    """Each choice of `pretrained_weights` but None names a file, in the recipe or in each of its variants."""
    field = fields.get("pretrained_weights")
    if field is None:
        return []
    own = advanced.FIELD in fields and type(plan) in advanced.CONFIGS  # the configuration names the file
    sets = [variant.weights for variant in plan.variants.values()] or [plan.weights]
    named = [{*weights, "None", *((advanced.FIELD,) if own else ())} for weights in sets]
    lacking = [choice for choice in field.choices if not all(choice in names for names in named)]
    known = ", ".join(sorted(set.intersection(*named)))
    return _unless(not lacking, f"fields.{field.name}.choices", lacking, f"The recipe's weights are {known}.")


def _of_backbone(plan: Any, model_type: str) -> list[Fault]:
    name: Any = getattr(getattr(plan, "backbone", None), "name", None)
    reason = "" if name is None else backbones.fault(name)
    if not reason or isinstance(builders.find("backbone", name, model_type), builders.Builder):
        return []
    return [Fault("recipe.backbone.name", name, builders.refusal("backbone", name, model_type) or reason)]


def _of_head(plan: Any, model_type: str) -> list[Fault]:
    head = getattr(plan, "head", None)
    if not isinstance(head, Installed):
        return []
    return steps.of_installed("recipe.head", "builder", "head", head.builder, head.arguments, model_type)


def _of_depth(plan: Any) -> list[Fault]:
    """Blocks are left out at random only where the networks have such blocks."""
    networks = [variant.architecture for variant in plan.variants.values()] or [getattr(plan, "architecture", "")]
    lacking = [name for name in networks if name and not backbones.takes(name).depth]
    depth = getattr(plan, "stochastic_depth", 0.0)
    reason = f"{', '.join(lacking)}: no blocks that can be left out. Leave this key out."
    return _unless(not depth or not lacking, "recipe.stochastic_depth", depth, reason)


def _unless(sound: bool, field: str, value: Any, reason: str) -> list[Fault]:
    return [] if sound else [Fault(field, value, reason)]
