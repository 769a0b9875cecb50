"""A network of a few hundred weights in the place of MobileNetV2, so that a whole run takes a tenth of a second."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from deepft_lab.training import architectures

VALUES: dict[str, Any] = {
    "pretrained_weights": "None", "image_size": 32, "batch_size": 8, "num_epochs": 3, "per_item_lrate": 1e-3,
    "warmup_iters": 0,
}  # fmt: skip


class Tiny(nn.Module):
    """With what makes a run hard to resume: batch norm's statistics and dropout."""

    def __init__(self, outputs: int, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=4, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(32, outputs))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


class Plain(nn.Module):
    """Without either: what one rank computes, two compute together."""

    def __init__(self, outputs: int, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(32, outputs))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


def use(monkeypatch: pytest.MonkeyPatch, network: type[nn.Module] = Tiny) -> None:
    """From now on `mobilenet_v2` is this network."""
    made = architectures.Architecture(network, "classifier.1.", 32)
    monkeypatch.setitem(architectures.ARCHITECTURES, "mobilenet_v2", made)
