"""The annotator of boxes, polygons and points in a cell: one picture after the other, unlabelled ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from deepft_lab.errors import DeepFTError, InvalidRequest
from deepft_lab.records import AnnotateRegions, Input, InputRegions, PictureQuery
from deepft_lab.widgets import picture
from deepft_lab.widgets.annotate import AnnotationPanel
from deepft_lab.widgets.annotator import RegionAnnotator
from deepft_lab.widgets.shapes import KINDS, Sketch

if TYPE_CHECKING:
    from deepft_lab.client.app import App

SIDE = 1024  # pixels of the picture that is shown
HINTS = {
    "box": "Drag from corner to corner.",
    "polygon": "Click corner after corner; a click on the first one, or Enter, closes the outline.",
    "point": "Click to put a point.",
}


class RegionPanel(AnnotationPanel):
    """Draws regions on the inputs of an app. `value` lists what was submitted here: input, name and regions.

    `kind` is "box", "polygon" or "point"; regions of other kinds are shown, dashed, and stay. `concepts` are the
    choices (default: all of the app). Further keywords choose the inputs, as in `app.inputs`.
    """

    value: Any = traitlets.List(help="Submitted here, oldest first: {input, name, regions}.")

    def __init__(self, app: App, kind: str = "box", *, concepts: list[str] | None = None, **filter: Any) -> None:
        if kind not in KINDS:
            raise InvalidRequest(f"There is no annotator of the kind {kind!r}; there is class, {', '.join(KINDS)}.")
        self.shape = kind
        self._drafts: dict[str, Sketch] = {}
        options = concepts if concepts is not None else [concept.name for concept in app.concepts()]
        annotator = RegionAnnotator(kind, options, self._submitted, self._skipped, self._undone)
        keys = "1 to 0 choose the concept, Enter submits, Backspace goes back, Delete deletes."
        hints = [f"{HINTS[kind]} Edit selects and moves.", f"Keys, after a click here: {keys}"]
        super().__init__(app, annotator, hints, filter)

    # -- what a person does --

    def _submitted(self) -> None:
        current, canvas = self._queue.current, self._labeller.canvas
        if current is None:
            return
        sketch: Sketch = canvas.sketch
        if sketch.open and not sketch.close(canvas.current_class or ""):
            self._status.value = (
                "The outline is not finished: it needs three corners around an area. Go on, or take it back with Undo."
            )
            return
        added, removed = sketch.changes()
        if any(not region.concept and not region.ignored for region in added):
            self._status.value = "Choose a concept first, or type a new one: what is drawn has no name yet."
            return
        try:
            regions = self._save(current, added, removed)
        except DeepFTError as error:
            self._status.value = f"{current.name} was not saved: {error.message}"
            return
        self._drafts.pop(current.id, None)
        self._pass(current, {"input": current.id, "name": current.name, "regions": regions})

    def _save(self, input: Input, added: list[Any], removed: list[int]) -> list[Any]:
        """The input's regions of this kind, as they are then."""
        if not added and not removed:
            return list(self._labeller.canvas.sketch.before)
        change = InputRegions(input=input.id, add=added, remove=removed)
        answer = self.app.call("annotate_regions", body=AnnotateRegions(inputs=[change]))
        return [region for region in answer.inputs[0].regions if region.kind == self.shape]

    def _skipped(self) -> None:
        if self._queue.current is not None:
            self._keep_draft()
            self._pass(self._queue.current, None)

    def _undone(self) -> None:
        """The picture that was submitted or skipped before is shown again, to be changed."""
        if self._passed:
            self._keep_draft()
            self._return()

    def _keep_draft(self) -> None:
        current, sketch = self._queue.current, self._labeller.canvas.sketch
        if current is not None and sketch.touched:
            self._drafts[current.id] = sketch

    # -- what comes of it --

    def _show(self, input: Input | None) -> None:
        if input is None:  # no key changes what cannot be seen
            self._labeller.canvas.init_empty_data()
        super()._show(input)

    def _display(self, input: Input) -> str:
        # Asked for anew: another tab may have drawn meanwhile, and a page has large shapes without their corners.
        regions = self.app.input(input.id).input.regions
        shown = self.app.call("thumbnail", input=input.id, query=PictureQuery(side=SIDE))
        sketch = self._drafts.pop(input.id, None)
        drafted = " · drawn before, not saved yet" if sketch is not None else ""
        if sketch is None:
            sketch = Sketch(self.shape, regions)
        self._labeller.show(shown, sketch)
        concepts = sorted({region.concept or "any (ignored)" for region in regions})
        return (f" · {len(regions)} regions: {', '.join(concepts)}" if regions else "") + drafted

    def picture(self) -> str:
        texts = [self._status.value, *(f"{a['name']}: {len(a['regions'])} regions" for a in self.value[-10:])]
        return picture.lines(f"Annotation of {self.app.id}", texts)
