"""The validation examples, predicted and scored; and the same few of them as previews each time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from deepft_lab.records import Prediction, Preview
from deepft_lab.training.data import Examples, ValidationOrder
from deepft_lab.training.memory import Parts
from deepft_lab.training.task import Batch, Figures, Task

PREVIEWS = 12  # images that each evaluation shows


class Evaluation:
    """Scores a network over all validation examples. `previews` are those of the last run, on the first rank."""

    def __init__(
        self, task: Task, examples: Examples, batches: Iterable[Any], order: ValidationOrder,
        accelerator: Accelerator,
    ) -> None:  # fmt: skip
        self.task, self.examples, self.batches, self.order = task, examples, batches, order
        self.accelerator, self._parts = accelerator, Parts(task.together)
        count = len(examples)
        shown = sorted({turn * count // PREVIEWS for turn in range(PREVIEWS)}) if count else []
        self._shown = {place: examples.entries[place] for place in shown}
        self.previews: list[dict[str, Any]] = []

    def run(self, model: nn.Module) -> tuple[Figures, dict[str, Figures]]:
        """Metrics of the whole and by concept, the same on every rank. `model` is the network without its wrapper."""
        if not len(self.examples):
            return {}, {}
        accelerator, ranks = self.accelerator, self.accelerator.num_processes
        model.eval()
        if ranks > 1:  # the first rank's batch statistics are those that are saved
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, 0)
        scorer = self.task.scorer(self.examples.targets) if accelerator.is_main_process else None
        seen: set[int] = set()
        shown: dict[int, Any] = {}
        with torch.inference_mode(), accelerator.autocast():
            for batch, keys in zip(self.batches, self.order, strict=True):
                outputs = self._outputs(model, batch)
                found = [(key[0], output) for key, output in zip(keys, outputs, strict=True)]
                if ranks > 1:
                    found = gather_object(found)
                fresh = [(place, output) for place, output in found if place not in seen]  # the last come twice
                seen.update(place for place, _ in fresh)
                if scorer is not None and fresh:
                    scorer.add([place for place, _ in fresh], [output for _, output in fresh])
                    shown.update((place, output) for place, output in fresh if place in self._shown)
        result: list[Any] = [scorer.result() if scorer is not None else None]
        if ranks > 1:
            torch.distributed.broadcast_object_list(result, 0)
        self.previews = self._preview(shown)
        return result[0]

    def _outputs(self, model: nn.Module, batch: Batch) -> list[Any]:
        """One output an example. Where memory is full the batch is computed in parts: the outputs are the same."""

        def of_part(start: int, stop: int) -> list[Any]:
            part = batch if stop - start == len(batch) else batch.part(start, stop)
            return self.task.outputs(model, self.task.prepare(part.to(self.accelerator.device)))

        return self._parts.of(of_part, len(batch))

    def _preview(self, outputs: dict[int, Any]) -> list[dict[str, Any]]:
        places = sorted(outputs)
        predictions: list[Prediction] = self.task.predictions([outputs[place] for place in places])
        found = []
        for place, prediction in zip(places, predictions, strict=True):
            entry = self._shown[place]
            preview = Preview(input=entry.input, labels=entry.labels, regions=entry.regions, prediction=prediction)
            found.append(msgspec.to_builtins(preview))
        return found
