"""What a model trains on: inputs, their split and their complete labels, and everything that is wrong with them.

Labels that a person has put always stand. What is missing is filled in like this:
- concepts that exclude each other: an input with one positive concept is negative for all others;
- otherwise: missing counts as negative for a concept that no input of the selection is labelled negative for (who
  labels only what is there means that the rest is not). A concept with labelled negatives stays unknown elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from deepft_lab.lab.examples import Example
from deepft_lab.lab.split import hold_out
from deepft_lab.records import Fault, Template

FEW_INPUTS = 1000
_NAMED = 10  # concepts of a warning
PAIR = 2  # an embedder learns from concepts with as many inputs as this, and needs as many such concepts


class Selection(msgspec.Struct, kw_only=True):
    """Complete where `faults` is empty."""

    training: list[Example]
    validation: list[Example]
    exclusive: bool = False
    faults: list[Fault]
    warnings: list[str]


def select(
    *,
    concepts: Sequence[str],
    source: list[Example],
    validation: list[Example] | None,
    fraction: float,
    seed: int,
    exclusivity: Any = "auto",
    names: tuple[str, str] = ("", ""),
    type: str = "visual-classifier",
) -> Selection:
    """`source` and `validation` carry labels of `concepts` only. Without `validation`, `fraction` is held out.

    `exclusivity` is auto, true or false (an embedder's concepts always exclude each other); `names` are those of the
    two datasets, for the messages.
    """
    chosen = Selection(training=source, validation=validation or [], faults=[], warnings=[])
    leave_out_shared(chosen, names)
    leave_out(chosen, lambda example: not example.labels, "bear none of the model's concepts")
    if type == "visual-embedder":
        _demand_exclusive(chosen)
    else:
        _settle_exclusivity(chosen, concepts, str(exclusivity).lower())
    if validation is None:
        chosen.training, chosen.validation = (
            hold_out(chosen.training, fraction, seed) if fraction else (chosen.training, [])
        )
        warn_of_no_validation(chosen, fraction)
    _check(chosen, concepts, names[0])
    if type == "visual-embedder":
        _check_pairs(chosen, concepts)
    _fill_in(chosen, concepts)
    return chosen


def warn_of_few(chosen: Selection, template: Template, concepts: Sequence[str]) -> None:
    """Where there are fewer inputs than the template's words ask for: "50 and more", "20 and more a concept"."""
    number = re.match(r"\d[\d,]*", template.images)
    wanted = int(number[0].replace(",", "")) if number else FEW_INPUTS
    if number and "a concept" in template.images:
        wanted *= len(concepts)
    if len(chosen.training) < wanted:
        words = f"{template.name} wants {template.images}" if number else f"Usually {wanted:,} and more are wanted"
        chosen.warnings.append(f"There are {len(chosen.training)} inputs to train on. {words}.")


def positives(examples: list[Example]) -> Counter[str]:
    """How many inputs are positive for each concept."""
    return Counter(concept for example in examples for concept in example.positives())


def warn_of_no_validation(chosen: Selection, fraction: float) -> None:
    if fraction and chosen.training and not chosen.validation:
        chosen.warnings.append(
            "Nothing could be held out for validation: every input is the only one of a concept. Nothing is measured."
        )


def leave_out_shared(chosen: Selection, names: tuple[str, str]) -> None:
    held = {example.id for example in chosen.validation}
    kept = [example for example in chosen.training if example.id not in held]
    shared = len(chosen.training) - len(kept)
    if shared:
        chosen.training = kept
        chosen.warnings.append(
            f"{_inputs(shared)} both in {names[0] or 'the training inputs'} and in {names[1]}: left out of training, "
            "so that the measurement is honest."
        )


def leave_out(chosen: Selection, unwanted: Callable[[Example], bool], why: str) -> None:
    before = len(chosen.training) + len(chosen.validation)
    chosen.training = [example for example in chosen.training if not unwanted(example)]
    chosen.validation = [example for example in chosen.validation if not unwanted(example)]
    gone = before - len(chosen.training) - len(chosen.validation)
    if gone:
        chosen.warnings.append(f"{gone} of {before} inputs {why}: left out.")


def _settle_exclusivity(chosen: Selection, concepts: Sequence[str], wanted: str) -> None:
    everything = chosen.training + chosen.validation
    if wanted == "auto":
        chosen.exclusive = len(concepts) > 1 and all(len(example.positives()) == 1 for example in everything)
    elif wanted == "true":
        field = "concepts_mutually_exclusive"
        several = [example for example in everything if len(example.positives()) > 1]
        if len(concepts) < 2:
            chosen.faults.append(Fault(field, True, "A single concept has nothing to exclude. Choose auto or false."))
        elif several:
            reason = (
                f"{_inputs(len(several))} positive for more than one concept, such as {several[0].name!r} "
                f"({', '.join(sorted(several[0].positives()))}). Take concepts off, or choose auto or false."
            )
            chosen.faults.append(Fault(field, True, reason))
        else:
            leave_out(chosen, lambda example: not example.positives(), "have no positive concept")
        chosen.exclusive = True


def _demand_exclusive(chosen: Selection) -> None:
    """An embedder learns which inputs belong together, so each has one concept and no more."""
    leave_out(chosen, lambda example: not example.positives(), "have no positive concept")
    several = [example for example in chosen.training + chosen.validation if len(example.positives()) > 1]
    if several:
        names = sorted(several[0].positives())
        reason = (
            f"An embedder's concepts exclude each other, but {_inputs(len(several))} positive for more than one, such "
            f"as {several[0].name!r} ({', '.join(names)}). Take concepts off, or choose fewer for the model."
        )
        chosen.faults.append(Fault("concepts", names, reason))
    chosen.exclusive = True


def _check_pairs(chosen: Selection, concepts: Sequence[str]) -> None:
    counts = positives(chosen.training)
    if sum(counts[concept] >= PAIR for concept in concepts) < PAIR and not chosen.faults:
        found = ", ".join(f"{concept} {counts[concept]}" for concept in concepts[:20])
        reason = (
            "An embedder needs two concepts with two inputs each to train on, so that it sees what is alike and what "
            f"is not. Inputs to train on are: {found}."
        )
        chosen.faults.append(Fault("concepts", list(concepts[:20]), reason))


def _check(chosen: Selection, concepts: Sequence[str], dataset: str) -> None:
    place = f"in the dataset {dataset!r}" if dataset else "in this app"
    of_training, of_validation = positives(chosen.training), positives(chosen.validation)
    for concept in concepts:
        training, validation = of_training[concept], of_validation[concept]
        if not training and not validation:
            reason = f"No input {place} is positive for it. Label some, or take the concept out of the model."
            chosen.faults.append(Fault("concepts", concept, reason))
        elif not training:
            where = f"All {validation} inputs" if validation > 1 else "The only input"
            verb = "are" if validation > 1 else "is"
            reason = f"{where} with this concept {verb} for validation: none is left to train on."
            chosen.faults.append(Fault("concepts", concept, reason))
        elif not validation and chosen.validation:
            chosen.warnings.append(
                f"No validation input is positive for {concept!r}, so nothing can be measured for it."
            )
    if len(concepts) == 1 and of_training[concepts[0]]:
        negative = [example for example in chosen.training if example.labels.get(concepts[0]) == 0]
        if not negative:
            reason = (
                "A single concept needs inputs that are labelled negative for it too, or a second concept: "
                "from positive ones alone there is nothing to tell apart."
            )
            chosen.faults.append(Fault("concepts", concepts[0], reason))


def _fill_in(chosen: Selection, concepts: Sequence[str]) -> None:
    everything = chosen.training + chosen.validation
    decided = {concept for example in everything for concept, label in example.labels.items() if not label}
    closed = set(concepts) if chosen.exclusive else set(concepts) - decided

    def complete(example: Example) -> Example:
        missing: Mapping[str, int] = {concept: 0 for concept in closed if concept not in example.labels}
        return msgspec.structs.replace(example, labels={**example.labels, **missing})

    chosen.training = [complete(example) for example in chosen.training]
    chosen.validation = [complete(example) for example in chosen.validation]
    unknown = {
        concept: sum(concept not in example.labels for example in chosen.training)
        for concept in sorted(set(concepts) - closed)
    }
    unsaid = [f"{concept} ({count} of {len(chosen.training)})" for concept, count in unknown.items() if count]
    if unsaid:
        more = f" and {len(unsaid) - _NAMED} more" if len(unsaid) > _NAMED else ""
        chosen.warnings.append(
            "Some inputs are labelled negative, so for these concepts the inputs that say nothing of them are unknown, "
            f"and teach nothing of them: {', '.join(unsaid[:_NAMED])}{more}. Label them negative where they are."
        )


def _inputs(count: int) -> str:
    return "1 input is" if count == 1 else f"{count} inputs are"
