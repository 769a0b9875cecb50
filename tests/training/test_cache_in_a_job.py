"""Jobs on one cache: what is there is not decoded again, and with it or without the weights are the same to the bit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import pytest
from coloured import coloured

from deepft_lab.events import EventWriter
from deepft_lab.lab.progress import Progress, apply
from deepft_lab.training import preparing
from deepft_lab.training.loop import train


def weights_of(folder: Path, **places: Any) -> tuple[str, dict[str, Any], list[str]]:
    """The hash of the weights that a tiny job makes, what its `started` event said, and its warnings."""
    said: dict[str, Any] = {}
    made = job_folders.make(
        folder, coloured(10), coloured(4, first=50), image_size=32, batch_size=5, num_epochs=1,
        pretrained_weights="None", warmup_iters=0, threads=1,
    )  # fmt: skip
    job = msgspec.structs.replace(made, **places)
    result = train(job, folder, lambda kind, step=0, **data: said.setdefault(kind, data))
    content = (folder / "model" / "model.safetensors").read_bytes()
    return hashlib.sha256(content).hexdigest(), said["started"], result.warnings


def test_hit_or_miss_gives_the_same_weights(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    first, started, warnings = weights_of(tmp_path / "first", cache=cache)
    assert (started["stored_side"], started["decoded"], warnings) == (42, 14, [])
    second, started, _ = weights_of(tmp_path / "second", cache=cache)
    assert started["decoded"] == 0
    (tmp_path / "full").write_text("no folder")
    without, started, warnings = weights_of(tmp_path / "third", cache=str(tmp_path / "full"))
    assert started["decoded"] == 0 and "cannot be used" in warnings[0]
    assert first == second == without


def test_what_takes_long_before_the_first_step_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "SECONDS", 0.0)
    shares: list[float] = []
    view = Progress()
    written = EventWriter(tmp_path / "events.jsonl")

    def say(kind: str, step: int = 0, **data: Any) -> None:
        if kind in ("preparing", "started", "step"):
            apply(view, written.write(kind, step, **data))
        if kind == "preparing":
            assert data["what"] == "reading pictures" and view.preparing.startswith("reading pictures: ")
            shares.append(data["share"])
        elif kind == "started":
            assert view.preparing == "" and view.state == "training"

    made = job_folders.make(
        tmp_path / "job", coloured(10), coloured(4, first=50), image_size=32, batch_size=5, num_epochs=1,
        pretrained_weights="None", warmup_iters=0, threads=1,
    )  # fmt: skip
    train(made, tmp_path / "job", say)
    written.close()
    assert len(shares) == 14 and shares == sorted(shares) and 0 <= shares[0] < shares[-1] <= 1
