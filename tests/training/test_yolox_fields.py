"""The fields that YOLOX shares with YOLOF are read: frozen stages stand still, shapes follow the aspect ratio."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from small_detectors import small, target

from deepft_lab.training import optimizers
from deepft_lab.training.detection import pictures

BACKBONE = "cs3darknet_focus_s"  # the template's network at half its width
STAGES = ("stem_conv1.", "stages_0.", "stages_1.", "stages_2.", "stages_3.")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    save_file(timm.create_model(BACKBONE).state_dict(), path)
    return str(path)


@pytest.mark.parametrize("frozen", range(5))
def test_frozen_stages_stand_still_and_no_others(frozen: int, weights: str) -> None:
    torch.manual_seed(0)
    task = small("detector-yolox", {"backbone": {"name": f"timm:{BACKBONE}", "arguments": {}}}, frozen_stages=frozen)
    model = task.build(weights).train()
    optimizer = optimizers.build(
        task.plan.optimizer, model, weight_decay=0.0, factor=lambda name: task.lrate_factor(name, pretrained=True)
    )
    for group in optimizer.param_groups:
        group["lr"] = 0.1 * group["factor"]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    picture = torch.randint(0, 255, (64, 64, 3), dtype=torch.uint8)
    batch = task.prepare(task.test_batch([picture, picture], [target((8, 8, 40, 40, 0)), target((20, 4, 60, 50, 1))]))
    task.loss(model, batch).backward()
    optimizer.step()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    for stage, prefix in enumerate(STAGES):
        of_stage = {name for name in moved if name.startswith(f"backbone.body.{prefix}")}
        ends = {end for end in ("conv.weight", "running_mean") if any(name.endswith(end) for name in of_stage)}
        assert ends == (set() if stage < frozen else {"conv.weight", "running_mean"}), prefix
        assert stage >= frozen or not of_stage, prefix
    assert any(name.startswith("head.") for name in moved)


def test_a_random_start_freezes_nothing(weights: str) -> None:
    task = small("detector-yolox", frozen_stages=4)
    network = task.build(None)
    assert {task.lrate_factor(name, pretrained=False) for name, _ in network.named_parameters()} == {1.0}


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, (48, 96)),  # 64 would make the longer side 128, and 96 is 1.5 times 64
        ({"max_aspect_ratio": 5.0}, (64, 128)),
        ({"keep_aspect_ratio": False}, (64, 64)),
        ({"keep_aspect_ratio": False, "image_size": [96, 32]}, (32, 96)),
    ],
)
def test_shapes_follow_the_aspect_ratio(values: dict[str, object], shown: tuple[int, int]) -> None:
    assert pictures.shown_size((100, 200), small("detector-yolox", **values).values) == shown
