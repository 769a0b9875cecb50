"""Job folders made by hand, for benches and tests of the training without the server."""

from __future__ import annotations

import hashlib
import io
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy
from PIL import Image

from deepft_lab import manifest, masks, params, spec
from deepft_lab.catalog import Catalog
from deepft_lab.images import probe
from deepft_lab.records import Region
from deepft_lab.training import recipes
from deepft_lab.training.recipes.transfer import WEIGHTS, on_base

Labelled = list[tuple[bytes, dict[str, int]]]
Pictures = Iterable[tuple[Any, ...]]  # bytes, labels and, where there are some, regions


def shared() -> Path | None:
    """The folder of shared photos and weights (DEEPFT_SHARED, or beside the checkout); None where there is none."""
    path = Path(os.environ.get("DEEPFT_SHARED", Path(__file__).parent.parent.parent / "shared"))
    return path if (path / "data").is_dir() else None


def make(
    folder: Path,
    train: Pictures,
    validation: Pictures,
    *,
    template: str = "classifier-mobilenet-v2",
    exclusive: bool = True,
    seed: int = 1,
    ranks: int = 1,
    threads: int | None = None,
    job: str | None = None,
    weights_paths: Iterable[Path] = (),
    base: Path | None = None,
    **values: Any,
) -> spec.JobSpec:
    """Writes blobs, manifests and spec.json; returns the spec. `base`: a model folder for an embedding classifier."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = Catalog(weights_paths=weights_paths)
    chosen = catalog.get(template)
    complete, faults = params.check(chosen.fields, values)
    assert not faults, faults
    blobs = folder / "blobs"
    named = {"train": _entries(blobs, train), "validation": _entries(blobs, validation)}
    concepts = sorted({concept for entries in named.values() for entry in entries for concept in _concepts(entry)})
    for name, entries in named.items():
        (folder / f"{name}.jsonl").write_bytes(manifest.dump(concepts, entries))
    if base is None:
        weights = catalog.find_weights(chosen, complete)
    else:
        chosen, weights = on_base(chosen, base), base / WEIGHTS
    made = spec.JobSpec(
        job=job or f"bench-{os.getpid()}-{random.getrandbits(32):08x}",
        owner="bench",
        app="bench",
        model="bench",
        version="v1",
        user="bench",
        type=chosen.type,
        template=chosen,
        values=complete,
        concepts=concepts,
        exclusive=exclusive,
        train_version="",
        validation_version="",
        blobs=str(blobs),
        stored_side=recipes.kept_side(recipes.plan(chosen.recipe, chosen.type, complete), complete),
        weights=str(weights) if weights else None,
        seed=seed,
        ranks=ranks,
        threads=threads or max(1, (os.cpu_count() or 1) // ranks),
    )
    spec.write(folder / "spec.json", made)
    return made


def photos(folder: Path) -> Labelled:
    """The pictures of a folder of folders; each one's name is its concept."""
    found = []
    for path in sorted(folder.glob("*/*")):
        found.append((path.read_bytes(), {path.parent.name: 1}))
    return found


def digits(
    side: int = 32, seed: int = 1
) -> tuple[list[tuple[bytes, dict[str, int]]], list[tuple[bytes, dict[str, int]]]]:
    """scikit-learn's digits as PNG files of `side` pixels: 80 % to train on, 20 % to validate on."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = numpy.random.default_rng(seed).permutation(len(bunch.images))
    pictures = []
    for index in order:
        pixels = (255 - bunch.images[index] * (255 / 16)).astype("uint8")
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "PNG")
        pictures.append((buffer.getvalue(), {str(bunch.target[index]): 1}))
    cut = round(len(pictures) * 0.2)
    return pictures[cut:], pictures[:cut]


def voc(folder: Path, split: str) -> list[tuple[bytes, dict[str, int], list[Region]]]:
    """The pictures of a list of a Pascal VOC folder, with their boxes as fractions; boxes of no size are left out."""
    found = []
    for name in (folder / "ImageSets/Main" / f"{split}.txt").read_text().split():
        tree = ElementTree.parse(folder / "Annotations" / f"{name}.xml")
        content = (folder / "JPEGImages" / f"{name}.jpg").read_bytes()
        info = probe(content)
        regions = []
        for item in tree.iter("object"):
            sides = [float(item.findtext(f"bndbox/{side}", "0")) for side in ("xmin", "ymin", "xmax", "ymax")]
            left, top = max(0.0, sides[0] - 1) / info.width, max(0.0, sides[1] - 1) / info.height
            right, bottom = min(sides[2], info.width) / info.width, min(sides[3], info.height) / info.height
            if sides[2] > sides[0] and sides[3] > sides[1]:
                regions.append(Region(concept=item.findtext("name", ""), box=(left, top, right, bottom)))
        found.append((content, {}, regions))
    return found


def white_blood_cells(folder: Path) -> list[tuple[bytes, dict[str, int], list[Region]]]:
    """The pictures of a folder with `images/` and `masks/`: cytoplasm (value 128) and nucleus (255)."""
    found = []
    for path in sorted((folder / "images").iterdir()):
        values = numpy.asarray(Image.open(folder / "masks" / f"{path.stem}.png"))
        regions = [
            mask_region(concept, values == value)
            for concept, value in (("cytoplasm", 128), ("nucleus", 255))
            if (values == value).any()
        ]
        found.append((path.read_bytes(), {}, regions))
    return found


def mask_region(concept: str, pixels: Any) -> Region:
    """A region of some pixels (bool, height x width; at least one)."""
    mask = masks.encode(pixels)
    box = masks.extent(mask)
    assert box is not None
    return Region(kind="mask", concept=concept, box=box, mask=mask)


def _entries(blobs: Path, pictures: Pictures) -> list[manifest.Entry]:
    entries: dict[str, manifest.Entry] = {}
    for content, labels, *regions in pictures:
        digest = hashlib.sha256(content).hexdigest()
        path = blobs / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        info = probe(content)
        found = list(regions[0]) if regions else []
        entries[digest] = manifest.Entry(digest[:24], digest, info.width, info.height, dict(labels), found)
    return list(entries.values())


def _concepts(entry: manifest.Entry) -> set[str]:
    return {*entry.labels, *(region.concept for region in entry.regions if region.concept)}
