"""Fixtures: a lab over a real store, with a small engine of real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, NamingPredictors
from shelf import Shelf
from small_engine import SmallEngine

from deepft_lab.catalog import Catalog
from deepft_lab.lab import Lab


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Opens a lab on the test's store; the one before must be closed, as a server that ends would do."""
    opened: list[Lab] = []

    def open(script: str = "", start: bool = True, **more: Any) -> Lab:
        more.setdefault("engine", SmallEngine(script))
        lab = Lab(tmp_path / "store", catalog=Catalog(), predictors=NamingPredictors(), **more)
        opened.append(lab)
        if start:
            lab.start()
        return lab

    yield open
    for lab in opened:
        lab.close()
    SmallEngine.end_all()


@pytest.fixture
def lab(open_lab: Callable[..., Lab]) -> Lab:
    """A lab whose queue rests."""
    return open_lab(start=False)


@pytest.fixture
def desk(lab: Lab) -> Desk:
    return Desk(lab).create()


@pytest.fixture(scope="module")
def own_templates(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("own")
    return Shelf(folder, Catalog([folder]))


@pytest.fixture
def shelf(own_templates: Shelf) -> Iterator[Shelf]:
    """An empty folder of a person's own templates, and its catalog."""
    yield own_templates
    for path in own_templates.folder.iterdir():
        path.unlink()
