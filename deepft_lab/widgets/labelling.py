"""ipyannotations' class labellers, mended in one place (written for 0.5.1).

What is mended: pictures keep their colours and their orientation (the server's thumbnail is shown, no autocontrasted
copy); more than twelve concepts have hotkeys; a second submission that the same key or double click causes is dropped;
Skip is told from an empty answer; the invisible event widget is no child, so no error text stands below; keys come
from a panel that has the focus, and not from a text field.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets
from ipyannotations.images import ClassLabeller, MulticlassLabeller

SETTLE_SECONDS = 0.25  # a click or Enter this soon after a new picture was meant for the one before

KEYS = [*"1234567890"]

Answer = Callable[[list[str]], None]


class _Choice:
    """What ClassLabeller expects as the sender of a submission."""

    def __init__(self, description: str) -> None:
        self.description = description


class _Mended:
    """The part that both labellers share. `answered` gets the concepts; `skipped` and `undone` get nothing."""

    display_widget: Any
    skip_button: Any
    undo_button: Any
    options: list[str]

    def _prepare(self, answered: Answer, skipped: Callable[[], None], undone: Callable[[], None]) -> None:
        self._answered = answered
        self._skipped = skipped
        self._shown_at: float | None = None
        self.on_submit(self._answer)  # type: ignore[attr-defined]
        self.on_undo(undone)  # type: ignore[attr-defined]
        self.display_widget = ipywidgets.Image(
            layout={"max_width": "100%", "max_height": "420px", "object_fit": "contain"}
        )
        for button, tip in (
            (self.skip_button, "Next picture, without an answer"),
            (self.undo_button, "Back (Backspace)"),
        ):
            button.tooltip = tip

    def show(self, picture: bytes, concepts: Sequence[str] = ()) -> None:
        """Shows a picture (JPEG or PNG), with what is known of it chosen."""
        self.display_widget.value = picture
        self.choose(list(concepts))
        # Nothing stood before the first picture that an answer could have been meant for.
        self._shown_at = -math.inf if self._shown_at is None else time.monotonic()

    def choose(self, concepts: list[str]) -> None:
        """Marks concepts as chosen, where the labeller can."""

    def skip(self, sender: Any = None) -> None:
        self._skipped()

    def press(self, key: str) -> None:
        """A key that was pressed in the panel."""
        self._handle_keystroke({"type": "keyup", "key": key})  # type: ignore[attr-defined]

    def _too_soon(self) -> bool:
        return self._shown_at is not None and time.monotonic() - self._shown_at < SETTLE_SECONDS

    def _answer(self, value: Any) -> None:
        self._answered([value] if isinstance(value, str) else list(value or []))


class OneConcept(_Mended, ClassLabeller):
    """One concept an input: a click or a digit answers."""

    def __init__(
        self, options: Sequence[str], answered: Answer, skipped: Callable[[], None], undone: Callable[[], None]
    ):
        with _old_ways():
            super().__init__(options=options, track_keystrokes=False)
        self._prepare(answered, skipped, undone)
        self._compose()

    def _compose(self, change: Any = None) -> None:
        super()._compose(change)
        buttons = getattr(self.control_elements, "buttons", {})
        for key, button in zip(KEYS, buttons.values(), strict=False):
            button.button.tooltip = f"Key {key}"

    def submit(self, sender: Any) -> None:
        if isinstance(sender, ipywidgets.Text):
            sender.value = sender.value.strip()
            if not sender.value:
                return
        elif not isinstance(sender, _Choice) and self._too_soon():
            return
        super().submit(sender)

    def _handle_keystroke(self, event: dict[str, Any]) -> None:
        key = event.get("key")
        if key == "Backspace":
            self.undo()
        elif key in KEYS and KEYS.index(key) < len(self.options):
            self.submit(_Choice(self.options[KEYS.index(key)]))


class SeveralConcepts(_Mended, MulticlassLabeller):
    """Any number of concepts an input: digits or clicks choose, Enter or Submit answers."""

    def __init__(
        self, options: Sequence[str], answered: Answer, skipped: Callable[[], None], undone: Callable[[], None]
    ):
        with _old_ways():
            super().__init__(options=options, track_keystrokes=False)
        old = self.display_widget
        self._prepare(answered, skipped, undone)
        box = ipywidgets.Box((self.display_widget,), layout={"justify_content": "center", "width": "100%"})
        kept = [child for child in _children(self) if child is not self.event_watcher and old not in _children(child)]
        self.children = [box, *kept]

    def choose(self, concepts: list[str]) -> None:
        self.options = [*self.options, *(concept for concept in concepts if concept not in self.options)]
        self.data = concepts

    def submit(self, sender: Any = None) -> None:
        if not self._too_soon():
            super().submit(sender)


def _children(widget: Any) -> tuple[Any, ...]:
    return tuple(getattr(widget, "children", ()))


@contextlib.contextmanager
def _old_ways() -> Iterator[None]:
    """ipyannotations still calls what ipywidgets has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
