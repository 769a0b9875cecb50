"""The class labeller: what a person does with keys and buttons becomes annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from buttons import button

from deepft_lab.errors import InvalidRequest
from deepft_lab.widgets import AnnotatePanel, labelling


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks of these tests follow at once; the pause that keeps double clicks apart has a test of its own."""
    monkeypatch.setattr(labelling, "SETTLE_SECONDS", 0)


def labels(app: Any, input: str) -> dict[str, bool]:
    return {label.concept: label.positive for label in app.input(input).input.labels}


def press(panel: AnnotatePanel, key: str) -> None:
    """A key, as the panel's front end sends it."""
    panel.children[-1]._handle_custom_msg({"key": key}, [])


def current(panel: AnnotatePanel) -> str:
    assert panel._queue.current is not None
    return panel._queue.current.id


def test_unlabelled_inputs_come_first(app: Any) -> None:
    inputs = app.inputs(limit=10)
    app.annotate(inputs[:8], positive="1")
    panel = app.annotate_panel()
    shown = []
    for _ in range(10):
        shown.append(current(panel))
        button(panel, "Skip").click()
    assert set(shown[:2]) == {input.id for input in inputs[8:]}
    assert len(set(shown)) == 10
    assert panel._queue.current is None
    assert "last input" in panel.children[0].value


def test_a_digit_answers_and_shows_the_next(app: Any) -> None:
    panel = app.annotate_panel()
    first = current(panel)
    press(panel, "2")
    assert labels(app, first) == {"1": True}
    assert current(panel) != first
    assert [answer["concepts"] for answer in panel.value] == [["1"]]


def test_the_picture_is_shown_as_it_is(app: Any) -> None:
    panel = app.annotate_panel()
    assert panel._labeller.display_widget.value[:2] == b"\xff\xd8"  # a JPEG of the server, not an autocontrasted copy


def test_skip_saves_nothing(app: Any) -> None:
    panel = app.annotate_panel()
    first = current(panel)
    button(panel, "Skip").click()
    assert labels(app, first) == {}
    assert panel.value == []
    assert current(panel) != first


def test_undo_takes_the_answer_back_and_shows_the_input_again(app: Any) -> None:
    panel = app.annotate_panel()
    first = current(panel)
    press(panel, "1")
    second = current(panel)
    press(panel, "Backspace")
    assert labels(app, first) == {}
    assert current(panel) == first
    assert panel.value == []
    press(panel, "3")
    assert labels(app, first) == {"2": True}
    assert current(panel) == second


def test_undo_after_skip_leaves_the_answer_before_alone(app: Any) -> None:
    panel = app.annotate_panel()
    first = current(panel)
    press(panel, "1")
    second = current(panel)
    button(panel, "Skip").click()
    press(panel, "Backspace")
    assert current(panel) == second
    assert labels(app, first) == {"0": True} and len(panel.value) == 1
    press(panel, "Backspace")
    assert current(panel) == first
    assert labels(app, first) == {} and panel.value == []


def test_there_is_a_way_back_from_the_end(app: Any) -> None:
    panel = app.annotate_panel()
    for _ in range(9):
        button(panel, "Skip").click()
    last = current(panel)
    press(panel, "1")
    assert panel._queue.current is None
    button(panel, "Back").click()
    assert current(panel) == last and labels(app, last) == {}


def test_another_answer_replaces_the_first(app: Any) -> None:
    app.annotate(app.inputs(limit=10), positive="0")
    panel = app.annotate_panel()
    first = current(panel)
    press(panel, "2")
    assert labels(app, first) == {"1": True}
    press(panel, "Backspace")
    assert labels(app, first) == {"0": True}


def test_a_second_click_soon_after_does_not_answer_the_next_picture(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = app.annotate_panel()
    monkeypatch.setattr(labelling, "SETTLE_SECONDS", 60)
    button(panel, "1").click()
    button(panel, "1").click()
    assert len(panel.value) == 1, "the first picture was not preceded by one that a click could have been meant for"
    monkeypatch.setattr(labelling, "SETTLE_SECONDS", 0)
    button(panel, "1").click()
    assert len(panel.value) == 2


def test_more_than_twelve_concepts_have_hotkeys_and_a_list(app: Any) -> None:
    app.create_concepts([f"concept {number:02}" for number in range(20)])
    panel = app.annotate_panel()
    first = current(panel)
    press(panel, "1")
    assert labels(app, first) == {"0": True}


def test_a_new_concept_can_be_typed(app: Any) -> None:
    panel = app.annotate_panel()
    first = current(panel)
    text = panel._labeller.freetext_widget
    text.value = " <b>bold</b> "
    text._handle_string_msg(text, {"event": "submit"}, [])
    assert labels(app, first) == {"<b>bold</b>": True}
    assert "<b>bold</b>" in panel._labeller.options


def test_an_input_can_bear_several_concepts(app: Any) -> None:
    panel = app.annotate_panel(several=True)
    first = current(panel)
    press(panel, "1")
    press(panel, "3")
    assert labels(app, first) == {}
    press(panel, "Enter")
    assert labels(app, first) == {"0": True, "2": True}
    assert panel.value[-1]["concepts"] == ["0", "2"]
    assert panel._labeller.data == []


def test_a_labeller_of_another_kind_is_refused_in_words(app: Any) -> None:
    with pytest.raises(InvalidRequest, match="class, box"):
        app.annotate_panel(kind="sphere")


def test_an_app_without_inputs_says_so(lab: Any) -> None:
    empty = lab.create_app("empty")
    panel = empty.annotate_panel()
    assert "There are no inputs in empty." in panel.children[0].value
    assert "no inputs with dataset='none' in empty" in empty.annotate_panel(dataset="none").children[0].value
    assert panel._labeller.layout.display == "none"
    empty.delete()


def test_inputs_are_chosen_by_the_same_filter_as_elsewhere(app: Any, digits: Path) -> None:
    chosen = app.upload(sorted((digits / "val" / "5").iterdir())[:2], dataset="few").inputs
    panel = app.annotate_panel(dataset="few")
    assert current(panel) in chosen
    press(panel, "1")
    press(panel, "1")
    assert {answer["input"] for answer in panel.value} == set(chosen)
    assert panel._queue.current is None
