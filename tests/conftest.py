"""What all tests share: the package on the path of child processes, and the real photographs, where there are some."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import shared_folder

# Child processes must find the package too when it is not installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and weights. Tests that need it are skipped where it is absent."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("the shared photographs are not here (DEEPFT_SHARED says where)")
    return folder
