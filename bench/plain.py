"""What somebody reaches without this product: plain recipes, run on the data of a job folder. No bench by itself.

    python bench/plain.py RECIPE JOB_FOLDER WEIGHTS      RECIPE: one of RECIPES; prints a JSON object of metrics

Image size, batch size and epochs are the job's. All begin with the same file of MobileNetV2, decode with Pillow, and
see the validation pictures as the product does. Networks and recipes are those that torchvision's documentation shows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as change

from deepft_lab import manifest, spec
from deepft_lab.manifest import Entry
from deepft_lab.training import retrieval, tasks

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RATE = 1e-4  # AdamW, the usual one for a network that has learned


class Job:
    """A job folder: entries and targets of both parts."""

    def __init__(self, folder: Path) -> None:
        self.spec = spec.read(folder / "spec.json", spec.JobSpec)
        torch.set_num_threads(self.spec.threads)
        torch.manual_seed(self.spec.seed)
        values = self.spec.values
        self.task = tasks.of_job(self.spec)
        self.parts = {name: manifest.load(folder / f"{name}.jsonl") for name in ("train", "validation")}
        self.targets: dict[str, Any] = {name: self.task.targets(part) for name, part in self.parts.items()}
        size = values["image_size"]
        self.size: int = size if isinstance(size, int) else size[0]
        self.epochs, self.batch_size = values["num_epochs"], values["batch_size"]

    def picture(self, entry: Entry) -> Image.Image:
        path = Path(self.spec.blobs) / entry.sha256[:2] / entry.sha256
        return Image.open(path).convert("RGB")

    def batches(self, epochs: int) -> Iterator[list[int]]:
        """Places of training examples, shuffled anew in each epoch."""
        for _ in range(epochs):
            order = torch.randperm(len(self.parts["train"].entries)).tolist()
            for start in range(0, len(order), self.batch_size):
                if len(order[start : start + self.batch_size]) > 1:  # batch norm needs two
                    yield order[start : start + self.batch_size]


def _pixels(picture: Image.Image) -> Tensor:
    return change.normalize(change.to_dtype(change.pil_to_tensor(picture), torch.float32, scale=True), MEAN, DEVIATION)


def _mobilenet(weights: Path) -> nn.Module:
    network = models.mobilenet_v2(weights=None)
    network.load_state_dict(load_file(weights))
    return network


# -- whole pictures --


def _seen(job: Job, part: str) -> Tensor:
    """Pictures as in validation."""
    looks = v2.Compose([v2.Resize(round(job.size / 0.875), antialias=True), v2.CenterCrop(job.size)])
    return torch.stack([_pixels(looks(job.picture(entry))) for entry in job.parts[part].entries])


@torch.inference_mode()
def _outputs(network: nn.Module, pictures: Tensor) -> Tensor:
    network.eval()
    return torch.cat([network(part) for part in pictures.split(32)])


def _figures(job: Job, values: Tensor) -> dict[str, Any]:
    scorer = job.task.scorer(job.targets["validation"])
    scorer.add(range(len(values)), list(values))
    return scorer.result()[0]


def probe(job: Job, weights: Path) -> dict[str, Any]:
    """Logistic regression over frozen features, as scikit-learn has it."""
    from sklearn.linear_model import LogisticRegression

    network = _mobilenet(weights)
    network.classifier = nn.Identity()
    features = {part: _outputs(network, _seen(job, part)).numpy() for part in job.parts}
    truth = job.targets["train"].numpy()
    if job.spec.exclusive:
        fitted = LogisticRegression(max_iter=1000).fit(features["train"], truth.argmax(1))
        values = numpy.full((len(features["validation"]), truth.shape[1]), -100.0)
        values[:, fitted.classes_] = fitted.predict_log_proba(features["validation"])
    else:
        columns = [LogisticRegression(max_iter=1000).fit(features["train"], column) for column in truth.T]
        values = numpy.stack([column.decision_function(features["validation"]) for column in columns], 1)
    return _figures(job, torch.from_numpy(values).float())


def _tuned(job: Job, weights: Path) -> nn.Module:
    network = _mobilenet(weights)
    network.classifier[1] = nn.Linear(network.last_channel, len(job.spec.concepts))
    looks = v2.Compose([v2.RandomResizedCrop(job.size, antialias=True), v2.RandomHorizontalFlip()])
    pictures = [job.picture(entry) for entry in job.parts["train"].entries]
    targets = job.targets["train"]
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    network.train()
    for places in job.batches(job.epochs):
        logits = network(torch.stack([_pixels(looks(pictures[place])) for place in places]))
        if job.spec.exclusive:
            loss = nn.functional.cross_entropy(logits, targets[places].argmax(1))
        else:
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[places])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def finetune(job: Job, weights: Path) -> dict[str, Any]:
    """The whole network, AdamW at 1e-4, random resized crops and flips."""
    return _figures(job, _outputs(_tuned(job, weights), _seen(job, "validation")))


def _neighbours(job: Job, network: nn.Module) -> dict[str, Any]:
    features = nn.functional.normalize(_outputs(network, _seen(job, "validation")))
    return retrieval.score(features, job.targets["validation"], job.spec.concepts)[0]


def frozen_neighbours(job: Job, weights: Path) -> dict[str, Any]:
    """Neighbours by the features of the backbone as it is."""
    network = _mobilenet(weights)
    network.classifier = nn.Identity()
    return _neighbours(job, network)


def tuned_neighbours(job: Job, weights: Path) -> dict[str, Any]:
    """Neighbours by the features of a classifier that was fine-tuned on the training concepts."""
    network = _tuned(job, weights)
    network.classifier = nn.Identity()
    return _neighbours(job, network)


# -- boxes --


def detector(job: Job, weights: Path) -> dict[str, Any]:
    """Faster R-CNN on MobileNetV2, as torchvision's tutorial builds it: SGD 0.005, steps of a tenth each 3 epochs."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.rpn import AnchorGenerator
    from torchvision.ops import MultiScaleRoIAlign

    backbone = _mobilenet(weights).features
    backbone.out_channels = 1280
    network = FasterRCNN(
        backbone, num_classes=len(job.spec.concepts) + 1, min_size=job.size, max_size=round(job.size * 5 / 3),
        rpn_anchor_generator=AnchorGenerator(sizes=((32, 64, 128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
    )  # fmt: skip
    optimizer = torch.optim.SGD(network.parameters(), 0.005, momentum=0.9, weight_decay=0.0005)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.1)
    shown = job.parts["train"].entries
    step, warm = 0, min(1000, len(shown) // job.batch_size)
    network.train()
    for _ in range(job.epochs):
        for places in job.batches(1):
            for group in optimizer.param_groups:
                group["lr"] = schedule.get_last_lr()[0] * min(1.0, (step + 1) / warm)
            pictures, truths = [], []
            for place in places:
                entry, target = shown[place], job.targets["train"][place]
                pixels = change.to_dtype(change.pil_to_tensor(job.picture(entry)), torch.float32, scale=True)
                found = target["boxes"]
                if torch.rand(1) < 0.5:
                    pixels = pixels.flip(-1)
                    found = torch.stack([1 - found[:, 2], found[:, 1], 1 - found[:, 0], found[:, 3]], 1)
                found = found * torch.tensor([entry.width, entry.height] * 2)
                pictures.append(pixels)
                truths.append({"boxes": found, "labels": target["labels"] + 1})
            loss = sum(network(pictures, truths).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        schedule.step()
    network.eval()
    scorer = job.task.scorer(job.targets["validation"])
    for place, entry in enumerate(job.parts["validation"].entries):
        pixels = change.to_dtype(change.pil_to_tensor(job.picture(entry)), torch.float32, scale=True)
        with torch.inference_mode():
            (found,) = network([pixels])
        sides = torch.tensor([entry.width, entry.height] * 2)
        output = {"boxes": found["boxes"] / sides, "scores": found["scores"], "labels": found["labels"] - 1}
        scorer.add([place], [output])
    return scorer.result()[0]


# -- pixels --


def segmenter(job: Job, weights: Path) -> dict[str, Any]:
    """LR-ASPP on MobileNetV2: AdamW at 5e-4, a polynomial decay, flips; no scales, no Dice."""
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation import LRASPP

    from deepft_lab.training.tasks.segment import Segments

    backbone = IntermediateLayerGetter(_mobilenet(weights).features, {"6": "low", "17": "high"})
    network = LRASPP(backbone, 32, 320, len(job.spec.concepts) + 1)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-4)
    steps = job.epochs * -(-len(job.parts["train"].entries) // job.batch_size)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, steps, 0.9)

    def seen(part: str, place: int) -> tuple[Tensor, Tensor]:
        entry = job.parts[part].entries[place]
        scale = job.size / min(entry.width, entry.height)
        height, width = (max(16, round(side * scale / 16) * 16) for side in (entry.height, entry.width))
        truth = job.targets[part][place].at(height, width)
        return _pixels(job.picture(entry).resize((width, height), Image.Resampling.BILINEAR)), torch.from_numpy(truth)

    network.train()
    for places in job.batches(job.epochs):
        pictures, truths = zip(*(seen("train", place) for place in places), strict=True)
        images, wanted = torch.stack(pictures), torch.stack(truths).long()
        if torch.rand(1) < 0.5:
            images, wanted = images.flip(-1), wanted.flip(-1)
        loss = nn.functional.cross_entropy(network(images)["out"], wanted, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    scorer = job.task.scorer(job.targets["validation"])
    for place in range(len(job.parts["validation"].entries)):
        pixels, _ = seen("validation", place)
        with torch.inference_mode():
            found = network(pixels[None])["out"][0].argmax(0).numpy().astype(numpy.int16)
        scorer.add([place], [Segments(found, [], None)])
    return scorer.result()[0]


RECIPES = {
    recipe.__name__: recipe for recipe in (probe, finetune, frozen_neighbours, tuned_neighbours, detector, segmenter)
}


def main(arguments: Sequence[str]) -> None:
    name, folder, weights = arguments
    print(json.dumps(RECIPES[name](Job(Path(folder)), Path(weights))))


if __name__ == "__main__":
    main(sys.argv[1:])
