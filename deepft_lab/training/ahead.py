"""What a job's first second needs, done before there is a job: for a worker that is started ahead."""

from __future__ import annotations

from importlib import import_module

from deepft_lab.training import tasks

# Beside the loop and the tasks: what they import only where it is needed, and most jobs need.
MODULES = ("deepft_lab.training.loop", "deepft_lab.training.quoting", "deepft_lab.training.signals", "timm")


def prepare() -> None:
    """Imports all that jobs import."""
    for name in MODULES:
        import_module(name)
    tasks.load()
