"""Visual detection: boxes of concepts in pictures.

Targets: one dictionary an entry, as in detection/pictures.py, with boxes as fractions. Outputs: `boxes` float32 [n, 4]
as fractions, `scores` [n] and `labels` [n], highest score first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy
import torch
from torch import Tensor, nn

from deepft_lab.manifest import Entry, Manifest
from deepft_lab.records import FoundRegion, Prediction
from deepft_lab.training import augment, norms
from deepft_lab.training.detection import anchors, metrics, network, pictures, published
from deepft_lab.training.detection.ignored import EVERY
from deepft_lab.training.recipes.detector import Dense, Detector, Queries, TwoStage
from deepft_lab.training.recipes.parts import Installed
from deepft_lab.training.task import Batch, Figures, Scorer, Task

if TYPE_CHECKING:
    from deepft_lab.training.data import Examples


class Detect(Task):
    """Trains boxes. Learning rates, sizes and anchors follow from the recipe, the values and the training boxes."""

    plan: Detector
    one_size = False

    def __init__(self, plan: Any, values: dict[str, Any], concepts: Sequence[str], *, exclusive: bool) -> None:
        super().__init__(_with_values(plan, values), values, concepts, exclusive=exclusive)
        self._frozen: set[str] = set()
        self._weights: Tensor | None = None  # of concepts in the loss

    # -- pictures --

    def train_batch(
        self, pictures_: Sequence[Tensor], targets: Sequence[Any], randoms: Sequence[numpy.random.Generator]
    ) -> Batch:
        flip, found = augment.flip_of(self.values), []
        for picture, target, random in zip(self.changed(pictures_, randoms), targets, randoms, strict=True):
            side = pictures.drawn_size(self.values, random)
            size = pictures.shown_size(picture.shape, self.values, side)
            found.append(pictures.changed(picture, target, size, self.plan.augment, flip, random))
        images, sizes = pictures.together([pixels for pixels, _ in found])
        return Batch(images, [target for _, target in found], sizes)

    def test_batch(self, pictures_: Sequence[Tensor], targets: Sequence[Any] | None = None) -> Batch:
        shown = [augment.resize(picture, pictures.shown_size(picture.shape, self.values)) for picture in pictures_]
        images, sizes = pictures.together(shown)
        return Batch(images, None if targets is None else list(targets), sizes)

    def prepare(self, batch: Batch, random: numpy.random.Generator | None = None) -> Batch:
        return Batch(augment.normalise(batch.images, self.plan.mean, self.plan.deviation), batch.targets, batch.sizes)

    # -- data --

    def targets(self, manifest: Manifest) -> list[pictures.Target]:
        return [self._target(entry) for entry in manifest.entries]

    def _target(self, entry: Entry) -> pictures.Target:
        places = {concept: place for place, concept in enumerate(self.concepts)}
        boxes: list[tuple[float, ...]] = []
        labels: list[int] = []
        ignored: list[tuple[float, ...]] = []
        ignored_labels: list[int] = []
        drawn = {region.concept for region in entry.regions}
        for region in entry.regions:
            left, top, right, bottom = region.box
            if right <= left or bottom <= top:
                continue
            if region.ignored and (not region.concept or region.concept in places):
                ignored.append(region.box)
                ignored_labels.append(places.get(region.concept, EVERY))
            elif not region.ignored and region.concept in places:
                boxes.append(region.box)
                labels.append(places[region.concept])
        for concept, label in entry.labels.items():  # said to be somewhere, but nobody has drawn where
            if label == 1 and concept in places and concept not in drawn:
                ignored.append((0.0, 0.0, 1.0, 1.0))
                ignored_labels.append(places[concept])
        return {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.long),
            "ignored": torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
            "ignored_labels": torch.tensor(ignored_labels, dtype=torch.long),
            "size": torch.tensor([entry.height, entry.width]),
        }

    def complaints(self, targets: Any) -> list[str]:
        counts = torch.bincount(torch.cat([target["labels"] for target in targets]), minlength=len(self.concepts))
        return [
            f"No input bears a box of {concept!r}: the model cannot learn it."
            for concept, count in zip(self.concepts, counts.tolist(), strict=True)
            if not count
        ]

    def balance(self, targets: Sequence[pictures.Target]) -> str:
        """Weights by how rare the boxes of a concept are; their mean over all boxes is 1."""
        if isinstance(self.plan.head, TwoStage) and self.plan.head.balanced:
            return (
                "class_weights = balanced changes nothing here: this template learns from as many examples of each "
                "concept as it is."
            )
        labels = torch.cat([torch.zeros(0, dtype=torch.long), *(target["labels"] for target in targets)])
        counts = torch.bincount(labels, minlength=len(self.concepts)).float()
        shown = counts > 0
        self._weights = torch.where(shown, counts.sum() / (shown.sum() * counts).clamp(min=1), 1.0)
        return ""

    # -- the network --

    def settle(self, model: nn.Module, training: Examples, validation: Examples) -> None:
        self.fit_anchors(model, training.targets)

    def fit_anchors(self, model: nn.Module, targets: Sequence[pictures.Target]) -> None:
        """Fits the anchors to the training boxes as the network sees them; a continued model keeps its own."""
        settings = getattr(self.plan.head, "anchors", None)
        if settings is None or not settings.fitted or self.values.get("resume_from"):
            return
        sides = [numpy.zeros((0, 2))]
        for target in targets:
            height, width = pictures.shown_size(target["size"].tolist(), self.values)
            boxes = target["boxes"].numpy()
            sides.append((boxes[:, 2:] - boxes[:, :2]) * (width, height))
        shapes: Tensor = model.head.shapes  # type: ignore[union-attr,assignment]
        if (found := anchors.fitted(numpy.concatenate(sides), *shapes.shape[:2])) is not None:
            shapes.copy_(found)

    def build(self, weights: str | None = None) -> nn.Module:
        made = network.build(
            self.plan,
            len(self.concepts),
            side=min(self.values["image_size"]),
            ratios=self.values.get("anchor_ratios"),
        )
        if self._weights is not None:
            made.head.weights.copy_(self._weights)  # type: ignore[union-attr,operator]
        if weights is not None:
            choice = self.values.get("pretrained_weights", "")
            published.fill(made, weights, self.plan, self.plan.starts.get(choice, "backbone"))
            self._freeze(made)
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def inherited(self, model: nn.Module, new: Collection[str]) -> None:
        assert isinstance(model, network.Network)
        self._freeze(model)

    def _freeze(self, made: network.Network) -> None:
        """Holds still what the fields and the recipe say of a backbone that has learned already."""
        made.frozen_stages = self.values.get("frozen_stages", self.plan.frozen_stages)
        made.frozen_norms = self.plan.backbone.norms == "frozen"
        self._frozen = _frozen(made)
        if made.frozen_norms:
            norms.fold(made.backbone)

    def lrate_factor(self, parameter: str, *, pretrained: bool) -> float:
        if parameter in self._frozen:
            return 0.0
        if parameter.startswith("backbone."):
            return self.plan.backbone_lrate_factor if pretrained else 1.0
        return 1.0

    def head_rows(self, key: str, rows: int, concepts: int, each: int) -> numpy.ndarray:
        if not isinstance(self.plan.head, Dense):
            return super().head_rows(key, rows, concepts, each)
        # Anchor by anchor; of each the concepts, and of a concept its sides.
        sides = 4 if "regression" in key else 1
        by_anchor = numpy.arange(rows).reshape(each // sides, -1, sides)[:, -concepts:]
        return by_anchor.transpose(1, 0, 2).reshape(concepts, each)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(batch.images, batch.sizes, batch.targets)

    def counted(self, batch: Batch) -> Tensor | None:
        if not isinstance(self.plan.head, Queries):
            return None
        return torch.tensor(float(sum(len(target["boxes"]) for target in batch.targets)), device=batch.images.device)

    @property
    def part_means(self) -> str:
        if isinstance(self.plan.head, Queries):
            return "noised copies of the boxes are drawn for each part" if self.plan.head.denoising else ""
        if isinstance(self.plan.head, Installed):
            return f"what the loss of {self.plan.head.builder} is a mean of is not known"
        return "the loss is a mean over the places that a part learns from"

    def outputs(self, model: nn.Module, batch: Batch) -> list[dict[str, Tensor]]:
        """Pictures whose own canvases are equal go through the network together.

        So what is found in a picture does not hang on those that happen to come with it.
        """
        assert batch.sizes is not None
        sizes = batch.sizes.tolist()
        canvases = [pictures.canvas_of(size) for size in sizes]
        found: dict[int, dict[str, Tensor]] = {}
        for height, width in dict.fromkeys(canvases):
            same = [place for place, canvas in enumerate(canvases) if canvas == (height, width)]
            images = batch.images if len(same) == len(batch) else batch.images[same]
            images = images[:, :, :height, :width].contiguous(memory_format=torch.channels_last)
            for place, (boxes, scores, labels) in zip(same, model(images, batch.sizes[same]), strict=True):
                high, wide = sizes[place]
                fractions = (boxes.float() / boxes.new_tensor([wide, high, wide, high])).clamp(0, 1)
                found[place] = {"boxes": fractions.cpu(), "scores": scores.float().cpu(), "labels": labels.cpu()}
        return [found[place] for place in range(len(canvases))]

    # -- what they are worth --

    def best_metric(self, targets: Any) -> str:
        return "mAP" if any(len(target["boxes"]) for target in targets) else ""

    def scorer(self, targets: Any) -> Scorer:
        return BoxScorer(self.concepts, targets)

    def predictions(self, outputs: Sequence[Any]) -> list[Prediction]:
        return [
            Prediction(
                regions=[
                    FoundRegion(concept=self.concepts[label], value=score, box=tuple(box))
                    for box, score, label in zip(
                        output["boxes"].tolist(), output["scores"].tolist(), output["labels"].tolist(), strict=True
                    )
                ]
            )
            for output in outputs
        ]


class BoxScorer:
    """COCO's figures of outputs, in pixels of the oriented pictures."""

    def __init__(self, concepts: Sequence[str], targets: Sequence[pictures.Target]) -> None:
        self.targets, self.figures = targets, metrics.CocoFigures(concepts)

    def add(self, places: Sequence[int], outputs: Sequence[Any]) -> None:
        for place, output in zip(places, outputs, strict=True):
            target = self.targets[place]
            height, width = target["size"].tolist()
            sides = numpy.array([width, height, width, height], numpy.float64)
            self.figures.add(
                _truth(target, sides, len(self.figures.concepts)),
                output["boxes"].numpy() * sides,
                output["scores"].numpy(),
                output["labels"].numpy(),
            )

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        return self.figures.result()


def _truth(target: pictures.Target, sides: numpy.ndarray, concepts: int) -> metrics.Truth:
    boxes, labels = [target["boxes"].numpy()], [target["labels"].numpy()]
    for box, label in zip(target["ignored"].numpy(), target["ignored_labels"].tolist(), strict=True):
        whose = numpy.arange(concepts) if label == EVERY else numpy.array([label])
        boxes.append(numpy.repeat(box[None], len(whose), 0))
        labels.append(whose)
    every = numpy.concatenate(labels)
    ignored = numpy.arange(len(every)) >= len(target["labels"])
    return metrics.Truth(numpy.concatenate(boxes).astype(numpy.float64) * sides, every, ignored)


def _with_values(plan: Any, values: dict[str, Any]) -> Any:
    """The recipe with what fields say of its head."""
    if not isinstance(plan.head, Dense):
        return plan
    head = plan.head
    if "use_perclass_regression" in values:
        head = msgspec.structs.replace(head, per_class_boxes=values["use_perclass_regression"])
    if "use_focal_loss" in values:
        head = msgspec.structs.replace(head, loss="focal" if values["use_focal_loss"] else "hard_examples")
    return msgspec.structs.replace(plan, head=head)


def _frozen(made: network.Network) -> set[str]:
    """Names of the parameters that stand still: of the first stages, and of norms that keep their statistics."""
    frozen = {f"backbone.{name}" for name, _ in made.backbone.named_parameters() if made.is_frozen(name)}
    if made.frozen_norms:
        for name, module in made.backbone.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                frozen |= {f"backbone.{name}.{part}" for part, _ in module.named_parameters()}
    return frozen
