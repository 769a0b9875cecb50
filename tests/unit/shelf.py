"""A catalog with a person's own templates."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from deepft_lab.catalog import Catalog


class Shelf(NamedTuple):
    """A catalog and the folder of a person's own templates; ours are read once a module."""

    folder: Path
    catalog: Catalog
