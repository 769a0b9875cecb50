"""Prediction: a cold start (process and weights) in <= 10 s, then <= 100 ms an image at 224 pixels on 2 cores.

The limits hold for the network that is meant for CPUs; ResNet-50 stands beside it for comparison.
Pictures are JPEG of 1,024 x 768; the model has random weights, which cost the same time as trained ones.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy
from PIL import Image

from deepft_lab.engines.predictors import Predictors

IMAGES = 20


def model_folder(folder: Path, architecture: str, concepts: list[str]) -> Path:
    """A finished model with random weights."""
    from deepft_lab.training import checkpoints
    from deepft_lab.training.architectures import ARCHITECTURES

    recipe = {
        "task": "classify",
        "architecture": architecture,
        "loss": {"exclusive": "cross_entropy"},
        "optimizer": {"name": "adamw"},
    }
    card = checkpoints.Card(
        type="visual-classifier", recipe=recipe, values={"image_size": 224}, concepts=concepts, exclusive=True,
        template="", template_hash="", job="", version="", best_epoch=1, metrics={},
    )  # fmt: skip
    checkpoints.save_best(folder, ARCHITECTURES[architecture].build(len(concepts), 0.0), epoch=1)
    return checkpoints.publish(folder, card)


def picture(seed: int) -> bytes:
    random = numpy.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (24, 32, 3), dtype=numpy.uint8))
    buffer = io.BytesIO()
    small.resize((1024, 768), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def main() -> None:
    missed = False
    for architecture in ("mobilenet_v2", "resnet50"):
        with tempfile.TemporaryDirectory() as folder:
            model = model_folder(Path(folder), architecture, ["ants", "bees"])
            predictors = Predictors()
            try:
                begun = time.perf_counter()
                predictors.predict(model, [picture(0)])
                cold = time.perf_counter() - begun
                each = []
                for seed in range(IMAGES):
                    content = picture(seed)
                    begun = time.perf_counter()
                    predictors.predict(model, [content])
                    each.append(time.perf_counter() - begun)
                many = [picture(seed) for seed in range(IMAGES)]
                begun = time.perf_counter()
                predictors.predict(model, many)
                together = (time.perf_counter() - begun) / IMAGES
            finally:
                predictors.close()
        middle = statistics.median(each)
        print(
            f"{architecture}: cold {cold:.1f} s (limit 10 s), then {1000 * middle:.0f} ms an image alone (limit 100), "
            f"slowest {1000 * max(each):.0f} ms, {1000 * together:.0f} ms in a list of {IMAGES}",
            flush=True,
        )
        missed |= architecture == "mobilenet_v2" and (cold > 10 or middle > 0.1)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
