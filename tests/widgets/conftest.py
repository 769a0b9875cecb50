"""Apps with real pictures on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def app(lab: Any, digits: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An app of its own for each test, with ten unlabelled inputs and the concepts 0, 1, 2."""
    import re

    created = lab.create_app(re.sub(r"\W", "-", request.node.name)[:64])
    created.upload(sorted((digits / "train" / "0").iterdir())[:10])
    created.create_concepts(["0", "1", "2"])
    yield created
    created.delete()
