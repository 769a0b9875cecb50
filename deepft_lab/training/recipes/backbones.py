"""Names of networks that a configuration may call its backbone, known without loading timm or torchvision.

What each takes as a classifier stands behind its name in backbones.txt (training/backbone_names.py tries it out).
"""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import NamedTuple, get_args

from deepft_lab.training.recipes.parts import Backbone


class Takes(NamedTuple):
    """What a network takes as a classifier. Numbers alone: a list of names holds them."""

    least: int = 32  # pixels of the image's side
    multiple: int = 1  # pixels of which the side is a multiple
    only: int = 0  # pixels of the one side that it takes; 0: any that the others allow
    heads: int = 1  # last layers; a classifier needs one
    depth: int = 1  # whether its blocks can be left out (stochastic depth)
    pictures: int = 1  # whether it turns pictures of three colours, channels last, into one row of values


_OURS = ("csp_darknet", "inception_v2", "ssd_vgg16", "ssdlite_mobilenet_v3_large")
# Those of the table in architectures.py, which come before the libraries' of the same name.
_TABLE = dict.fromkeys(get_args(Backbone), Takes()) | dict.fromkeys(
    ("mobilenet_v2", "resnet18", "googlenet", "inception_v2", "inception_v3"), Takes(depth=0)
)


@functools.cache
def listed() -> dict[str, dict[str, Takes]]:
    """The networks of each library and what they take, from the list that is kept beside this file."""
    found: dict[str, dict[str, Takes]] = {}
    for line in (Path(__file__).parent / "backbones.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, *facts = line.split()
            library, _, bare = name.partition("/")
            stated = (fact.partition("=") for fact in facts)
            found.setdefault(library, {})[bare] = Takes(**{key: int(value) for key, _, value in stated})
    return found


def names() -> dict[str, frozenset[str]]:
    """Names of the networks of each library, and of ours."""
    return {library: frozenset(networks) for library, networks in listed().items()} | {"ours": frozenset(_OURS)}


def takes(name: str) -> Takes:
    """What a classifier's network takes, found as architectures.py finds it. An installed one takes anything."""
    if name in _TABLE:
        return _TABLE[name]
    library, bare = _split(name)
    places = (library,) if library else ("timm", "torchvision")
    found = [listed()[place][bare] for place in places if bare in listed().get(place, {})]
    return found[0] if found else Takes()


def fault(name: str) -> str:
    """Why no network has this name, or nothing."""
    library, bare = _split(name)
    known = names()
    if library and library not in known:
        return f"There is no library {library!r}: write timm/<name> or torchvision/<name>."
    if any(bare in names for where, names in known.items() if library in ("", where)):
        return ""
    every = sorted({option for names in known.values() for option in names})
    close = ", ".join(difflib.get_close_matches(bare, every, 3)) or "resnet50, convnext_tiny, mobilenet_v2"
    return f"Neither timm nor torchvision has this network. Close to it: {close}."


def unfit(name: str) -> str:
    """Why a network that there is can be no classifier, or nothing."""
    has = takes(name)
    if has.heads != 1:
        return f"{name} has {heads_in_words(has.heads)} Take another, such as {_like(name)}."
    if not has.pictures:
        reason = "does not turn pictures of three colours, channels last, into one row of values"
        return f"{name} {reason}. Take another, such as {_like(name)}."
    return ""


def heads_in_words(count: int) -> str:
    """What is wrong with a network of so many last layers."""
    if count:
        return f"{count} last layers, where a classifier needs one."
    return "no last layer whose size follows the number of concepts, where a classifier needs one."


def with_library(name: str) -> str:
    """As detection/backbones.py wants it: torchvision's names as they are, timm's with `timm:`."""
    library, bare = _split(name)
    known = names()
    if library == "timm" or (not library and bare in known["timm"] - known["torchvision"] - known["ours"]):
        return f"timm:{bare}"
    return bare


def _split(name: str) -> tuple[str, str]:
    library, _, bare = name.replace(":", "/", 1).rpartition("/")
    return library, bare


def _like(name: str) -> str:
    """The nearest name of a network that can be a classifier."""
    library, bare = _split(name)
    good = [
        option
        for where, networks in listed().items()
        for option, has in networks.items()
        if library in ("", where) and has.heads == 1 and has.pictures and not has.only
    ]
    nearest = difflib.get_close_matches(bare, good, 1)
    prefix = f"{library}/" if library else ""
    return f"{prefix}{nearest[0]}" if nearest else "resnet50"
