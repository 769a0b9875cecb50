"""ipyannotations' annotator of images around our canvas: its controls, its keys, and what is wrong with them mended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from ipyannotations.images.annotator import Annotator

from deepft_lab.widgets import labelling
from deepft_lab.widgets.drawing import HEIGHT, WIDTH, RegionCanvas
from deepft_lab.widgets.shapes import Sketch


class RegionAnnotator(Annotator):
    """An annotator of boxes, polygons or points. `answered`, `skipped` and `undone` are called without arguments."""

    children: Any
    options: Any

    def __init__(
        self,
        kind: str,
        options: Sequence[str],
        answered: Callable[[], None],
        skipped: Callable[[], None],
        undone: Callable[[], None],
    ) -> None:
        self.CanvasClass = lambda size, classes: RegionCanvas(kind, size, classes)  # type: ignore[assignment]
        self._shown_at: float | None = None
        self._answered, self._skipped, self._undone = answered, skipped, undone
        with labelling._old_ways():
            super().__init__((WIDTH, HEIGHT), options=list(options), layout={"width": "auto"})
        # The canvas takes the focus when it is drawn on, and keeps its keys from the panel.
        self.canvas.interaction_canvas.on_key_down(self._key_on_canvas)
        # Other keys come from the panel; the widget that listens for them here would stand below as an error text.
        self.event_watcher.close()
        self.children = [child for child in self.children if child is not self.event_watcher]
        self.all_controls.layout.width = "auto"
        # At its own size: stretched to the cell, a portrait would be higher than the window.
        self.canvas.layout.max_width, self.canvas.layout.align_self = "100%", "flex-start"
        self.delete_button = ipywidgets.Button(
            description="Delete", icon="trash", tooltip="Delete what is selected (Delete)", layout={"width": "auto"}
        )
        self.delete_button.on_click(lambda _: self.delete())
        self.new_concept = ipywidgets.Text(
            placeholder="New concept", continuous_update=False, layout={"width": "160px"}
        )
        self.new_concept.observe(self._add_concept, "value")
        self.children = [*self.children, ipywidgets.HBox([self.delete_button, self.new_concept])]
        self.class_selector.description = "Concept:"
        self.skip_button.tooltip = "Next picture; what is drawn here is kept until you come back, and not saved"
        self.undo_button.tooltip = "Takes the last step back; then goes back a picture (Backspace)"
        self.submit_button.tooltip = "Saves and shows the next picture (Enter)"
        self.edit_button.tooltip = "Select, move, rename and delete what is drawn"
        self.observe(lambda change: self._follow(change["new"]), "options")
        self._follow(self.options)

    def show(self, picture: bytes, sketch: Sketch) -> None:
        concepts = [region.concept for region in (*sketch.before, *sketch.others) if region.concept]
        self.know(concepts)
        self.canvas.show(picture, sketch)
        self._shown_at = -math.inf if self._shown_at is None else time.monotonic()

    def know(self, concepts: Sequence[str]) -> None:
        """Adds concepts to choose from."""
        new = [concept for concept in dict.fromkeys(concepts) if concept not in self.options]
        if new:
            chosen = self.class_selector.value
            self.options = [*self.options, *new]
            self.class_selector.value = chosen or self.options[0]

    def press(self, key: str) -> None:
        """A key that was pressed in the panel."""
        if key in labelling.KEYS:
            place = labelling.KEYS.index(key)
            if place < len(self.options):
                self.class_selector.value = self.options[place]
        elif key == "Enter":
            self.submit()
        elif key == "Backspace":
            self.undo()
        elif key == "Delete":
            self.delete()

    def _key_on_canvas(self, key: str, shift: bool, control: bool, meta: bool) -> None:
        if not (control or meta):
            self.press(key)

    def submit(self, sender: Any = None) -> None:
        if self._shown_at is not None and time.monotonic() - self._shown_at < labelling.SETTLE_SECONDS:
            return
        self._answered()

    def skip(self, sender: Any = None) -> None:
        self._skipped()

    def undo(self, sender: Any = None) -> None:
        if self.canvas.sketch.undo():
            self.canvas.re_draw()
        else:
            self._undone()

    def delete(self) -> None:
        if self.canvas.sketch.delete():
            self.canvas.re_draw()

    def _follow(self, options: Sequence[str]) -> None:
        self.canvas.name_colours(options)
        self.canvas.re_draw()

    def _add_concept(self, change: Any) -> None:
        concept = str(change["new"]).strip()
        if concept:
            self.know([concept])
            self.class_selector.value = concept
            self.new_concept.value = ""
