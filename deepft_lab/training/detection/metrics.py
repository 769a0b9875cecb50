"""COCO's figures of a detector (cocodataset.org, "detection evaluation"): the numbers of pycocotools.

faster-coco-eval matches what was found with what is true, a few hundred images at a time. Of each match only its bits
are kept, 24 bytes a box, so memory stays bounded by the boxes an image may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy

from deepft_lab.training.task import Figures

AREAS = {  # least and greatest area in pixels
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
THRESHOLDS = numpy.linspace(0.5, 0.95, 10)  # of IoU
RECALLS = numpy.linspace(0, 1, 101)  # where precision is read
MOST = 100  # boxes of a concept in an image that count
_GROUP = 256  # images that are matched together


class Truth(NamedTuple):
    """What is true of an image: boxes [n, 4] in pixels, labels [n], and which of them are ignored [n] (crowds)."""

    boxes: numpy.ndarray
    labels: numpy.ndarray
    ignored: numpy.ndarray


class _Seen(NamedTuple):
    """Of one concept in some images: scores [n], and by area and threshold whether a box hit, or counts for nothing.

    `counted`: true boxes of each area.
    """

    scores: numpy.ndarray
    hits: numpy.ndarray  # bool [areas, thresholds, n], packed
    ignored: numpy.ndarray
    counted: numpy.ndarray


class CocoFigures:
    """Give it each image once with `add`, then ask for `result`."""

    def __init__(self, concepts: Sequence[str]) -> None:
        self.concepts = list(concepts)
        self._waiting: list[tuple[Truth, numpy.ndarray, numpy.ndarray, numpy.ndarray]] = []
        self._seen: list[list[_Seen]] = [[] for _ in self.concepts]

    def add(self, truth: Truth, boxes: numpy.ndarray, scores: numpy.ndarray, labels: numpy.ndarray) -> None:
        """An image's truth, and what was found: boxes [n, 4] in pixels, scores [n], labels [n]."""
        self._waiting.append((truth, boxes, scores, labels))
        if len(self._waiting) >= _GROUP:
            self._match()

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        """mAP, AP50, AP75 and AR of the whole and by size, and by concept. None where nothing of the kind is true."""
        self._match()
        tables = [_table(seen) for seen in self._seen]  # [areas, thresholds] of precision and of recall
        whole: Figures = {}
        for place, area in enumerate(AREAS):
            named = _named([(precision[place], recall[place]) for precision, recall in tables])
            end = "" if area == "all" else f"_{area}"
            kept = ("mAP", "AR") if end else tuple(named)
            whole.update({f"{name}{end}": named[name] for name in kept})
        by_concept: dict[str, Figures] = {}
        for concept, (precision, recall), seen in zip(self.concepts, tables, self._seen, strict=True):
            own = _named([(precision[0], recall[0])])
            boxes = float(sum(some.counted[0] for some in seen))
            by_concept[concept] = {"AP": own["mAP"], "AP50": own["AP50"], "AP75": own["AP75"], "AR": own["AR"],
                                   "boxes": boxes}  # fmt: skip
            for place, area in enumerate(AREAS):
                if place:
                    by_concept[concept][f"AP_{area}"] = _named([(precision[place], recall[place])])["mAP"]
        return whole, by_concept

    def _match(self) -> None:
        images, self._waiting = self._waiting, []
        for concept in range(len(self.concepts)):
            pairs = []
            for truth, boxes, scores, labels in images:
                real, own = truth.labels == concept, labels == concept
                if real.any() or own.any():
                    order = numpy.argsort(-scores[own], kind="stable")[:MOST]
                    pairs.append((truth.boxes[real], truth.ignored[real], boxes[own][order], scores[own][order]))
            if pairs:
                self._seen[concept].append(_matched(pairs))


def _matched(pairs: Sequence[tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]]) -> _Seen:
    """Matches the boxes of one concept: of each image true ones and whether they are ignored, found ones and scores."""
    from faster_coco_eval import faster_eval_api_cpp as compiled
    from faster_coco_eval.core import mask

    true, found = compiled.Dataset(), compiled.Dataset()
    overlaps: list[list[Any]] = []
    for image, (boxes, ignored, guesses, scores) in enumerate(pairs):
        real, own = _corner_and_size(boxes), _corner_and_size(guesses)
        for place, (box, crowd) in enumerate(zip(real.tolist(), ignored.tolist(), strict=True), 1):
            true.append_ref(
                image, 0, {"id": place, "area": box[2] * box[3], "iscrowd": int(crowd), "ignore": int(crowd)}
            )
        for place, (box, score) in enumerate(zip(own.tolist(), scores.tolist(), strict=True), 1):
            found.append_ref(image, 0, {"id": place, "area": box[2] * box[3], "score": score})
        both = len(real) and len(own)
        overlaps.append([mask.iou(own, real, ignored.astype(int).tolist()) if both else []])
    evaluated = compiled.COCOevalEvaluateImages(
        [list(area) for area in AREAS.values()], MOST, THRESHOLDS.tolist(), overlaps, true, found,
        list(range(len(pairs))), [0], True,
    )  # fmt: skip
    hits, passed, counted, scores_of = [], [], [], []
    for place in range(len(AREAS)):
        own_hits, own_passed, positives = [], [], 0
        for one in evaluated[place * len(pairs) : (place + 1) * len(pairs)]:
            matches, _, some, ignored_truth, ignored_found, _ = one.__getstate__()
            own_hits.append(numpy.array(matches, numpy.int64).reshape(len(THRESHOLDS), -1) > 0)
            own_passed.append(numpy.array(ignored_found, bool).reshape(len(THRESHOLDS), -1))
            positives += len(ignored_truth) - sum(ignored_truth)
            if not place:
                scores_of.append(some)
        hits.append(numpy.concatenate(own_hits, 1))
        passed.append(numpy.concatenate(own_passed, 1))
        counted.append(positives)
    return _Seen(
        numpy.concatenate([numpy.asarray(some, numpy.float64) for some in scores_of]),
        numpy.packbits(numpy.stack(hits), axis=-1),
        numpy.packbits(numpy.stack(passed), axis=-1),
        numpy.array(counted),
    )


def _table(seen: Sequence[_Seen]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Mean precision and greatest recall [areas, thresholds] of a concept; nan where nothing of an area is true."""
    shape = (len(AREAS), len(THRESHOLDS))
    precision, recall = numpy.full(shape, numpy.nan), numpy.full(shape, numpy.nan)
    if not seen:
        return precision, recall
    order = numpy.argsort(-numpy.concatenate([some.scores for some in seen]), kind="stable")
    hits, ignored = (
        numpy.concatenate(
            [numpy.unpackbits(getattr(some, name), axis=-1, count=len(some.scores)) for some in seen], -1
        )[..., order].astype(bool)
        for name in ("hits", "ignored")
    )
    counted = numpy.sum([some.counted for some in seen], 0)
    for area, threshold in numpy.ndindex(shape):
        if not counted[area]:
            continue
        counts = ~ignored[area, threshold]
        right = numpy.cumsum(hits[area, threshold] & counts)
        wrong = numpy.cumsum(~hits[area, threshold] & counts)
        reached = right / counted[area]
        exact = right / (right + wrong + numpy.spacing(1))
        best = numpy.maximum.accumulate(exact[::-1])[::-1]  # the best precision at this recall or a greater one
        places = numpy.searchsorted(reached, RECALLS, side="left")
        precision[area, threshold] = numpy.append(best, 0.0)[places].mean()
        recall[area, threshold] = reached[-1] if len(reached) else 0.0
    return precision, recall


def _named(tables: Sequence[tuple[numpy.ndarray, numpy.ndarray]]) -> Figures:
    """Figures over concepts, of precision and recall [thresholds] each."""
    real = [(precision, recall) for precision, recall in tables if not numpy.isnan(precision).any()]
    if not real:
        return {"mAP": None, "AP50": None, "AP75": None, "AR": None}
    precision, recall = (numpy.stack(some).mean(0) for some in zip(*real, strict=True))
    return {
        "mAP": float(precision.mean()),
        "AP50": float(precision[0]),
        "AP75": float(precision[5]),
        "AR": float(recall.mean()),
    }


def _corner_and_size(boxes: numpy.ndarray) -> numpy.ndarray:
    boxes = numpy.asarray(boxes, numpy.float64).reshape(-1, 4)
    return numpy.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
