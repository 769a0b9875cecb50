"""How far a run is that has not begun: pictures are decoded and features computed for as long as it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

SECONDS = 2.0  # before the first word and between two: what is quicker needs none

Tell = Callable[[str, float], None]


class Preparing:
    """Says `preparing` now and then. Safe to call from several threads."""

    def __init__(self, say: Callable[..., Any], step: int) -> None:
        self.say, self.step = say, step
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def tell(self, what: str, share: float) -> None:
        """`what` is being done, and `share` (0..1) of it is."""
        with self._lock:
            now = time.monotonic()
            if now - self._last >= SECONDS:
                self._last = now
                self.say("preparing", self.step, what=what, share=min(1.0, share))
