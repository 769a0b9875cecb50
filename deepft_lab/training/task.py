"""What a kind of training is made of. The loop knows this much of it, and no more.

    pictures (uint8) --train_batch / test_batch--> Batch --prepare--> normalised Batch --loss--> a scalar
                                                                                       --outputs--> one an example
    outputs --Scorer--> metrics            outputs --predictions--> what a person and a program see

The same `test_batch`, `outputs` and `predictions` serve validation, previews and the finished model's predictor, so
what was measured is what one gets.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy
import torch
from torch import Tensor, nn

from deepft_lab.errors import InvalidParams
from deepft_lab.manifest import Manifest
from deepft_lab.records import Fault, Prediction
from deepft_lab.training import recipes
from deepft_lab.training.preparing import Tell
from deepft_lab.training.recipes import builders, limits

if TYPE_CHECKING:
    from deepft_lab.training.data import Examples

Figures = dict[str, float | None]


@dataclasses.dataclass
class Batch:
    """`images`: uint8 [n, 3, h, w], channels last; float32 after `prepare`. `targets`: a tensor or a list, n of them.

    `sizes`: int64 [n, 2], height and width that each picture fills of its image, from the top left corner; None: all.
    """

    images: Tensor
    targets: Any = None
    sizes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._each(lambda tensor: tensor.pin_memory())

    def part(self, start: int, stop: int) -> Batch:
        """Some of its examples, to be computed by themselves."""
        sizes = None if self.sizes is None else self.sizes[start:stop]
        targets = None if self.targets is None else self.targets[start:stop]
        return Batch(self.images[start:stop], targets, sizes)

    def __reduce__(self) -> Any:
        """Out of a loading process each tensor takes a file descriptor and a message: a few carry all targets."""
        if not (isinstance(self.targets, list) and self.targets and isinstance(self.targets[0], dict)):
            return Batch, (self.images, self.targets, self.sizes)
        columns = {name: _joined([target[name] for target in self.targets]) for name in self.targets[0]}
        return _arrived, (self.images, columns, self.sizes)

    def _each(self, change: Any) -> Batch:
        return Batch(*(_changed(getattr(self, field.name), change) for field in dataclasses.fields(self)))


def _joined(tensors: Sequence[Tensor]) -> tuple[Tensor, list[torch.Size]]:
    return torch.cat([tensor.flatten() for tensor in tensors]), [tensor.shape for tensor in tensors]


def _arrived(images: Tensor, columns: dict[str, tuple[Tensor, list[torch.Size]]], sizes: Tensor | None) -> Batch:
    """A batch whose targets are dictionaries of tensors, out of the joined ones."""
    parts = {
        name: [part.view(shape) for part, shape in zip(joined.split([s.numel() for s in shapes]), shapes, strict=True)]
        for name, (joined, shapes) in columns.items()
    }
    targets = [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
    return Batch(images, targets, sizes)


def at_least(count: Tensor) -> Tensor:
    """What a mean divides by: how much counts, or 1 where nothing does."""
    return torch.where(count > 0, count, torch.ones_like(count))


def _through(
    steps: Sequence[tuple[str, Callable[..., Any]]], picture: Tensor, random: numpy.random.Generator
) -> Tensor:
    for name, step in steps:
        found = step(picture.clone(), random)
        if not isinstance(found, Tensor) or (found.shape, found.dtype) != (picture.shape, picture.dtype):
            given = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            words = f"The installed augmentation {name} gave {given} for {picture.dtype} {list(picture.shape)}."
            raise InvalidParams(words, [Fault("config.augment.steps", name, words)])
        picture = found
    return picture


def _changed(value: Any, change: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return value


class Scorer(Protocol):
    """Takes outputs as they come, in bounded memory, and says what they are worth."""

    def add(self, places: Sequence[int], outputs: Sequence[Any]) -> None:
        """Outputs of the examples at these places of the validation targets; each place comes once."""

    def result(self) -> tuple[Figures, dict[str, Figures]]:
        """Metrics of the whole, and by concept."""


class Task(ABC):
    """One kind of training with its settings. Made of plain data, so that a finished model can make it again.

    `plan` is the recipe, `values` the complete hyperparameters, `exclusive` whether concepts exclude each other.
    """

    tell: Tell = staticmethod(lambda what, share: None)  # how far `settle` is, for whoever waits
    one_size = True  # of batches for training: a GPU then looks once for what is quickest
    continued = False  # whether a checkpoint will fill the network: then what begins it need not be computed

    def __init__(self, plan: Any, values: dict[str, Any], concepts: Sequence[str], *, exclusive: bool) -> None:
        self.plan, self.values, self.concepts, self.exclusive = plan, values, list(concepts), exclusive
        # How many examples are computed at once where no gradients are needed; the loop makes it no more than fits.
        self.together = int(values.get("batch_size") or 1)

    def check(self) -> None:
        """Raises InvalidParams where this network cannot take the values, with every fault."""
        faults = {fault.field: fault for fault in (*limits.check(self.plan, self.values), *self.faults())}
        if faults:
            words = " ".join(f"{fault.field} = {fault.value}: {fault.reason}" for fault in faults.values())
            raise InvalidParams(words, list(faults.values()))

    def faults(self) -> list[Fault]:
        """Beyond `recipes/limits.py`, what only a task knows."""
        return []

    @property
    def repeats(self) -> int:
        """How often an image comes in a row in an epoch, each time differently changed."""
        return 1

    # -- pictures --

    @property
    def stored_side(self) -> int:
        """Least shorter side, in pixels, at which pictures are decoded for training, validation and prediction."""
        return recipes.stored_side(self.plan, self.values)

    @property
    def kept_side(self) -> int | None:
        """The same, or None by `decode: full`: whole pictures."""
        return recipes.kept_side(self.plan, self.values)

    def changed(self, pictures: Sequence[Tensor], randoms: Sequence[numpy.random.Generator]) -> Sequence[Tensor]:
        """Training pictures as the installed augmentations of the recipe leave them.

        Raises InvalidParams where one gives anything but a picture of the same shape.
        """
        listed = self.plan.augment.steps
        if not listed:
            return pictures
        steps = [(step.name, builders.bound("augmentation", step.name, step.arguments)) for step in listed]
        return [_through(steps, picture, random) for picture, random in zip(pictures, randoms, strict=True)]

    @abstractmethod
    def train_batch(
        self, pictures: Sequence[Tensor], targets: Sequence[Any], randoms: Sequence[numpy.random.Generator]
    ) -> Batch:
        """Pictures (uint8 [height, width, 3]) changed at random; each example has its own source of randomness."""

    @abstractmethod
    def test_batch(self, pictures: Sequence[Tensor], targets: Sequence[Any] | None = None) -> Batch:
        """Pictures as validation and prediction see them."""

    @abstractmethod
    def prepare(self, batch: Batch, random: numpy.random.Generator | None = None) -> Batch:
        """Normalises a batch where it lies; with `random`, mixes it for training."""

    # -- data --

    @abstractmethod
    def targets(self, manifest: Manifest) -> Any:
        """What is true of each entry: a tensor or a list, in the manifest's order."""

    def complaints(self, targets: Any) -> list[str]:
        """What a person should know about the training targets before waiting for the end."""
        return []

    def balance(self, targets: Any) -> str:
        """Lets rare concepts count in the loss as much as common ones, by the training targets (`class_weights`).

        Returns why it does not, in words, where the task has no such weights; empty where it has.
        """
        return f"class_weights = balanced changes nothing here: {type(self).__name__} has no weights of concepts."

    # -- the network --

    def settle(self, model: nn.Module, training: Examples, validation: Examples) -> None:  # noqa: B027
        """Called once, when the network stands and before the first step, for what is computed once.

        `model` is the network without its wrapper. Where a task sets `vectors` of examples, their batches are rows of
        it, for training too.
        """

    def settled(self, training: int, validation: int) -> int:
        """How many examples `settle` looks at, of so many; by them a sample's time tells that of all."""
        return training + validation

    def evaluated(self, training: int, validation: int) -> int:
        """How many examples an evaluation looks at, of so many, as `settled`."""
        return validation

    @abstractmethod
    def build(self, weights: str | None = None) -> nn.Module:
        """The network for the concepts, from a random start or from a file of pretrained weights; channels last."""

    def inherited(self, model: nn.Module, new: Collection[str]) -> None:  # noqa: B027 - few tasks have to know
        """Called when a finished model's weights have filled the network, in place of a pretrained file.

        `new`: keys of the tensors in which some rows begin at random, because their concepts are new.
        """

    def lrate_factor(self, parameter: str, *, pretrained: bool) -> float:
        """A parameter's learning rate over that of the step, by its name; 0 where it is frozen."""
        return 1.0

    def head_rows(self, key: str, rows: int, concepts: int, each: int) -> numpy.ndarray:
        """int64 [concepts, each]: which of the `rows` of a head's tensor belong to each concept.

        `each` is how many a concept adds. As it is here the concepts come last, one after the other, and what belongs
        to none (a background) comes first. A head that is laid out otherwise says so, that `resume_from` may find them.
        """
        first = rows - concepts * each
        return numpy.arange(first, rows).reshape(concepts, each)

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean loss of a prepared batch: a scalar. `model` is called once."""

    def counted(self, batch: Batch) -> Tensor | None:
        """How much `loss` is a mean of, a scalar: known targets, boxes. None: the examples.

        A loss divides by it, or by 1 where it is 0. By it the parts of a batch and the batches of ranks are put
        together again, so that their gradients are those of the whole.
        """
        return None

    @property
    def part_means(self) -> str:
        """In words, what the loss takes a mean of that is known only once a part is computed; empty: nothing.

        Parts then count by their examples, and their gradients are nearly those of the whole.
        """
        return ""

    @abstractmethod
    def outputs(self, model: nn.Module, batch: Batch) -> list[Any]:
        """One output an example of a prepared batch, on the CPU: all that `Scorer` and `predictions` need.

        It does not hang on the batch's other examples.
        """

    # -- what they are worth --

    @abstractmethod
    def best_metric(self, targets: Any) -> str:
        """The metric that chooses the best checkpoint, higher is better (but for `loss`); empty without targets."""

    @abstractmethod
    def scorer(self, targets: Any) -> Scorer:
        """A scorer of outputs against the validation targets."""

    @abstractmethod
    def predictions(self, outputs: Sequence[Any]) -> list[Prediction]:
        """What a person and a program see of the outputs."""
