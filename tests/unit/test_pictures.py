"""The processes that read pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from deepft_lab.lab.pictures import Pictures


def test_a_picture_is_read_after_every_process_has_ended_idle(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.new("RGB", (40, 30), "red").save(path)
    pictures = Pictures(processes=3, idle=0.3)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(pictures.probe, [path] * 9))
    assert len(pictures._resting) > 1
    for process in pictures._resting:
        process.wait(10)
    assert pictures.probe(path)[:3] == (40, 30, "PNG")
    pictures.close()
