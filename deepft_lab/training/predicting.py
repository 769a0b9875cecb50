"""A finished model in memory, ready for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepft_lab.errors import BadImage
from deepft_lab.records import Prediction
from deepft_lab.training import checkpoints, tasks
from deepft_lab.training.memory import Parts
from deepft_lab.training.pictures import decode

TOGETHER = 16  # pictures that go through the network at once, at most


class Predictor:
    """The model of a folder, with the task that it was trained for."""

    def __init__(self, model_folder: Path) -> None:
        card = self.card = checkpoints.read_card(model_folder)
        self.task = tasks.make(card.type, card.recipe, card.values, card.concepts, exclusive=card.exclusive)
        self.model = self.task.build()
        checkpoints.fill(self.model, model_folder, card)
        self.model.eval()
        self._parts = Parts(TOGETHER)

    def warm_up(self) -> None:
        """One empty picture, so that the first real one is not slow."""
        self._outputs([torch.zeros((self.task.stored_side, self.task.stored_side, 3), dtype=torch.uint8)])

    def predict(self, pictures: Sequence[bytes]) -> list[Prediction]:
        """One prediction a picture; a picture that cannot be read gets its error in words."""
        found: dict[int, Prediction] = {}
        pixels: dict[int, Tensor] = {}
        for place, content in enumerate(pictures):
            try:
                pixels[place] = torch.from_numpy(decode(content, self.task.kept_side))
            except BadImage as error:
                found[place] = Prediction(error=error.message)
        if pixels:
            predictions = self.task.predictions(self._outputs(list(pixels.values())))
            found.update(zip(pixels, predictions, strict=True))
        return [found[place] for place in range(len(pictures))]

    def _outputs(self, pictures: list[Tensor]) -> list[Any]:
        """One output a picture, a few at a time; what is found in one does not hang on the others (`Task.outputs`)."""

        def of_part(start: int, stop: int) -> list[Any]:
            batch = self.task.test_batch(pictures[start:stop])
            return self.task.outputs(self.model, self.task.prepare(batch))

        with torch.inference_mode():
            return self._parts.of(of_part, len(pictures))
