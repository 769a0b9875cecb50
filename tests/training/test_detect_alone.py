"""What a detector finds in a photo does not hang on the photos that happen to come with it."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from small_detectors import RUNS, small

SHAPES = ((64, 64), (64, 97), (120, 64), (64, 70))  # of photos as they are stored; two have the same canvas


def photos(shared: Path) -> list[torch.Tensor]:
    files = sorted((shared / "data/classify-antsbees").rglob("*.jpg"))[: len(SHAPES)]
    assert len(files) == len(SHAPES)
    found = []
    for file, (height, width) in zip(files, SHAPES, strict=True):
        with Image.open(file) as image:
            pixels = numpy.array(image.convert("RGB").resize((width, height)))
        found.append(torch.from_numpy(pixels))
    return found


@pytest.mark.parametrize("template", RUNS)
def test_a_photo_gives_the_same_alone_and_in_any_batch(template: str, shared: Path) -> None:
    task = small(template, {"found": {"least_score": 0.0, "most": 50}})
    torch.manual_seed(3)
    model = task.build().eval()
    for name, parameter in model.named_parameters():
        if name.startswith("head.") and parameter.ndim > 1:  # so that scores differ
            torch.nn.init.normal_(parameter, std=0.05)
    pictures = photos(shared)
    with torch.inference_mode():
        alone = [task.outputs(model, task.prepare(task.test_batch([picture])))[0] for picture in pictures]
        for order in ([0, 1, 2, 3], [3, 0, 2, 1], [1, 1]):
            together = task.outputs(model, task.prepare(task.test_batch([pictures[place] for place in order])))
            for place, found in zip(order, together, strict=True):
                assert len(found["boxes"]) == len(alone[place]["boxes"]) > 0
                for name in ("boxes", "scores", "labels"):
                    assert torch.allclose(found[name].float(), alone[place][name].float(), atol=1e-5), name
