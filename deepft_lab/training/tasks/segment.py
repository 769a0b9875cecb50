"""Visual segmentation: a concept, or the background, for each pixel of a picture."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor, nn

from deepft_lab import masks
from deepft_lab.manifest import Manifest
from deepft_lab.records import Fault, FoundRegion, Prediction
from deepft_lab.training import augment
from deepft_lab.training.recipes.segmenter import Segmenter
from deepft_lab.training.segmentation import losses, networks, pixels
from deepft_lab.training.segmentation.metric import Confusion
from deepft_lab.training.segmentation.truth import UNKNOWN, Map, Truth
from deepft_lab.training.task import Batch, Figures, Task

COUNTED_SIDE = 128  # pixels: maps are reduced to this longer side where pixels are counted
MOST_CONCEPTS = 32_000  # places of int16


class Segments(NamedTuple):
    """What the network says of one picture, at the resolution at which it sees it.

    `map`: int16 [height, width], 0 the background; `values`: mean probability of each place over its pixels; `loss`:
    of the pixels that are known, where the truth was at hand.
    """

    map: Map
    values: list[float]
    loss: float | None


class Segment(Task):
    """Targets: a Truth an input. Outputs: Segments. The probabilities of all places add up to 1 in each pixel."""

    plan: Segmenter
    _given: frozenset[str] | set[str] = frozenset()  # keys that a file of weights filled
    _weights: Tensor | None = None  # of the places in the loss

    def faults(self) -> list[Fault]:
        if len(self.concepts) <= MOST_CONCEPTS:
            return []
        return [Fault("concepts", len(self.concepts), f"A segmenter tells at most {MOST_CONCEPTS} concepts apart.")]

    @property
    def size(self) -> pixels.Size:
        return pixels.size_of(self.values["image_size"])

    def train_batch(
        self, pictures: Sequence[Tensor], targets: Sequence[Any], randoms: Sequence[numpy.random.Generator]
    ) -> Batch:
        size, flip = self.size, augment.flip_of(self.values)
        images = augment.empty_batch(len(pictures), size.height, size.width)
        maps = torch.empty((len(pictures), size.height, size.width), dtype=torch.int16)
        changed = self.changed(pictures, randoms)
        for place, (picture, truth, random) in enumerate(zip(changed, targets, randoms, strict=True)):
            image, drawn = pixels.train_pixels(
                picture, truth.at(*picture.shape[:2]), size, self.plan.augment, flip, self.plan.mean, random
            )
            images[place], maps[place] = image, torch.from_numpy(numpy.ascontiguousarray(drawn))
        return Batch(images, maps)

    def test_batch(self, pictures: Sequence[Tensor], targets: Sequence[Any] | None = None) -> Batch:
        seen = [pixels.test_pixels(picture, self.size) for picture in pictures]
        sizes = torch.tensor([image.shape[-2:] for image in seen])
        height, width = (int(side) for side in sizes.amax(0))
        images = augment.empty_batch(len(seen), height, width).zero_()
        maps = torch.full((len(seen), height, width), UNKNOWN, dtype=torch.int16)
        for place, image in enumerate(seen):
            high, wide = image.shape[-2:]
            images[place, :, :high, :wide] = image
            if targets is not None:
                maps[place, :high, :wide] = torch.from_numpy(targets[place].at(high, wide))
        return Batch(images, None if targets is None else maps, sizes)

    def prepare(self, batch: Batch, random: numpy.random.Generator | None = None) -> Batch:
        normal = augment.normalise(batch.images, self.plan.mean, self.plan.deviation)
        return Batch(normal, batch.targets, batch.sizes)

    def targets(self, manifest: Manifest) -> list[Truth]:
        return [Truth(entry, self.concepts) for entry in manifest.entries]

    def complaints(self, targets: Sequence[Truth]) -> list[str]:
        outlined = {concept for truth in targets for concept in truth.outlined}
        boxed = {concept: sum(concept in truth.boxed for truth in targets) for concept in self.concepts}
        said = [
            f"No input has a polygon or a mask of {concept!r}: the model cannot learn it."
            for concept in self.concepts
            if concept not in outlined
        ]
        said += [
            f"{count} inputs have boxes or points of {concept!r} and no outline: the pixels there are left out."
            for concept, count in boxed.items()
            if count
        ]
        return said

    def balance(self, targets: Sequence[Truth]) -> str:
        """Weights by how rare the pixels of a place are; their mean over all pixels is 1."""
        counts = numpy.zeros(len(self.concepts) + 1)
        for truth in targets:
            scale = min(1.0, COUNTED_SIDE / max(truth.height, truth.width))
            drawn = truth.at(max(1, round(truth.height * scale)), max(1, round(truth.width * scale)))
            counts += numpy.bincount(drawn[drawn != UNKNOWN], minlength=len(counts)) / max(1, drawn.size)
        shown = counts > 0
        each = numpy.where(shown, counts.sum() / (max(1, shown.sum()) * numpy.where(shown, counts, 1)), 0.0)
        self._weights = torch.tensor(each, dtype=torch.float32)
        return ""

    def build(self, weights: str | None = None) -> nn.Module:
        network = networks.NETWORKS[self.plan.network]
        model = network.build(len(self.concepts) + 1, self.plan)
        if weights is not None:
            self._given = networks.load(model, self.plan, weights)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def inherited(self, model: nn.Module, new: Collection[str]) -> None:
        self._given = model.state_dict().keys() - new

    def lrate_factor(self, parameter: str, *, pretrained: bool) -> float:
        return self.plan.optimizer.head_lrate_factor if pretrained and parameter not in self._given else 1.0

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return losses.loss(model(batch.images), batch.targets, self.plan.loss, self._weights)

    def outputs(self, model: nn.Module, batch: Batch) -> list[Segments]:
        """Pictures of one size go through the network together, each whole and without a frame.

        So what is found in a picture does not hang on those that happen to come with it.
        """
        sizes = batch.sizes
        assert sizes is not None
        found: dict[int, Segments] = {}
        for height, width in {(int(high), int(wide)) for high, wide in sizes.tolist()}:
            same = [place for place, size in enumerate(sizes.tolist()) if size == [height, width]]
            logits = losses.enlarge(model(batch.images[same][:, :, :height, :width]), height, width)
            truths = None if batch.targets is None else batch.targets[same][:, :height, :width].long()
            for turn, place in enumerate(same):
                found[place] = _segments(logits[turn], None if truths is None else truths[turn])
        return [found[place] for place in range(len(found))]

    def best_metric(self, targets: Sequence[Truth]) -> str:
        return "mIoU" if len(targets) else ""

    def scorer(self, targets: Sequence[Truth]) -> SegmentScorer:
        return SegmentScorer(self, targets)

    def predictions(self, outputs: Sequence[Any]) -> list[Prediction]:
        return [Prediction(regions=self._regions(segments)) for segments in outputs]

    def _regions(self, segments: Segments) -> list[FoundRegion]:
        """One region a concept that is found anywhere, the most certain first.

        Masks have the resolution at which the network saw the picture; they lie over the whole picture.
        """
        found = []
        for place in sorted(set(numpy.unique(segments.map).tolist()) - {0}):
            mask = masks.encode(segments.map == place)
            box = masks.extent(mask)
            assert box is not None
            region = FoundRegion(concept=self.concepts[place - 1], value=segments.values[place], box=box, mask=mask)
            found.append(region)
        return sorted(found, key=lambda region: -region.value)


class SegmentScorer:
    """Keeps one confusion matrix."""

    def __init__(self, task: Segment, targets: Sequence[Truth]) -> None:
        self.task, self.targets = task, targets
        self.confusion = Confusion(len(task.concepts) + 1)
        self.losses: list[float] = []

    def add(self, places: Sequence[int], outputs: Sequence[Any]) -> None:
        for place, segments in zip(places, outputs, strict=True):
            self.confusion.add(self.targets[place], segments.map)
            if segments.loss is not None:
                self.losses.append(segments.loss)

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        whole, by_concept = self.confusion.result(self.task.concepts)
        loss = math.fsum(self.losses) / len(self.losses) if self.losses else math.nan
        return {**whole, "loss": loss if math.isfinite(loss) else None}, by_concept


def _segments(logits: Tensor, truth: Tensor | None) -> Segments:
    """`logits`: [places, height, width]; `truth`: int64 [height, width]."""
    loss = None if truth is None else float(losses.cross_entropy(logits[None], truth[None]))
    values, places = logits.softmax(0).max(0)
    flat, certain = places.flatten().cpu().numpy(), values.flatten().double().cpu().numpy()
    pixels = numpy.bincount(flat, minlength=len(logits))
    sums = numpy.bincount(flat, weights=certain, minlength=len(logits))
    means = sums / numpy.maximum(pixels, 1)
    return Segments(flat.reshape(places.shape).astype(numpy.int16), means.tolist(), loss)
