"""Networks by their registered names, each with a new head for the concepts. Graphs and keys are torchvision's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import StochasticDepth


class Architecture(NamedTuple):
    """`build(outputs, stochastic_depth)` gives a random start; the last layer's keys begin with `head`."""

    build: Callable[[int, float], nn.Module]
    head: str
    least_size: int  # pixels of the input's side


def _mobilenet_v2(outputs: int, stochastic_depth: float) -> nn.Module:
    return models.mobilenet_v2(num_classes=outputs)


def _resnet50(outputs: int, stochastic_depth: float) -> nn.Module:
    model = ResNet(_DroppedBottleneck, [3, 4, 6, 3], num_classes=outputs)
    blocks = [module for module in model.modules() if isinstance(module, _DroppedBottleneck)]
    for place, block in enumerate(blocks):
        block.drop = StochasticDepth(stochastic_depth * place / (len(blocks) - 1), mode="row")
        nn.init.zeros_(
            block.bn3.weight
        )  # each block starts as the identity (arXiv 1706.02677); given weights replace it
    return model


class _DroppedBottleneck(Bottleneck):
    """torchvision's block whose residual branch is left out for some images (stochastic depth, arXiv 1603.09382)."""

    drop: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.drop(self.bn3(self.conv3(branch)))
        return self.relu(branch + (x if self.downsample is None else self.downsample(x)))


ARCHITECTURES: dict[str, Architecture] = {
    "mobilenet_v2": Architecture(_mobilenet_v2, "classifier.1.", 32),
    "resnet50": Architecture(_resnet50, "fc.", 32),
}


def normalisation_layers(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Batch norms, which keep running statistics of their inputs."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
