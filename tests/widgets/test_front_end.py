"""The front end's own unit tests (`*.test.ts`), by Node's test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(Path(__file__).parent.glob("*.test.ts"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_unit_tests_of_the_front_end_pass(file: Path, tmp_path: Path) -> None:
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    node = shutil.which("node")
    if node is None or not esbuild.exists():
        pytest.skip("the front end's packages are not installed: make setup")
    bundled = tmp_path / f"{file.stem}.mjs"
    options = ["--bundle", "--platform=node", "--format=esm", f"--outfile={bundled}", "--log-level=error"]
    subprocess.run([esbuild, file, *options], check=True, timeout=60)
    outcome = subprocess.run([node, "--test", bundled], capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stdout[-4000:] + outcome.stderr[-2000:]


def test_every_test_file_is_found() -> None:
    assert {file.name for file in FILES} >= {"history.test.ts", "regions.test.ts", "stream.test.ts", "words.test.ts"}
