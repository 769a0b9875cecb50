"""Photos of a wanted size for benches, made of small ones: enlarged, with grain, so that their files are as large as
those of a camera."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy
from PIL import Image

GRAIN = 6.0  # deviation, of 256; makes 2.5 bits a pixel at quality 90, as photos have


def enlarged(photos: Path, folder: Path, *, megapixels: float | None, count: int) -> Path:
    """`count` photos of a folder of folders, as many of each, at so many megapixels; None: the files themselves."""
    random = numpy.random.default_rng(1)
    kinds = sorted(path for path in photos.iterdir() if path.is_dir())
    for kind in kinds:
        (folder / kind.name).mkdir(parents=True, exist_ok=True)
        for path in sorted(kind.glob("*.jpg"))[: count // len(kinds)]:
            target = folder / kind.name / path.name
            if megapixels is None:
                shutil.copyfile(path, target)
            elif not target.exists():
                write(path, target, megapixels, random)
    return folder


def write(path: Path, target: Path, megapixels: float, random: numpy.random.Generator) -> None:
    """One photo at so many megapixels."""
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
    size = round(photo.width * scale), round(photo.height * scale)
    pixels = numpy.asarray(photo.resize(size, Image.Resampling.BICUBIC)).astype(numpy.int16)
    grain = random.normal(0, GRAIN, (*pixels.shape[:2], 1)).astype(numpy.int16)
    Image.fromarray(numpy.clip(pixels + grain, 0, 255).astype(numpy.uint8)).save(target, quality=90)
