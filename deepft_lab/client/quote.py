"""What a training would take, as `model.quote()` gives it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from deepft_lab import errors, records
from deepft_lab.client import shown

if TYPE_CHECKING:
    from deepft_lab.client.app import App

PAUSE = 0.25  # seconds between two looks


class Quote:
    """A quote: `seconds`, `parts`, `steps`, `epochs`, `memory` and `gpu_memory` (bytes), `micro_batch`, `cost`."""

    def __init__(self, record: records.Quote) -> None:
        self.record = record

    def __getattr__(self, name: str) -> Any:
        """What the record says."""
        if name.startswith("_") or name not in records.Quote.__struct_fields__:
            raise AttributeError(f"A quote has no {name!r}. It has: {', '.join(records.Quote.__struct_fields__)}.")
        return getattr(self.record, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *records.Quote.__struct_fields__]

    def __str__(self) -> str:
        """about 12 min, 2.1 GB of memory, 690 steps"""
        record = self.record
        parts = [f"about {_duration(record.seconds or 0.0)}", f"{_bytes(record.memory or 0)} of memory"]
        parts += [f"{_bytes(record.gpu_memory)} of GPU memory"] if record.gpu_memory else []
        parts += [shown.count(record.steps or 0, "step")]
        parts += [f"{record.cost:.3g} {record.currency}".strip()] if record.cost is not None else []
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<Quote: {self}>"

    def _repr_html_(self) -> str:
        parts = {name: _duration(seconds) for name, seconds in self.record.parts.items()}
        return shown.pairs(f"Quote: {self}", parts)


def measured(app: App, body: records.CreateQuote, timeout: float | None) -> Quote:
    """Asks for a quote and waits for it. Whoever interrupts the waiting gives it up."""
    begun = time.monotonic()
    record = app.call("create_quote", body=body)
    try:
        while record.state in ("waiting", "measuring"):
            if timeout is not None and time.monotonic() - begun > timeout:
                why = f" {record.reason}" if record.reason else ""
                raise TimeoutError(f"The quote is {record.state} after {timeout:g} s.{why} It is given up.")
            time.sleep(PAUSE)
            record = app.call("quote", quote=record.id)
    except BaseException:
        with contextlib.suppress(errors.DeepFTError):
            app.call("delete_quote", quote=record.id)
        raise
    if record.state != "done":
        raise errors.QuoteFailed(f"There is no quote: {record.reason or 'it was cancelled.'}")
    return Quote(record)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
