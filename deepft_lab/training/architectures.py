"""Networks of whole pictures by their names, each with a new head for the concepts.

    network = architectures.find("convnext_tiny").build(5)     # images [n, 3, h, w] -> logits [n, 5]
    features = architectures.headless(network, "head.fc.")     # the same network: images -> features [n, 768]

Names are those of torchvision and timm; where both have one, the table below says whose graph and keys it is. A name
that the table lacks is looked for in timm, then in torchvision; `timm/` or `torchvision/` before it says which.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import StochasticDepth

from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault
from deepft_lab.training.inception import InceptionV2
from deepft_lab.training.recipes import backbones, builders


class Architecture(NamedTuple):
    """`build(outputs, stochastic_depth=0.0)` gives a random start; the last layer's keys begin with `head`.

    `aside` begins the keys of published files that belong to no part of the network (auxiliary classifiers).
    """

    build: Callable[..., nn.Module]
    head: str
    least_size: int = 32  # pixels of the input's side
    aside: tuple[str, ...] = ()


def find(name: str) -> Architecture:
    """The architecture of a name. Raises InvalidParams where no library has it."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    word, arguments = builders.apart(name)
    installed = builders.find("backbone", word, "visual-classifier") if backbones.fault(word) else None
    if isinstance(installed, builders.Builder):
        function = builders.function("backbone", word)
        assert function is not None
        return Architecture(functools.partial(function, **arguments), installed.head)
    library, _, bare = name.rpartition("/")
    build = builder(library, bare)
    if build is not None:
        return _with_head(name, build)
    reason = "It is a name of timm or torchvision, such as convnext_tiny, timm/resnet50d or torchvision/regnet_y_400mf."
    raise InvalidParams(f"There is no architecture {name!r}. {reason}", [Fault("architecture", name, reason)])


def builder(library: str, name: str) -> Callable[..., nn.Module] | None:
    """What builds a network of timm or torchvision, or of the first of them that has the name where `library` is ''."""
    import timm  # a second of imports, for those who need it

    if library in ("", "timm") and timm.is_model(name):
        return functools.partial(_timm, name)
    if library in ("", "torchvision") and name in models.list_models(module=models):
        return functools.partial(_torchvision, name)
    return None


def headless(network: nn.Module, head: str) -> nn.Module:
    """Takes the last layer of a network away, so that it gives features. Returns the network."""
    return put_head(network, head, nn.Identity())


class Head(nn.Linear):
    """A last layer that drops some features in training, and may bring embeddings to one length first."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0, length: float | None = None) -> None:
        super().__init__(inputs, outputs)
        self.dropout, self.length = dropout, length

    def forward(self, features: Tensor) -> Tensor:
        """[n, inputs], or maps [n, inputs, h, w] where the network ends in a convolution over places."""
        if self.length is not None:
            features = nn.functional.normalize(features, dim=1) * self.length
        features = nn.functional.dropout(features, self.dropout, self.training)
        if features.ndim == 4:
            return super().forward(features.movedim(1, -1)).movedim(-1, 1)
        return super().forward(features)


def put_head(network: nn.Module, head: str, layer: nn.Module) -> nn.Module:
    """Puts another layer in the place of the last one. Returns the network."""
    path, _, last = head.removesuffix(".").rpartition(".")
    setattr(network.get_submodule(path), last, layer)
    return network


def width(network: nn.Module, head: str) -> int:
    """How many features the last layer takes."""
    return int(network.get_parameter(f"{head}weight").shape[1])


def normalisation_layers(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Batch norms, which keep running statistics of their inputs."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def _torchvision(name: str, outputs: int, stochastic_depth: float = 0.0) -> nn.Module:
    extra: dict[str, Any] = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if stochastic_depth:  # a TypeError where there is none: said before the run, by recipes/backbones.py
        extra["stochastic_depth_prob"] = stochastic_depth
    return models.get_model(name, weights=None, num_classes=outputs, **extra)


def _timm(name: str, outputs: int, stochastic_depth: float = 0.0) -> nn.Module:
    import timm

    extra: dict[str, Any] = {"drop_path_rate": stochastic_depth} if stochastic_depth else {}
    return timm.create_model(name, pretrained=False, num_classes=outputs, **extra, **_any_size(name))


@functools.cache
def _any_size(name: str) -> dict[str, Any]:
    """What lets a network of timm take pictures of any size: each class knows words of its own, or none.

    With `dynamic_img_size` position embeddings are interpolated and windows masked, with `dynamic_img_pad` sides are
    filled up to whole patches. The keys of the weights stay the same.
    """
    import timm

    both: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True}
    for words in (both, {"dynamic_img_size": True}):
        try:
            with torch.device("meta"):
                timm.create_model(name, pretrained=False, num_classes=1, **words)
        except TypeError:  # an argument that the class does not know
            continue
        return words
    return {}


def _inception_v2(outputs: int, stochastic_depth: float = 0.0) -> nn.Module:
    return InceptionV2(outputs)


def _resnet(block: Any, layers: list[int], outputs: int, stochastic_depth: float = 0.0, **shape: Any) -> nn.Module:
    model = ResNet(_DroppedBottleneck if block is Bottleneck else block, layers, num_classes=outputs, **shape)
    blocks = [module for module in model.modules() if isinstance(module, _DroppedBottleneck)]
    for place, module in enumerate(blocks):
        module.drop = StochasticDepth(stochastic_depth * place / (len(blocks) - 1), mode="row")
        # Each block starts as the identity (arXiv 1706.02677); given weights replace it.
        nn.init.zeros_(module.bn3.weight)
    return model


class _DroppedBottleneck(Bottleneck):
    """torchvision's block whose residual branch is left out for some images (stochastic depth, arXiv 1603.09382)."""

    drop: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.drop(self.bn3(self.conv3(branch)))
        return self.relu(branch + (x if self.downsample is None else self.downsample(x)))


def _with_head(name: str, build: Callable[..., nn.Module]) -> Architecture:
    """A network of a library with its last layer. Raises InvalidParams where it has none, or several."""
    found = heads(build)
    if len(found) == 1:
        return Architecture(build, found.pop())
    reason = f"{name} has {backbones.heads_in_words(len(found))} Take another, such as resnet50."
    raise InvalidParams(reason, [Fault("architecture", name, reason)])


def heads(build: Callable[..., nn.Module]) -> set[str]:
    """What the keys of the last layers begin with: those whose shape follows the number of outputs."""
    first, second = skeleton(build, 3).state_dict(), skeleton(build, 5).state_dict()
    return {key.rpartition(".")[0] + "." for key in first if first[key].shape != second[key].shape}


def skeleton(build: Callable[..., nn.Module], *arguments: float) -> nn.Module:
    """A network on the meta device, where tensors have shapes and no values."""
    try:
        with torch.device("meta"):
            return build(*arguments)
    except NotImplementedError:  # torchvision's RegNets compute their widths while they are built
        return build(*arguments).to("meta")


def _of_timm(name: str, head: str, least_size: int = 32, aside: tuple[str, ...] = ()) -> Architecture:
    return Architecture(functools.partial(_timm, name), head, least_size, aside)


def _of_resnet(block: Any, layers: list[int], **shape: Any) -> Architecture:
    return Architecture(functools.partial(_resnet, block, layers, **shape), "fc.")


_EFFICIENTNETS = [f"tf_efficientnet_b{size}" for size in range(9)]
_EFFICIENTNETS_V2 = [f"tf_efficientnetv2_{size}" for size in ("b0", "b3", "s", "m", "l")]

# Keys are torchvision's for mobilenet_v2, googlenet and the ResNets (timm's ResNets have the same), timm's otherwise.
ARCHITECTURES: dict[str, Architecture] = {
    "mobilenet_v2": Architecture(functools.partial(_torchvision, "mobilenet_v2"), "classifier.1."),
    "resnet18": _of_resnet(BasicBlock, [2, 2, 2, 2]),
    "resnet50": _of_resnet(Bottleneck, [3, 4, 6, 3]),
    "resnet101": _of_resnet(Bottleneck, [3, 4, 23, 3]),
    "resnext50_32x4d": _of_resnet(Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4),
    "resnext101_32x8d": _of_resnet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8),
    "resnext101_64x4d": _of_resnet(Bottleneck, [3, 4, 23, 3], groups=64, width_per_group=4),
    "googlenet": Architecture(functools.partial(_torchvision, "googlenet"), "fc.", 32, ("aux1.", "aux2.")),
    "inception_v2": Architecture(_inception_v2, "fc."),
    "inception_v3": _of_timm("inception_v3", "fc.", 75, ("AuxLogits.",)),
    **{name: _of_timm(name, "classifier.") for name in _EFFICIENTNETS + _EFFICIENTNETS_V2},
    **{f"convnext_{size}": _of_timm(f"convnext_{size}", "head.fc.") for size in ("tiny", "small", "base")},
    **{f"vit_{size}_patch14_dinov2": _of_timm(f"vit_{size}_patch14_dinov2", "head.", 14) for size in ("small", "base")},
}
