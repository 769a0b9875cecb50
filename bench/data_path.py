"""The data path alone, on one core: random crops of cached pictures beside decoding the JPEGs each time.

    python bench/data_path.py [--rounds 5]

The peer is what a plain training script does: PIL, then RandomResizedCrop and RandomHorizontalFlip of torchvision's
transforms v2. Then the building of the cache, beside libjpeg-turbo decoding the same files at the same reduced scale
(through Pillow's `draft`) on as many threads. In turns; medians; figures are CPU-seconds, or seconds where said.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # one core, for both; read when torch is imported

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import job_folders
import large_photos
import msgspec
import torch
from PIL import Image
from torchvision.transforms import v2

from deepft_lab import manifest, spec
from deepft_lab.engines.local import cores
from deepft_lab.images import fitted
from deepft_lab.training import data, pictures, tasks

SIZE, BATCH = 224, 32
SETS = {"0.2 megapixels": (0.2, 64, 8.0), "6 megapixels": (6, 24, 100.0)}  # megapixels, photos, least ratio
BUILD = (12, 32, 0.8)


def cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def wall(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def job_of(photos: Path, folder: Path) -> tuple[spec.JobSpec, manifest.Manifest]:
    found = [(path.read_bytes(), {path.parent.name: 1}) for path in sorted(photos.glob("*/*.jpg"))]
    job = job_folders.make(folder, found, [], image_size=SIZE, batch_size=BATCH, pretrained_weights="None")
    return job, manifest.load(folder / "train.jsonl")


def training_path(photos: Path, folder: Path, rounds: int) -> tuple[float, float]:
    """CPU-milliseconds an image: the peer's and ours."""
    changes = v2.Compose(
        [v2.RandomResizedCrop(SIZE, scale=(0.35, 1.0), antialias=True), v2.RandomHorizontalFlip(), v2.PILToTensor()]
    )
    paths = sorted(photos.glob("*/*.jpg"))
    job, training = job_of(photos, folder)
    task = tasks.of_job(job)
    stored = pictures.gather(job, folder, training.entries, task.stored_side)
    count = len(training.entries)
    examples = data.Examples(stored, range(count), training.entries, task.targets(training), task, job.seed)
    order = data.TrainingOrder(count, batch_size=BATCH, seed=job.seed)
    loader = data.batches(examples, order, workers=0, pin=False)  # one for all epochs, as in the loop

    def peer() -> None:
        for path in paths:
            with Image.open(path) as photo:
                changes(photo.convert("RGB"))

    def ours() -> None:
        order.epoch += 1
        for batch in loader:
            assert batch.images.shape[1:] == (3, SIZE, SIZE)

    epochs = 10  # ours is quick: the clock of the processor is coarse
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        found = cpu(peer), cpu(lambda: [ours() for _ in range(epochs)]) / epochs
        if turn:  # the first warms up, and checks the hashes
            for kept, seconds in zip(took, found, strict=True):
                kept.append(seconds / count * 1000)
    return statistics.median(took[0]), statistics.median(took[1])


def building(photos: Path, folder: Path, rounds: int) -> tuple[float, float]:
    """Photos a second: libjpeg-turbo at the reduced scale, and the building of the cache; on all cores."""
    paths, threads = sorted(photos.glob("*/*.jpg")), cores()
    job, training = job_of(photos, folder)
    side = tasks.of_job(job).stored_side

    def peer() -> None:
        def decode(path: Path) -> None:
            with Image.open(path) as photo:
                photo.draft("RGB", fitted(photo.size, None, side))
                photo.load()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(decode, paths))

    def ours() -> None:
        made = msgspec.structs.replace(job, cache=str(folder / "cache"))
        found = pictures.gather(made, folder, training.entries, side, threads=threads)
        assert found.decoded == found.cached == len(paths)

    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        found = wall(peer), wall(ours)
        shutil.rmtree(folder / "cache")
        if turn:
            for kept, seconds in zip(took, found, strict=True):
                kept.append(len(paths) / seconds)
    return statistics.median(took[0]), statistics.median(took[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    shared = job_folders.shared()
    if shared is None:
        print("left out: the shared photos are not here (DEEPFT_SHARED)")
        return
    source = shared / "data" / "classify-antsbees" / "train"
    torch.set_num_threads(1)
    held = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words, (megapixels, count, limit) in SETS.items():
            photos = large_photos.enlarged(source, folder / words / "photos", megapixels=megapixels, count=count)
            peer, ours = training_path(photos, folder / words / "job", rounds)
            missed = ", MISSED" if peer / ours < limit else ""
            print(
                f"{words}, {SIZE} px, one core: PIL and transforms v2 {peer:.2f} CPU-ms an image, "
                f"ours {ours:.3f}: {peer / ours:.1f} times (limit {limit:g}{missed})"
            )
            held = held and not missed
        megapixels, count, limit = BUILD
        photos = large_photos.enlarged(source, folder / "large", megapixels=megapixels, count=count)
        peer, ours = building(photos, folder / "build", rounds)
        missed = ", MISSED" if ours / peer < limit else ""
        print(
            f"{megapixels} megapixels, the cache is built: {ours:.1f} photos/s on {cores()} cores, "
            f"libjpeg-turbo alone {peer:.1f}: {ours / peer:.2f} (limit {limit}{missed})"
        )
        held = held and not missed
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
