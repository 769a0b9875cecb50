"""What a detector or a segmenter trains on: inputs with their regions, their split, and everything that is wrong.

A detector takes every region through its box. A segmenter takes polygons and masks; an input where one of the model's
concepts has boxes alone is left out, since its pixels are not known. Inputs of a chosen dataset that bear no region
train as empty ones; without a dataset, only inputs with a region are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from deepft_lab.lab.examples import Example
from deepft_lab.lab.selection import Selection, leave_out, leave_out_shared, warn_of_no_validation
from deepft_lab.lab.split import hold_out
from deepft_lab.records import Fault

USABLE: dict[str, frozenset[str]] = {
    "visual-detector": frozenset({"box", "polygon", "mask"}),
    "visual-segmenter": frozenset({"polygon", "mask"}),
}


def mark(examples: list[Example], type: str) -> tuple[list[Example], int]:
    """Examples whose labels say which concepts have a region that the type can use; and how many inputs bear a
    positive label of a concept without any region of it.

    A point says that its concept is there, but not how far it reaches: as a label does.
    """
    usable = USABLE[type]
    marked, unlocated = [], 0
    for example in examples:
        found = {r.concept for r in example.regions if r.kind in usable and not r.ignored}
        anywhere = {r.concept for r in example.regions if r.kind != "point"}
        pointed = {r.concept for r in example.regions if r.kind == "point" and r.concept and not r.ignored}
        undrawn = [concept for concept in sorted({*example.positives(), *pointed}) if concept not in anywhere]
        unlocated += not pointed.issuperset(undrawn)
        labels = dict.fromkeys(sorted(found), 1)
        marked.append(msgspec.structs.replace(example, labels=labels, undrawn=undrawn))
    return marked, unlocated


def select_regions(
    *,
    type: str,
    concepts: Sequence[str],
    source: list[Example],
    validation: list[Example] | None,
    fraction: float,
    seed: int,
    names: tuple[str, str] = ("", ""),
) -> Selection:
    """`source` and `validation` come from `mark`. Without `validation`, `fraction` is held out."""
    chosen = Selection(training=source, validation=validation or [], faults=[], warnings=[])
    everything = source + (validation or [])
    leave_out_shared(chosen, names)
    known = set(concepts)
    if type == "visual-segmenter":
        leave_out(
            chosen,
            lambda example: bool(_only_boxes(example, type) & known),
            "have boxes alone of one of the concepts, where a segmenter needs polygons or masks",
        )
    points = sum(region.kind == "point" and region.concept in known for e in everything for region in e.regions)
    if points:
        chosen.warnings.append(f"{'1 point is' if points == 1 else f'{points} points are'} not trained on.")
    if validation is None and fraction:
        chosen.training, chosen.validation = hold_out(chosen.training, fraction, seed)
        warn_of_no_validation(chosen, fraction)
    _check(chosen, concepts, everything, type, names[0])
    chosen.training = [_kept(example, known, type) for example in chosen.training]
    chosen.validation = [_kept(example, known, type) for example in chosen.validation]
    empty = sum(not example.labels for example in chosen.training)
    if empty:
        verb = "bears no region and trains" if empty == 1 else "bear no region and train"
        chosen.warnings.append(f"{empty} of {len(chosen.training)} inputs to train on {verb} as empty.")
    return chosen


def _only_boxes(example: Example, type: str) -> set[str]:
    boxed = {region.concept for region in example.regions if region.kind == "box" and not region.ignored}
    return boxed - set(example.positives())


def _check(chosen: Selection, concepts: Sequence[str], everything: list[Example], type: str, dataset: str) -> None:
    place = f"in the dataset {dataset!r}" if dataset else "in this app"
    shapes = "box, polygon or mask" if type == "visual-detector" else "polygon or mask"
    training = Counter(concept for example in chosen.training for concept in example.positives())
    validation = Counter(concept for example in chosen.validation for concept in example.positives())
    boxes = Counter(concept for example in everything for concept in _only_boxes(example, type))
    for concept in concepts:
        if training[concept]:
            if chosen.validation and not validation[concept]:
                chosen.warnings.append(
                    f"No validation input has a region of {concept!r}, so nothing can be measured for it."
                )
            continue
        if validation[concept]:
            count = validation[concept]
            where = f"All {count} inputs" if count > 1 else "The only input"
            reason = f"{where} with a region of it {'are' if count > 1 else 'is'} for validation: none is left."
        elif type == "visual-segmenter" and boxes[concept]:
            reason = (
                f"It has boxes alone {place}, and a segmenter needs to know the pixels. Draw polygons or upload masks, "
                "or train a visual-detector."
            )
        else:
            reason = f"No input {place} has a {shapes} of it. Draw some, or take the concept out of the model."
        chosen.faults.append(Fault("concepts", concept, reason))


def _kept(example: Example, known: set[str], type: str) -> Example:
    """Only what the model learns from: regions of its concepts, and ignored ones.

    A label whose concept nobody has drawn stays a label: a task then learns nothing of what is not drawn there.
    """
    labels = dict(example.labels) | {concept: 1 for concept in sorted(example.undrawn) if concept in known}
    regions = [
        region
        for region in example.regions
        if (region.ignored and region.kind != "point") or (region.concept in known and region.kind in USABLE[type])
    ]
    if type == "visual-detector":
        regions = [msgspec.structs.replace(region, kind="box", polygons=[], mask=None) for region in regions]
    return msgspec.structs.replace(example, regions=regions, labels=labels)
