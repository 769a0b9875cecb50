"""`jupyter deepft`: serve, demo, doctor, weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepft_lab import cli, doctor
from deepft_lab._version import __version__


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deepft_lab.cli", *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DEEPFT_LAB_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables | environment)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    words = capsys.readouterr().out
    assert all(command in words for command in ("serve", "demo", "doctor", "weights convert"))
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_an_unknown_command_is_refused_and_the_known_ones_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian"]) == 2
    assert "'trian'" in (words := capsys.readouterr().err) and "doctor" in words


def test_the_doctor_finds_what_is_here_without_torch_in_its_process(tmp_path: Path) -> None:
    answer = run("doctor", "--json", JUPYTER_DATA_DIR=str(tmp_path), JUPYTER_RUNTIME_DIR=str(tmp_path / "runtime"))
    findings = {finding["subject"]: finding for finding in json.loads(answer.stdout)}
    assert answer.returncode == 0, answer.stdout
    assert findings["torch starts"]["state"] == "ok"
    assert "classifier-mobilenet-v2" in findings["templates"]["words"]
    assert str(tmp_path) in findings["store"]["words"]
    assert "GPUs" in findings


def test_what_prevents_training_is_a_fault_with_a_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libcuda went missing')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    answer = run("doctor", "--json", PYTHONPATH=path, JUPYTER_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    finding = next(each for each in json.loads(answer.stdout) if each["subject"] == "torch starts")
    assert finding["state"] == "FAULT"
    assert "libcuda went missing" in finding["words"] and finding["remedy"]


def test_a_check_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[doctor.Finding]:
        raise RuntimeError("no idea")

    for name in ("_torch", "_packages"):
        monkeypatch.setattr(doctor, name, list)
    monkeypatch.setattr(doctor, "_templates", broken)
    found = doctor.examine()
    assert any("no idea" in finding.words for finding in found)
    assert {"python", "store"} <= {finding.subject for finding in found}
