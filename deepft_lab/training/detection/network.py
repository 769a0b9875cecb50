"""A detector: backbone, neck and head of a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from deepft_lab.training.detection import anchors, backbones, necks
from deepft_lab.training.detection.pictures import Target
from deepft_lab.training.recipes import builders
from deepft_lab.training.recipes.detector import Anchors, Dense, Detector, Queries, TwoStage, Yolox
from deepft_lab.training.recipes.parts import Installed

Boxes = tuple[Tensor, Tensor, Tensor]  # boxes [n, 4] in pixels, scores [n], labels [n]


class Network(nn.Module):
    """`network(images, sizes, targets)` is the loss; without targets, what it finds in each image.

    Frozen stages and frozen norms stay as in prediction while the rest trains.
    """

    def __init__(self, backbone: backbones.Backbone, neck: necks.Neck, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck, self.head = backbone, neck, head
        self.frozen_stages, self.frozen_norms = 0, False

    def forward(self, images: Tensor, sizes: Tensor, targets: Sequence[Target] | None = None) -> Tensor | list[Boxes]:
        maps = self.neck(self.backbone(images))
        if targets is None:
            return self.head.find(maps, sizes)  # type: ignore[operator]
        return self.head.loss(maps, sizes, targets)  # type: ignore[operator]

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        for name, module in self.backbone.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and (self.frozen_norms or self.is_frozen(name)):
                module.eval()
        return self

    def is_frozen(self, name: str) -> bool:
        """True where a module or parameter of the backbone stands still."""
        stages = self.backbone.stages[: self.frozen_stages]
        return any(f"{name}.".startswith(prefix) for stage in stages for prefix in stage)


def build(plan: Detector, concepts: int, *, side: int, ratios: Sequence[float] | None = None) -> Network:
    """A network from a random start, for pictures of a shorter side. `ratios` replace the recipe's anchor ratios."""
    backbone = backbones.build(plan.backbone)
    neck = necks.build(backbone.channels, plan.backbone.strides, plan.neck)
    head: nn.Module
    if isinstance(plan.head, (TwoStage, Dense)):
        shapes = _shapes(plan.head.anchors, neck.strides, ratios, side)
        if isinstance(plan.head, TwoStage):
            from deepft_lab.training.detection.two_stage import TwoStageHead

            head = TwoStageHead(neck.channels, neck.strides, concepts, plan.head, plan.found, shapes)
        else:
            from deepft_lab.training.detection.dense import DenseHead

            head = DenseHead(neck.channels, neck.strides, concepts, plan.head, plan.found, shapes)
    elif isinstance(plan.head, Yolox):
        from deepft_lab.training.detection.yolox import YoloxHead

        head = YoloxHead(neck.channels, neck.strides, concepts, plan.head, plan.found)
    elif isinstance(plan.head, Installed):
        make = builders.bound("head", plan.head.builder, plan.head.arguments)
        head = make(neck.channels, neck.strides, concepts, plan.found)
    else:
        assert isinstance(plan.head, Queries)
        from deepft_lab.training.detection.queries import QueryHead

        head = QueryHead(neck.channels, neck.strides, concepts, plan.head, plan.found)
    return Network(backbone, neck, head)


def _shapes(settings: Anchors, strides: Sequence[int], ratios: Sequence[float] | None, side: int) -> Tensor:
    if settings.fitted:  # until the training boxes are known: squares from two strides to four
        scales = [2 * 2 ** (place / settings.fitted) for place in range(settings.fitted)]
        return anchors.regular(strides, scales, [1.0])
    if settings.sides:
        return anchors.of_ssd(side, settings.sides, settings.side_ratios)
    return anchors.regular(strides, settings.scales, ratios or settings.ratios)
