"""Writes the list of backbones that advanced configurations may name: `python -m deepft_lab.training.backbone_names`.

The server checks names against the list, since it loads neither torch nor timm.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from deepft_lab.spec import write_whole

PATH = Path(__file__).parent / "recipes" / "backbones.txt"


def installed() -> list[str]:
    """`library/name` of every classifier of the installed timm and torchvision."""
    import timm
    from torchvision import models

    return sorted(
        [f"timm/{name}" for name in timm.list_models()]
        + [f"torchvision/{name}" for name in models.list_models(module=models)]
    )


def main() -> None:
    head = f"# Made by `python -m deepft_lab.training.backbone_names` with timm {version('timm')} and torchvision "
    lines = [f"{head}{version('torchvision').partition('+')[0]}.", *installed()]
    write_whole(PATH, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
