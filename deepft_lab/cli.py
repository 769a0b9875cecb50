"""The command `jupyter deepft`.

    jupyter deepft [serve] [--port N] ...     serve alone: no kernels, terminals or files
    jupyter deepft demo                       train on real handwritten digits, and predict
    jupyter deepft doctor                     what is found here, and what to do about each fault
    jupyter deepft weights convert IN OUT     a safetensors file from a person's own .pth file
    jupyter deepft weights fetch NAME         a template's published weights, into the cache of their library

`jupyter deepft --help-all` lists every setting of the server.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib import import_module

from deepft_lab._version import __version__


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = (given[0], given[1:]) if given and not given[0].startswith("-") else ("serve", given)
    if command == "serve":
        if rest[:1] in (["--help"], ["-h"]):
            print(__doc__)
            return 0
        if rest[:1] == ["--version"]:
            print(__version__)
            return 0
        # The server stands beside this layer, not below it: it is run, as `python -m` would.
        sys.argv[1:] = rest
        runpy.run_module("deepft_lab.server", run_name="__main__")
        return 0
    if command == "demo":
        # The demo stands above this layer: it uses the package as a person does.
        return int(import_module("deepft_lab.demo").main(rest))
    if command == "doctor":
        from deepft_lab.doctor import main as doctor

        return doctor(rest)
    if command == "weights":
        # torch never comes into this process.
        if rest[:1] == ["fetch"] and len(rest) == 2 and not rest[1].startswith("-"):
            from deepft_lab.catalog import Catalog

            rest = ["fetch", *Catalog().published(rest[1])]
        return subprocess.run([sys.executable, "-m", "deepft_lab.training.weights", *rest], check=False).returncode
    print(f"jupyter deepft has no command {command!r}.\n{__doc__}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
