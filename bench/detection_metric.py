"""COCO's figures of 870 images with 21,000 predictions: our streamed metric against pycocotools, in one run.

    python bench/detection_metric.py [IMAGES]

Both see the same boxes (drawn from a seed); each round times the two in turn, and the medians are compared. The limit
is five times as fast, with the same numbers.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time
from typing import Any

import numpy
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deepft_lab.training.detection.metrics import CocoFigures, Truth

CONCEPTS = ("Platelets", "RBC", "WBC")
FOUND = 24  # boxes found in an image: 870 images have 21,000
ROUNDS = 5

Drawn = tuple[Truth, numpy.ndarray, numpy.ndarray, numpy.ndarray]


def drawn(images: int, seed: int = 1) -> list[Drawn]:
    """Images of 640 x 480 with about 14 true boxes, a few of them ignored; most are found, more or less well."""
    random = numpy.random.default_rng(seed)
    found = []
    for _ in range(images):
        count = int(random.integers(0, 28))
        boxes = _boxes(random, count)
        labels = random.integers(0, len(CONCEPTS), count)
        near = boxes[random.integers(0, max(1, count), FOUND)] if count else _boxes(random, FOUND)
        guesses = near + random.normal(0, 4, near.shape)
        guesses = numpy.concatenate((numpy.minimum(guesses[:, :2], guesses[:, 2:] - 1), guesses[:, 2:]), 1)
        guessed = random.integers(0, len(CONCEPTS), FOUND)
        scores = numpy.round(random.random(FOUND), 3)  # some are equal
        order = numpy.argsort(-scores, kind="stable")
        truth = Truth(boxes, labels, random.random(count) < 0.05)
        found.append((truth, guesses[order], scores[order], guessed[order]))
    return found


def ours(images: list[Drawn]) -> tuple[dict[str, Any], dict[str, Any]]:
    figures = CocoFigures(CONCEPTS)
    for truth, boxes, scores, labels in images:
        figures.add(truth, boxes, scores, labels)
    return figures.result()


def theirs(images: list[Drawn]) -> list[float]:
    """pycocotools' twelve figures, from the same boxes."""
    annotations, results = [], []
    for image, (truth, boxes, scores, labels) in enumerate(images, 1):
        for box, label, ignored in zip(
            truth.boxes.tolist(), truth.labels.tolist(), truth.ignored.tolist(), strict=True
        ):
            left, top, right, bottom = box
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": label + 1, "iscrowd": int(ignored),
                 "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
            )  # fmt: skip
        for box, score, label in zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True):
            left, top, right, bottom = box
            results.append({"image_id": image, "category_id": label + 1, "score": score,
                            "bbox": [left, top, right - left, bottom - top]})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth_table = COCO()
        truth_table.dataset = {
            "images": [{"id": image, "width": 640, "height": 480} for image in range(1, len(images) + 1)],
            "annotations": annotations,
            "categories": [{"id": place + 1, "name": name} for place, name in enumerate(CONCEPTS)],
        }
        truth_table.createIndex()
        evaluation = COCOeval(truth_table, truth_table.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def same(whole: dict[str, Any], figures: list[float]) -> bool:
    """Whether both say the same of all, of sizes, and of recall."""
    named = ["mAP", "AP50", "AP75", "mAP_small", "mAP_medium", "mAP_large", None, None, "AR", "AR_small", "AR_medium",
             "AR_large"]  # fmt: skip
    pairs = [(whole[name], figure) for name, figure in zip(named, figures, strict=True) if name]
    return all(abs((-1.0 if mine is None else mine) - figure) < 1e-9 for mine, figure in pairs)


def _boxes(random: numpy.random.Generator, count: int) -> numpy.ndarray:
    corner = random.random((count, 2)) * (560, 400)
    return numpy.concatenate((corner, corner + numpy.exp(random.uniform(2.3, 5.2, (count, 2)))), 1)


def main() -> None:
    images = drawn(int(sys.argv[1]) if len(sys.argv) > 1 else 870)
    mine, peer = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        whole, _ = ours(images)
        middle = time.process_time()
        figures = theirs(images)
        mine.append(middle - start)
        peer.append(time.process_time() - middle)
    equal, ratio = same(whole, figures), statistics.median(peer) / statistics.median(mine)
    print(
        f"{len(images)} images, {len(images) * FOUND} predictions: mAP {whole['mAP']:.4f}, pycocotools {figures[0]:.4f}"
    )
    print(
        f"ours {statistics.median(mine):.2f} CPU-s, pycocotools {statistics.median(peer):.2f} CPU-s: {ratio:.1f} times"
    )
    print(f"limits: at least 5 times, and the same numbers: {'met' if equal and ratio >= 5 else 'missed'}")
    sys.exit(0 if equal and ratio >= 5 else 1)


if __name__ == "__main__":
    main()
