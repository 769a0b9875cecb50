"""The worked notebooks, executed in a real kernel against a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nbformat
import pytest
from harness import ROOT, jupyter

FIGURES = {"02_detection": "mAP", "04_segmentation": "mIoU"}  # what a notebook's training shows; accuracy otherwise


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # the kernel manager's own
@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_runs_from_its_first_cell_to_its_last(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient

    with jupyter(tmp_path, "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DEEPFT_LAB_URL", server.url)
        monkeypatch.setenv("DEEPFT_LAB_TOKEN", "token-of-the-tests")
        monkeypatch.setenv("PYTHONWARNINGS", "ignore")
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(server.home / "work")}})
        asyncio.run(client.async_execute())
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    assert any(FIGURES.get(path.stem, "accuracy") in str(data.get("text/plain")) for data in shown)
    panels = [
        data["application/vnd.deepft.panel+json"]["kind"]
        for data in shown
        if "application/vnd.deepft.panel+json" in data
    ]
    assert {"upload", "annotate", "template", "training"} <= set(panels)
    assert all("image/svg+xml" in data for data in shown if "application/vnd.deepft.panel+json" in data)
