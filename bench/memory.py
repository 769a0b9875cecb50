"""Memory that is predicted before a run, beside the measured peak, over the catalogue: within 15 %.

    python bench/memory.py [--only TEMPLATE ...] [--batch N] [--size PIXELS]

The prediction is the job's own: a probe of real steps at two and four images in a process of its own, and the line
through both. The peak is that of steps with the whole batch, in another process. On a GPU each template keeps its own
batch and image size. On a CPU, where `--batch` (16) and `--size` (96) bound what it takes, the figures are those of the
process, with what the allocator keeps, and no limit is set.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import job_folders
import msgspec
import numpy
import torch
from PIL import Image

from deepft_lab import spec
from deepft_lab.catalog import Catalog
from deepft_lab.errors import DeepFTError
from deepft_lab.records import Region
from deepft_lab.training import probe

LIMIT = 0.15
SIZES = (2, 4)  # of the probe, as in fitting.py
OTHERS = ("transfer-linear",)  # has no network of its own: what it takes is its base's


def pictures(count: int) -> list[tuple[bytes, dict[str, int], list[Region]]]:
    """Pictures of 640 x 480 that every type can train on: labels, boxes and masks of two concepts."""
    found = []
    for seed in range(count):
        random = numpy.random.default_rng(seed)
        pixels = Image.fromarray(random.integers(0, 255, (30, 40, 3), dtype=numpy.uint8)).resize((640, 480))
        buffer = io.BytesIO()
        pixels.save(buffer, "JPEG")
        concept = ("one", "two")[seed % 2]
        mask = numpy.zeros((480, 640), bool)
        mask[100:300, 150:450] = True
        regions = [Region(concept=concept, box=(0.2, 0.2, 0.7, 0.6)), job_folders.mask_region(concept, mask)]
        found.append((buffer.getvalue(), {concept: 1}, regions))
    return found


def measure(template: str, folder: Path, changed: dict[str, Any], gpus: list[int]) -> tuple[int, float, int]:
    """The batch, the bytes predicted for it and the bytes it took. Raises DeepFTError where a probe failed."""
    made = job_folders.make(folder, pictures(8), [], template=template, **changed)
    spec.write(folder / "spec.json", msgspec.structs.replace(made, gpus=gpus))
    batch = int(made.values["batch_size"])
    small, whole = probe.measure(folder, SIZES), probe.measure(folder, (batch,))
    if small is None or whole is None:
        raise DeepFTError("the probe came to no result; its words stand above")
    return batch, small.memory_at(batch), whole.memory[0] - whole.base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="TEMPLATE")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    batch, size = arguments.batch or (None if on_gpu else 16), arguments.size or (None if on_gpu else 96)
    print(f"on {torch.cuda.get_device_name() if on_gpu else 'a CPU'}: MiB predicted, measured, one over the other")
    missed = []
    for template in Catalog().list().templates:
        if template.id in OTHERS or (arguments.only and template.id not in arguments.only):
            continue
        fields = {field.name: field for field in template.fields}
        changed: dict[str, Any] = {"batch_size": batch} if batch else {}
        if size:
            changed["image_size"] = [size] if isinstance(fields["image_size"].default, list) else size
        if "pretrained_weights" in fields:  # they change nothing of what is measured
            changed["pretrained_weights"] = "None"
        with tempfile.TemporaryDirectory() as name:
            try:
                count, predicted, taken = measure(template.id, Path(name), changed, [0] if on_gpu else [])
            except (AssertionError, DeepFTError) as error:
                print(f"  {template.id}: not measured: {error}")
                missed.append(template.id)
                continue
        ratio = predicted / taken
        outside = on_gpu and abs(ratio - 1) > LIMIT
        missed += [template.id] if outside else []
        words = f", MISSED: limit {LIMIT:.0%}" if outside else ""
        print(f"  {template.id}, batch {count}: {predicted / 2**20:.0f}, {taken / 2**20:.0f}, {ratio:.2f}{words}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
