"""Writes the list of backbones that advanced configurations may name: `python -m deepft_lab.training.backbone_names`.

The server checks names against the list, since it loads neither torch nor timm. Behind a name stands what the network
takes as a classifier, where that is not what most do (recipes/backbones.py, `Takes`). It is tried out on torch's meta
device, where shapes are followed and nothing is computed: most of an hour on two cores.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import torch

from deepft_lab.spec import write_whole
from deepft_lab.training import architectures
from deepft_lab.training.recipes.backbones import Takes

PATH = Path(__file__).parent / "recipes" / "backbones.txt"
SIDE = 320  # pixels: what the advanced template begins with
TURNS = (0, 1, 2, 4, 8, 16, 31)  # multiples from there on that are tried: odd after each of five halvings
MULTIPLES = (1, 2, 4, 7, 8, 12, 14, 16, 24, 28, 32, 48, 56, 64, 96, 112, 128)  # strides, patches, and windows of them
OUTPUTS = 3
LEAST_SIDE = Takes().least


def installed() -> list[str]:
    """`library/name` of every classifier of the installed timm and torchvision."""
    import timm
    from torchvision import models

    return sorted(
        [f"timm/{name}" for name in timm.list_models()]
        + [f"torchvision/{name}" for name in models.list_models(module=models)]
    )


def tried(name: str) -> Takes:
    """What a network takes as a classifier."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    library, _, bare = name.partition("/")
    build = architectures.builder(library, bare)
    assert build is not None  # the name is one of `installed`
    heads = architectures.heads(build)
    if len(heads) != 1:
        return Takes(heads=len(heads))

    network = architectures.skeleton(build, OUTPUTS)
    if any(parameter.ndim > 4 for parameter in network.parameters()):  # they cannot lie as tasks lay them
        return Takes(pictures=0)

    least, multiple, only = _sides(functools.partial(_gives_rows, network.eval()), own=_own_side(library, bare))
    if not least or not _gives_rows(network.train(), only or _near(SIDE, multiple)):
        return Takes(pictures=0)
    return Takes(least, multiple, only, depth=int(_has_depth(build)))


def _own_side(library: str, name: str) -> int:
    """The side that a network is made for, in pixels."""
    if library == "torchvision":
        return 224
    import timm

    described = timm.get_pretrained_cfg(name)
    assert described is not None
    return int(described.input_size[-1])


def _sides(runs: Callable[[int], bool], *, own: int) -> tuple[int, int, int]:
    """Least side, multiple and only side, as `Takes` has them; zeros where it takes no picture."""

    def takes_multiples(of: int) -> bool:
        return all(runs(_near(SIDE, of) + turn * of) for turn in TURNS)

    multiple = next(filter(takes_multiples, MULTIPLES), 0)
    if not multiple:
        only = own if runs(own) else 0
        return (LEAST_SIDE if only else 0), 1, only
    fails, holds = _near(LEAST_SIDE, multiple), _near(SIDE, multiple)
    if runs(fails):
        return LEAST_SIDE, multiple, 0
    while holds - fails > multiple:
        middle = _near((fails + holds) // 2, multiple)
        fails, holds = (fails, middle) if runs(middle) else (middle, holds)
    return holds, multiple, 0


def _gives_rows(network: torch.nn.Module, side: int) -> bool:
    try:
        found = network(torch.zeros(2, 3, side, side, device="meta"))
    except Exception:  # whatever a library raises for a size that it does not take
        return False
    return isinstance(found, torch.Tensor) and found.shape == (2, OUTPUTS)


def _near(side: int, multiple: int) -> int:
    """The least multiple from a side on."""
    return -(-side // multiple) * multiple


def _has_depth(build: Callable[..., torch.nn.Module]) -> bool:
    try:
        architectures.skeleton(build, OUTPUTS, 0.1)
    except TypeError:
        return False
    return True


def line(name: str, takes: Takes) -> str:
    """A line of the list: the name, and what is not as with most."""
    usual = Takes()._asdict()
    return " ".join([name, *(f"{key}={value}" for key, value in takes._asdict().items() if value != usual[key])])


def main() -> None:
    head = f"# Made by `python -m deepft_lab.training.backbone_names` with timm {version('timm')} and torchvision "
    names = installed()
    with ProcessPoolExecutor() as processes:
        every = processes.map(tried, names, chunksize=4)
        lines = [line(name, takes) for name, takes in zip(names, every, strict=True)]
    lines.insert(0, f"{head}{version('torchvision').partition('+')[0]}. recipes/backbones.py reads it.")
    write_whole(PATH, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
