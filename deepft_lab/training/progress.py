"""Step events: as often as a person can use, and never more than a few thousand a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil
import torch

LEAST_SECONDS = 0.3  # between two step events
MOST_EVENTS = 4000  # step events of a run


class Progress:
    """Decides when a step is reported; knows rates (of all ranks together), time left and resources (of this rank)."""

    def __init__(self, say: Callable[..., Any], *, steps: int, images_a_step: int, epochs: int, gpu: bool) -> None:
        self.say, self.steps, self.images_a_step, self.epochs, self.gpu = say, steps, images_a_step, epochs, gpu
        self.apart = max(1, -(-steps // MOST_EVENTS))  # steps between two events, rounded up
        self.last_time, self.last_step = time.monotonic(), 0
        self.seconds_a_step: float | None = None
        self.evaluation_seconds = 0.0
        self.process = psutil.Process()
        self.process.cpu_percent()  # the first call only sets the mark

    def due(self, step: int) -> bool:
        """True where this step should be reported; the last one always is."""
        if step >= self.steps or step == 1:
            return True
        return step - self.last_step >= self.apart and time.monotonic() - self.last_time >= LEAST_SECONDS

    def report(self, step: int, *, epoch: int, loss: float, lrate: float) -> None:
        now = time.monotonic()
        if step > self.last_step:
            recent = (now - self.last_time) / (step - self.last_step)
            # A mean that leans to the recent past: steady enough to read, and quick to follow a change.
            self.seconds_a_step = recent if self.seconds_a_step is None else 0.7 * self.seconds_a_step + 0.3 * recent
        rate = self.seconds_a_step
        self.say(
            "step",
            step,
            epoch=epoch,
            loss=loss,
            lrate=lrate,
            images_per_second=self.images_a_step / rate if rate else None,
            seconds_left=self._seconds_left(step, epoch),
            **self._resources(),
        )
        self.last_time, self.last_step = now, step

    def evaluated(self, seconds: float) -> None:
        """Notes how long an evaluation took, and that its time is not the next steps'."""
        self.evaluation_seconds = seconds
        self.last_time += seconds

    def _seconds_left(self, step: int, epoch: int) -> float | None:
        if self.seconds_a_step is None:
            return None
        evaluations = self.epochs - epoch + 1
        return (self.steps - step) * self.seconds_a_step + evaluations * self.evaluation_seconds

    def _resources(self) -> dict[str, float | int | None]:
        found: dict[str, float | int | None] = {
            "memory": self.process.memory_info().rss,
            "cpu": self.process.cpu_percent() / 100,
        }
        if self.gpu:
            found["gpu_memory"] = torch.cuda.memory_reserved()
            try:
                found["gpu_utilisation"] = torch.cuda.utilization() / 100
            except Exception:  # needs NVML, which some installations lack in one of several ways
                found["gpu_utilisation"] = None
        return found
