"""Names of networks that a configuration may call its backbone, known without loading timm or torchvision."""

from __future__ import annotations

import difflib
import functools
from pathlib import Path


@functools.cache
def names() -> dict[str, frozenset[str]]:
    """Names of the networks of each library, from the list that is kept beside this file."""
    found: dict[str, set[str]] = {}
    for line in (Path(__file__).parent / "backbones.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            library, _, name = line.partition("/")
            found.setdefault(library, set()).add(name)
    return {library: frozenset(names) for library, names in found.items()} | {"ours": frozenset(_OURS)}


_OURS = ("csp_darknet", "inception_v2", "ssd_vgg16", "ssdlite_mobilenet_v3_large")


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


def _split(name: str) -> tuple[str, str]:
    library, _, bare = name.replace(":", "/", 1).rpartition("/")
    return library, bare


def with_library(name: str) -> str:
    """As detection/backbones.py wants it: torchvision's names as they are, timm's with `timm:`."""
    library, bare = _split(name)
    known = names()
    if library == "timm" or (not library and bare in known["timm"] - known["torchvision"] - known["ours"]):
        return f"timm:{bare}"
    return bare
