"""Holds inputs out for validation, by seed and stratified.

Inputs are grouped by their rarest concept, and each group is split by itself: a common
concept is then split well by the law of large numbers, and a rare one stands on both sides wherever it can. The only
input of a concept is always trained on.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter

from deepft_lab.lab.examples import Example


def hold_out(examples: list[Example], fraction: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Training and validation inputs. The same inputs, fraction and seed give the same split, in whatever order."""
    counts = Counter(concept for example in examples for concept in example.positives())
    groups: dict[str, list[Example]] = {}
    training: list[Example] = []
    validation: list[Example] = []
    for example in sorted(examples, key=lambda example: example.id):
        concepts = example.positives()
        if any(counts[concept] == 1 for concept in concepts):
            training.append(example)
        else:
            groups.setdefault(min(concepts, key=lambda c: (counts[c], c), default=""), []).append(example)
    for concept in sorted(groups):
        group = groups[concept]
        random.Random(f"{seed} {concept}").shuffle(group)
        held = round(len(group) * fraction)
        if len(group) > 1:
            held = min(max(held, 1), len(group) - 1)
        validation += group[:held]
        training += group[held:]
    return training, validation


def default_seed(*names: str) -> int:
    """A seed for who has given none: the same for the same names, so a model's versions share their split."""
    return int.from_bytes(hashlib.sha256("/".join(names).encode()).digest()[:4], "big") >> 1
