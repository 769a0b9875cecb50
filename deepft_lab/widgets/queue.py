"""Which input comes next for annotation: unlabelled ones first, then the others; and the way back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepft_lab.client.app import App
    from deepft_lab.records import Input

PAGE = 50


class AnnotationQueue:
    """Inputs of an app, newest first, each once. `filter` is that of `app.inputs`."""

    def __init__(self, app: App, filter: dict[str, Any]) -> None:
        self.app = app
        self.filter = filter
        self.current: Input | None = None
        self._back: deque[Input] = deque()
        self._seen: set[str] = set()
        self._coming = self._all()

    def forward(self) -> Input | None:
        """The next input; None at the end."""
        self.current = self._back.popleft() if self._back else next(self._coming, None)
        return self.current

    def backward(self, to: Input) -> Input:
        """Back to an input that was shown before; the current one comes again after it."""
        if self.current is not None:
            self._back.appendleft(self.current)
        self.current = to
        return to

    def left(self) -> int:
        """How many inputs bear no concept yet."""
        return self.app.count(**{**self.filter, "unlabelled": True})

    def _all(self) -> Iterator[Input]:
        for unlabelled in (True, False):
            after = None
            while True:
                page = self.app.inputs(limit=PAGE, after=after, **{**self.filter, "unlabelled": unlabelled})
                for input in page:
                    if input.id not in self._seen:
                        self._seen.add(input.id)
                        yield input
                after = page.next
                if after is None:
                    break
