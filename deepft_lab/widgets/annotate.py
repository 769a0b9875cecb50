"""The class labeller in a cell: one picture after the other, unlabelled ones first; each answer is an annotation.

Unlike the other panels this one, and those of `annotate_regions`, live in the kernel, because ipyannotations does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from deepft_lab.errors import DeepFTError
from deepft_lab.records import Input, PictureQuery
from deepft_lab.widgets import picture
from deepft_lab.widgets.labelling import OneConcept, SeveralConcepts
from deepft_lab.widgets.panel import Bundled, bundle
from deepft_lab.widgets.queue import AnnotationQueue

if TYPE_CHECKING:
    from deepft_lab.client.app import App

SIDE = 512  # pixels of the picture that is shown


class _Keys(anywidget.AnyWidget):
    """The panel's keyboard; see widgets/src/panels/keys.ts."""

    _esm = bundle("keys")


class AnnotationPanel(Bundled, ipywidgets.VBox):
    """What the annotators have in common: the queue of inputs, a line that says what is, the keyboard."""

    kind = "annotate"

    value: Any = traitlets.List(help="Answers given here, oldest first.")

    def __init__(self, app: App, labeller: Any, hints: list[str], filter: dict[str, Any]) -> None:
        self.app = app
        self._queue = AnnotationQueue(app, filter)
        self._labeller = labeller
        self._passed: list[tuple[Input, bool]] = []  # shown before, the last one last, and whether it was answered
        self._status = ipywidgets.Label()
        self._back = ipywidgets.Button(
            description="Back",
            icon="undo",
            tooltip="Shows the last picture again (Backspace)",
            layout={"width": "auto"},
        )
        self._back.on_click(lambda _: self._undone())
        keys = _Keys(layout={"display": "none"})
        keys.on_msg(lambda _, message, __: self._labeller.press(str(message.get("key", ""))))
        super().__init__([self._status, self._back, labeller, *map(ipywidgets.Label, hints), keys])
        self.add_class("deepft-annotate")
        self._advance()

    def _pass(self, input: Input, answer: dict[str, Any] | None) -> None:
        """An input is done with. `answer` is what `value` says of it; None where it was skipped."""
        self._passed.append((input, answer is not None))
        if answer is not None:
            self.value = [*self.value, answer]
        self._advance()

    def _return(self) -> None:
        """Shows what was passed last again; `value` no longer tells of it."""
        before, answered = self._passed.pop()
        if answered:
            self.value = self.value[:-1]
        self._show_or_say(self._queue.backward(before))

    def _undone(self) -> None:
        """Nothing is left to take back in the picture that is shown."""
        raise NotImplementedError

    def _advance(self) -> None:
        try:
            self._show(self._queue.forward())
        except DeepFTError as error:
            self._status.value = error.message

    def _show_or_say(self, input: Input) -> None:
        try:
            self._show(input)
        except DeepFTError as error:
            self._status.value = error.message

    def _show(self, input: Input | None) -> None:
        self._back.layout.display = None if input is None and self._passed else "none"
        if input is None:
            self._labeller.layout.display = "none"
            asked = "".join(f" with {name}={value!r}" for name, value in self._queue.filter.items())
            end = "That was the last input." if self._passed else f"There are no inputs{asked} in {self.app.id}."
            self._status.value = f"{end} {self._counted()}"
            return
        self._labeller.layout.display = None
        words = self._display(input)
        self._status.value = f"{input.name}{words} · {self._counted()}"

    def _display(self, input: Input) -> str:
        """Shows an input with what is known of it, and gives that in words."""
        raise NotImplementedError

    def _counted(self) -> str:
        return f"{len(self.value)} answered here, {self._queue.left()} unlabelled"

    # -- how it is shown --

    def target(self) -> dict[str, str | None]:
        return {"owner": self.app.owner, "app": self.app.id, "model": None, "version": None}

    def summary(self) -> str:
        return f"{type(self).__name__} of {self.app.id}: {len(self.value)} answered"

    def __repr__(self) -> str:
        return self.summary()


class AnnotatePanel(AnnotationPanel):
    """Labels the inputs of an app. `value` lists what was answered here: input, name and concepts.

    `several=True` lets an input bear any number of concepts. `concepts` are the choices (default: all of the app; new
    ones may be typed). Further keywords choose the inputs, as in `app.inputs`: dataset=, concept=, metadata=.
    """

    value: Any = traitlets.List(help="Answers given here, oldest first: {input, name, concepts}.")

    def __init__(self, app: App, *, several: bool = False, concepts: list[str] | None = None, **filter: Any) -> None:
        options = concepts if concepts is not None else [concept.name for concept in app.concepts()]
        labeller = SeveralConcepts if several else OneConcept
        answers = "1 to 0 choose, Enter submits" if several else "1 to 0 answer"
        hints = [f"Keys, after a click here: {answers}, Backspace goes back."]
        super().__init__(app, labeller(options, self._answered, self._skipped, self._undone), hints, filter)

    # -- what a person does --

    def _answered(self, concepts: list[str]) -> None:
        current = self._queue.current
        if current is None:
            return
        if self._save(current, concepts):
            self._pass(current, {"input": current.id, "name": current.name, "concepts": concepts})

    def _skipped(self) -> None:
        if self._queue.current is not None:
            self._pass(self._queue.current, None)

    def _undone(self) -> None:
        """Takes the last answer back; a picture that was skipped is only shown again."""
        if not self._passed:
            return
        before, answered = self._passed[-1]
        now = set(self.value[-1]["concepts"]) if answered else set()
        positive = [label.concept for label in before.labels if label.positive]
        negative = [label.concept for label in before.labels if not label.positive]
        gone = sorted(now - {label.concept for label in before.labels})
        if not answered or self._annotate(before, positive, negative, gone):
            self._return()

    # -- what comes of it --

    def _save(self, input: Input, concepts: list[str]) -> bool:
        """The answer is all that is positive: what was there before and is not in it is taken off."""
        gone = [label.concept for label in input.labels if label.positive and label.concept not in concepts]
        return self._annotate(input, concepts, [], gone)

    def _annotate(self, input: Input, positive: list[str], negative: list[str], remove: list[str]) -> bool:
        if not (positive or negative or remove):
            return True
        try:
            self.app.annotate(input, positive=positive, negative=negative, remove=remove)
        except DeepFTError as error:
            self._status.value = f"{input.name} was not saved: {error.message}"
            return False
        return True

    def _display(self, input: Input) -> str:
        shown = self.app.call("thumbnail", input=input.id, query=PictureQuery(side=SIDE))
        known = [label.concept for label in input.labels if label.positive]
        self._labeller.show(shown, known)
        return f" · now: {', '.join(known)}" if known else ""

    def picture(self) -> str:
        texts = [self._status.value, *(f"{a['name']}: {', '.join(a['concepts']) or 'none'}" for a in self.value[-10:])]
        return picture.lines(f"Annotation of {self.app.id}", texts)
