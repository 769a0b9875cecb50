"""Step events: as often as a person can use, and never more than a few thousand a run. And the quote of the run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import torch

LEAST_SECONDS = 0.3  # between two step events
MOST_EVENTS = 4000  # step events of a run
FORWARD_SHARE = (
    1 / 3
)  # of a training step's time, that the forward pass alone takes: a guess before the first evaluation
RECENT_SECONDS = 10.0  # over which the rate follows a change
_QUOTE_STEPS = 3  # after which the rate is worth a quote ...
_QUOTE_KNOWN = 3.0  # ... once it stands on so many seconds, ...
_QUOTE_SHARE = 0.1  # ... or on this share of the steps
_QUOTE_SECONDS = 10.0  # between two quotes at least ...
_QUOTE_CHANGE = 0.1  # ... and only where the figures have moved by this share


class Progress:
    """Decides when a step is reported; knows rates (of all ranks together), time left and resources (of this rank)."""

    def __init__(
        self, say: Callable[..., Any], *, steps: int, images_a_step: int, epochs: int, evaluated: int, gpu: bool,
        step: int = 0, used: Callable[[], float] = lambda: 0.0, before: float = 0.0,
    ) -> None:  # fmt: skip
        """`evaluated`: examples that an evaluation looks at; `used`: seconds of the run until now, all attempts;
        `before`: those that its processes took to begin.
        """
        self.say, self.steps, self.images_a_step, self.epochs, self.gpu = say, steps, images_a_step, epochs, gpu
        self.to_evaluate, self.used, self.before = evaluated, used, before
        self.apart = max(1, -(-steps // MOST_EVENTS))  # steps between two events, rounded up
        self.first_step = self.last_step = step
        self.last_time = self.quote_time = time.monotonic()
        self.measured = 0  # reports that the rate stands on, ...
        self.known = 0.0  # ... and their seconds
        self.seconds_a_step: float | None = None
        self.evaluation_seconds: float | None = None
        self.warm_up: float | None = None  # seconds of the first step, where the network is compiled
        self.micro_batch = 0
        self.quoted: tuple[float, int] | None = None
        self.process = psutil.Process()
        self.process.cpu_percent()  # the first call only sets the mark
        self.mapped = self.process.memory_info().shared  # by libraries; what comes later are cached pictures
        self.most_memory = 0

    def due(self, step: int) -> bool:
        """True where this step should be reported; the first and the last one always are."""
        if step >= self.steps or step == self.first_step + 1:
            return True
        return step - self.last_step >= self.apart and time.monotonic() - self.last_time >= LEAST_SECONDS

    def report(self, step: int, *, epoch: int, loss: float, lrate: float) -> None:
        now = time.monotonic()
        if step > self.last_step:
            # The mean of the first seconds, then one that leans to the recent past: steady enough to read, and it
            # follows a change. The first step is slower than all others, so the second report forgets it.
            self.measured += 1
            took = now - self.last_time
            recent = took / (step - self.last_step)
            if self.seconds_a_step is None or self.measured <= 2:
                self.seconds_a_step, self.known = recent, took
            else:
                self.known += took
                weight = max(took / self.known, 1 - math.exp(-took / RECENT_SECONDS))
                self.seconds_a_step += weight * (recent - self.seconds_a_step)
        rate = self.seconds_a_step
        resources = self._resources()
        left = self._seconds_left(step, epoch)
        self.say(
            "step",
            step,
            epoch=epoch,
            loss=loss,
            lrate=lrate,
            images_per_second=self.images_a_step / rate if rate else None,
            seconds_left=left,
            **resources,
        )
        self.last_time, self.last_step = now, step
        done = step - self.first_step
        enough = self.known >= _QUOTE_KNOWN or done >= _QUOTE_SHARE * (self.steps - self.first_step)
        if left is not None and self.measured > 1 and done >= _QUOTE_STEPS and enough:
            self._quote(step, left, resources.get("gpu_memory"))

    def evaluated(self, seconds: float) -> None:
        """Notes how long an evaluation took, and that its time is not the next steps'."""
        self.evaluation_seconds = seconds
        self.last_time += seconds
        self._memory()

    def paused(self, seconds: float) -> None:
        """Notes that the time since the last report has so many seconds that were no steps."""
        self.last_time += seconds

    def _quote(self, step: int, left: float, gpu_memory: Any) -> None:
        """What the whole run takes, said once it is known and again when it has moved."""
        now, seconds = time.monotonic(), self.before + self.used() + left
        if self.quoted is not None:
            moved = abs(seconds - self.quoted[0]) > _QUOTE_CHANGE * self.quoted[0]
            grown = abs(self.most_memory - self.quoted[1]) > _QUOTE_CHANGE * self.quoted[1]
            if now - self.quote_time < _QUOTE_SECONDS or not (moved or grown):
                return
        self.quoted, self.quote_time = (seconds, self.most_memory), now
        more = {} if self.warm_up is None else {"warm_up": self.warm_up}
        self.say(
            "quote",
            step,
            seconds=seconds,
            memory=self.most_memory,
            gpu_memory=gpu_memory,
            micro_batch=self.micro_batch,
            source="run",
            **more,
        )

    def _seconds_left(self, step: int, epoch: int) -> float | None:
        if self.seconds_a_step is None:
            return None
        evaluation = self.evaluation_seconds
        if evaluation is None:
            evaluation = self.to_evaluate / self.images_a_step * self.seconds_a_step * FORWARD_SHARE
        return (self.steps - step) * self.seconds_a_step + (self.epochs - epoch + 1) * evaluation

    def _resources(self) -> dict[str, float | int | None]:
        memory = self._memory()
        found: dict[str, float | int | None] = {"memory": memory, "cpu": self.process.cpu_percent() / 100}
        if self.gpu:
            found["gpu_memory"] = torch.cuda.memory_reserved()
            try:
                found["gpu_utilisation"] = torch.cuda.utilization() / 100
            except Exception:  # needs NVML, which some installations lack in one of several ways
                found["gpu_utilisation"] = None
        return found

    def _memory(self) -> int:
        """Bytes that this process takes. Pages of cached pictures are not counted: the system drops them at need."""
        info = self.process.memory_info()
        memory = info.rss - max(0, info.shared - self.mapped)
        self.most_memory = max(self.most_memory, memory)
        return memory


def since_launch(folder: Path) -> float:
    """Seconds since the job's runner was started: what launcher and imports took. 0 where no runner started it."""
    try:
        return max(0.0, time.time() - float(msgspec.json.decode((folder / "runner.json").read_bytes())["started"]))
    except (OSError, KeyError, msgspec.MsgspecError):
        return 0.0
