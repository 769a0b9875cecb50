"""The wheel, built and installed into a clean environment: everything is there, and the server needs no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT = ("torch", "torchvision", "accelerate", "timm")  # and what would bring them along


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel made from a source distribution, as an index would offer it."""
    folder = tmp_path_factory.mktemp("dist")
    environment = {**os.environ, "DEEPFT_SKIP_FRONT_END": "1"}
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, env=environment, capture_output=True, text=True, timeout=280)
    assert list(folder.glob("*.tar.gz"))
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_front_ends_templates_and_server_configuration(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shared = [name.split(".data/data/", 1)[1] for name in names if ".data/data/" in name]
    assert "share/jupyter/labextensions/deepft-lab/package.json" in shared
    assert any(name.startswith("share/jupyter/labextensions/deepft-lab/static/remoteEntry") for name in shared)
    assert "share/jupyter/deepft-lab/templates/visual-classifier/classifier-mobilenet-v2.yaml" in shared
    assert "etc/jupyter/jupyter_server_config.d/deepft_lab.json" in shared
    assert "deepft_lab/widgets/static/training.js" in names
    assert any(name.startswith("deepft_lab/store/migrations/") for name in names)
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


@pytest.mark.timeout(600)
def test_a_clean_environment_finds_all_parts_and_serves_without_torch(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    light = [need for need in _requirements(wheel) if not need.lower().startswith(WITHOUT)]
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *light], check=True, timeout=400)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, timeout=100)

    isolated = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "DEEPFT", "PYTHON"))}
    isolated |= {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(python), *arguments], env=isolated, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        return done.stdout + done.stderr

    assert "deepft-lab" in run("-m", "jupyter", "labextension", "list")
    servers = run("-m", "jupyter", "server", "extension", "list")
    assert "deepft_lab" in servers and "enabled" in servers
    code = (
        "import json; from deepft_lab.catalog import Catalog; found = Catalog().list();"
        "print(json.dumps([[t.id for t in found.templates], len(found.broken)]))"
    )
    templates, broken = json.loads(run("-c", code).strip().splitlines()[-1])
    assert "classifier-resnet50-rsb-a1" in templates and "classifier-mobilenet-v2" in templates
    assert broken == 0
    doctor = run("-m", "deepft_lab.cli", "doctor")
    assert "torch" in doctor and "pip install torch" in doctor


def _requirements(wheel: Path) -> list[str]:
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(name).decode())
    return [need for need in metadata.get_all("Requires-Dist") or [] if "extra ==" not in need]
