"""What fine-tuning must reach on real photographs, and the control that shows that the given weights did it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import TOKEN, jupyter, shared_folder

import deepft_lab

pytestmark = pytest.mark.skipif(shared_folder() is None, reason="the photographs of DEEPFT_SHARED are not here")


@pytest.mark.timeout(900)
def test_ants_and_bees_are_told_apart_with_given_weights_and_not_from_a_random_start(tmp_path: Path) -> None:
    shared = shared_folder()
    assert shared is not None
    photos = shared / "data" / "classify-antsbees"
    with jupyter(tmp_path, "headless") as server, deepft_lab.connect(server.url, TOKEN) as lab:
        app = lab.create_app("insects")
        app.upload(photos / "train", dataset="train", concepts="folders")
        app.upload(photos / "val", dataset="val", concepts="folders")
        given = {"num_epochs": 3, "image_size": 224}
        tuned = app.create_model("tuned", template="classifier-mobilenet-v2", **given)
        control = app.create_model("control", template="classifier-mobilenet-v2", pretrained_weights="None", **given)
        versions = [model.train(dataset="train", validation="val") for model in (tuned, control)]
        for version in versions:
            version.wait(timeout=420)
        assert versions[0].metrics["accuracy"] >= 0.90
        assert versions[1].metrics["accuracy"] < 0.75
        used = next(row for row in lab.usage() if row.model == "tuned")
        print(f"cpu seconds of the whole job: {used.cpu_seconds:.0f}")
