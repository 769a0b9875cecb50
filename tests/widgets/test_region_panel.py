"""Drawing regions: what mouse and keys do to a picture becomes regions of its input, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from buttons import button

from deepft_lab import regions
from deepft_lab.errors import Unavailable
from deepft_lab.records import Region
from deepft_lab.widgets import RegionPanel, labelling
from deepft_lab.widgets.shapes import Sketch


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of these tests follow at once."""
    monkeypatch.setattr(labelling, "SETTLE_SECONDS", 0)


def mouse(panel: RegionPanel, event: str, x: float, y: float) -> None:
    """A mouse event in fractions of the picture, as the canvas's front end sends it: in pixels."""
    canvas = panel._labeller.canvas
    content = {"event": f"mouse_{event}", "x": x * canvas.width, "y": y * canvas.height}
    canvas._handle_custom_msg(content, [])


def draw(panel: RegionPanel, *places: tuple[float, float]) -> None:
    """Press, drag along, release."""
    mouse(panel, "down", *places[0])
    for place in places[1:]:
        mouse(panel, "move", *place)
    mouse(panel, "up", *places[-1])


def click(panel: RegionPanel, x: float, y: float) -> None:
    mouse(panel, "down", x, y)
    mouse(panel, "up", x, y)


def press(panel: RegionPanel, key: str) -> None:
    panel.children[-1]._handle_custom_msg({"key": key}, [])


def current(panel: RegionPanel) -> str:
    assert panel._queue.current is not None
    return panel._queue.current.id


def stored(app: Any, input: str) -> list[Region]:
    return app.input(input).input.regions


def status(panel: RegionPanel) -> str:
    return panel.children[0].value


def edit(panel: RegionPanel, on: bool = True) -> None:
    panel._labeller.edit_button.value = on


def test_a_box_is_where_it_was_drawn_whichever_way(app: Any) -> None:
    panel = app.annotate_panel(kind="box")
    first = current(panel)
    draw(panel, (0.1, 0.2), (0.3, 0.3), (0.5, 0.6))
    press(panel, "2")
    draw(panel, (0.9, 0.8), (0.6, 0.7))
    press(panel, "Enter")
    found = stored(app, first)
    assert [(r.kind, r.concept) for r in found] == [("box", "0"), ("box", "1")]
    assert found[0].box == pytest.approx((0.1, 0.2, 0.5, 0.6))
    assert found[1].box == pytest.approx((0.6, 0.7, 0.9, 0.8))
    assert panel.value == [{"input": first, "name": panel.value[0]["name"], "regions": found}]
    assert current(panel) != first and "1 answered here, 9 unlabelled" in status(panel)


def test_a_box_that_is_let_go_outside_ends_at_the_edge(app: Any) -> None:
    panel = app.annotate_panel("box")
    first = current(panel)
    mouse(panel, "down", 0.5, 0.5)
    mouse(panel, "move", 0.9, 0.9)
    mouse(panel, "out", 1.02, 0.95)
    mouse(panel, "move", 0.2, 0.2)
    click(panel, 0.1, 0.1)  # a click is no box
    press(panel, "Enter")
    assert [region.box for region in stored(app, first)] == [pytest.approx((0.5, 0.5, 1.0, 0.95))]


def test_the_canvas_has_the_pictures_shape_and_colours(app: Any) -> None:
    panel = app.annotate_panel("box")
    canvas = panel._labeller.canvas
    assert (canvas.width, canvas.height) == (500, 500), "the digits are square, and small ones are enlarged"
    assert canvas.current_image.value[:2] == b"\xff\xd8", "a JPEG of the server, not an autocontrasted copy"


def test_the_canvas_keeps_its_size_in_a_wide_cell(app: Any) -> None:
    canvas = app.annotate_panel("box")._labeller.canvas
    assert canvas.layout.align_self == "flex-start", "a portrait that fills the cell is higher than the window"


def test_no_event_widget_stands_below(app: Any) -> None:
    panel = app.annotate_panel("box")
    assert panel._labeller.event_watcher not in panel._labeller.children
    assert len(panel.children) == 6, "the status, the way back, the annotator, two lines of hints, the keyboard"


def test_polygons_close_by_a_click_on_the_first_corner_or_by_enter(app: Any) -> None:
    panel = app.annotate_panel("polygon")
    first = current(panel)
    for place in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.105, 0.1)):
        click(panel, *place)
    for place in ((0.6, 0.6), (0.9, 0.6), (0.9, 0.9), (0.9, 0.9)):
        click(panel, *place)
    press(panel, "Enter")
    found = stored(app, first)
    assert found[0].polygons == [pytest.approx([0.1, 0.1, 0.5, 0.1, 0.5, 0.5])]
    assert found[1].polygons == [pytest.approx([0.6, 0.6, 0.9, 0.6, 0.9, 0.9])]
    second = current(panel)
    click(panel, 0.1, 0.1)
    click(panel, 0.2, 0.2)
    press(panel, "Enter")
    assert current(panel) == second and "not finished" in status(panel)
    press(panel, "Backspace")
    press(panel, "Backspace")
    press(panel, "Enter")
    assert current(panel) != second and stored(app, second) == []


def test_points_are_put_by_clicks(app: Any) -> None:
    panel = app.annotate_panel("point")
    first = current(panel)
    click(panel, 0.25, 0.5)
    press(panel, "3")
    click(panel, 0.75, 0.5)
    press(panel, "Enter")
    assert [(r.concept, r.box) for r in stored(app, first)] == [
        ("0", pytest.approx((0.25, 0.5, 0.25, 0.5))),
        ("2", pytest.approx((0.75, 0.5, 0.75, 0.5))),
    ]


def test_existing_regions_are_shown_and_what_is_not_touched_stays_as_it_is(app: Any) -> None:
    input = app.inputs(limit=1)[0].id
    odd = 1 / 3
    app.annotate_regions(
        input,
        [
            regions.box("7", odd, odd, 0.8, 0.8),
            regions.box("0", 0.05, 0.05, 0.2, 0.2),
            regions.point("0", 0.5, 0.5),
            regions.box("", 0.9, 0.9, 1, 1, ignored=True),
        ],
    )
    before = stored(app, input)
    panel = app.annotate_panel("box", concept="7")
    assert current(panel) == input and "7" in panel._labeller.options and "4 regions" in status(panel)
    edit(panel)
    draw(panel, (0.2, 0.2), (0.3, 0.25))  # the right bottom corner of the second box
    press(panel, "Enter")
    after = stored(app, input)
    assert [region for region in after if region in before] == [before[0], before[2], before[3]]
    (moved,) = [region for region in after if region not in before]
    assert moved.box == pytest.approx((0.05, 0.05, 0.3, 0.25)) and moved.concept == "0"


def test_what_is_selected_can_be_renamed_and_deleted_and_all_of_it_undone(app: Any) -> None:
    input = app.inputs(limit=1)[0].id
    app.annotate_regions(input, [regions.box("0", 0.1, 0.1, 0.9, 0.9), regions.box("0", 0.4, 0.4, 0.6, 0.6)])
    before = stored(app, input)
    panel = app.annotate_panel("box", concept="0")
    edit(panel)
    click(panel, 0.5, 0.5)  # the smaller one
    press(panel, "2")
    click(panel, 0.2, 0.2)
    press(panel, "Delete")
    sketch = panel._labeller.canvas.sketch
    assert [shape.concept for shape in sketch.shapes] == ["1"]
    press(panel, "Backspace")
    press(panel, "Backspace")
    assert not sketch.touched
    click(panel, 0.5, 0.5)
    button(panel, "Delete").click()
    button(panel, "Submit").click()
    assert stored(app, input) == before[:1]


def test_undo_goes_back_to_the_picture_before_when_nothing_is_left_to_undo(app: Any) -> None:
    panel = app.annotate_panel("box")
    first = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    press(panel, "Enter")
    second = current(panel)
    draw(panel, (0.2, 0.2), (0.4, 0.4))
    press(panel, "Backspace")
    assert current(panel) == second
    draw(panel, (0.3, 0.3), (0.4, 0.4))
    press(panel, "Backspace")
    press(panel, "Backspace")
    assert current(panel) == first and len(panel._labeller.canvas.sketch.shapes) == 1 and panel.value == []
    press(panel, "Enter")
    press(panel, "Enter")
    assert len(stored(app, first)) == 1


def test_undo_after_skip_shows_what_was_skipped_with_all_that_was_drawn(app: Any) -> None:
    panel = app.annotate_panel("box")
    first = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    press(panel, "Enter")
    second = current(panel)
    draw(panel, (0.3, 0.3), (0.4, 0.4))
    button(panel, "Skip").click()
    button(panel, "Undo").click()
    assert current(panel) == second and "not saved yet" in status(panel)
    assert [answer["input"] for answer in panel.value] == [first], "what was submitted before stays"
    press(panel, "Enter")
    assert len(stored(app, second)) == 1


def test_there_is_a_way_back_from_the_end(app: Any) -> None:
    panel = app.annotate_panel("box")
    back = button(panel, "Back")
    assert back.layout.display == "none"
    for _ in range(9):
        button(panel, "Skip").click()
    last = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    button(panel, "Skip").click()
    assert "last input" in status(panel) and back.layout.display is None
    press(panel, "Delete")
    back.click()
    assert current(panel) == last and len(panel._labeller.canvas.sketch.shapes) == 1
    assert back.layout.display == "none" and panel._labeller.layout.display is None


def test_what_was_drawn_and_skipped_is_there_when_one_comes_back(app: Any) -> None:
    panel = app.annotate_panel("box")
    draw(panel, (0.5, 0.5), (0.9, 0.9))
    press(panel, "Enter")
    second = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    press(panel, "Backspace")
    draw(panel, (0.1, 0.1), (0.6, 0.6))
    panel._undone()  # to the first, while something is drawn here
    assert current(panel) != second
    press(panel, "Enter")
    assert current(panel) == second and "not saved yet" in status(panel)
    press(panel, "Enter")
    assert [region.box for region in stored(app, second)] == [pytest.approx((0.1, 0.1, 0.6, 0.6))]


def test_keys_reach_the_canvas_that_has_the_focus_too(app: Any) -> None:
    panel = app.annotate_panel("box")
    first = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    held = {"shift_key": False, "ctrl_key": False, "meta_key": False}
    canvas = panel._labeller.canvas
    canvas._handle_custom_msg({"event": "key_down", "key": "Enter", **held, "ctrl_key": True}, [])
    assert current(panel) == first
    canvas._handle_custom_msg({"event": "key_down", "key": "Enter", **held}, [])
    assert current(panel) != first and len(stored(app, first)) == 1


def test_skip_saves_nothing(app: Any) -> None:
    panel = app.annotate_panel("box")
    first = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    button(panel, "Skip").click()
    assert current(panel) != first and stored(app, first) == [] and panel.value == []


def test_a_second_submission_by_the_same_key_is_dropped(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = app.annotate_panel("box")
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    monkeypatch.setattr(labelling, "SETTLE_SECONDS", 60)
    press(panel, "Enter")
    button(panel, "Submit").click()
    assert len(panel.value) == 1


def test_a_server_that_refuses_loses_nothing(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = app.annotate_panel("box")
    first = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    call = panel.app.call

    def refusing(operation: str, **keywords: Any) -> Any:
        if operation == "annotate_regions":
            raise Unavailable("The store is away.")
        return call(operation, **keywords)

    monkeypatch.setattr(panel.app, "call", refusing)
    press(panel, "Enter")
    assert current(panel) == first and "was not saved: The store is away" in status(panel)
    monkeypatch.undo()
    monkeypatch.setattr(labelling, "SETTLE_SECONDS", 0)
    press(panel, "Enter")
    assert len(stored(app, first)) == 1


def test_an_app_without_concepts_asks_for_one(lab: Any, app: Any) -> None:
    panel = app.annotate_panel("box", concepts=[])
    first = current(panel)
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    press(panel, "Enter")
    assert current(panel) == first and "Choose a concept" in status(panel)
    panel._labeller.new_concept.value = " <b>new</b> "
    assert panel._labeller.class_selector.value == "<b>new</b>"
    edit(panel)
    click(panel, 0.3, 0.3)
    panel._labeller.canvas.set_class("<b>new</b>")
    press(panel, "Enter")
    assert [region.concept for region in stored(app, first)] == ["<b>new</b>"]


def test_colours_follow_the_concepts(app: Any) -> None:
    panel = app.annotate_panel("box")
    labeller = panel._labeller
    labeller.know(["later"])
    assert set(labeller.canvas.colormap) == {"0", "1", "2", "later"}
    assert len(set(labeller.canvas.colormap.values())) == 4


def test_a_new_view_gets_the_picture_and_the_shapes_again(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = app.annotate_panel("box")
    drawn: list[str] = []
    canvas = panel._labeller.canvas
    monkeypatch.setattr(type(canvas), "re_draw", lambda self, *_: drawn.append("shapes"))
    canvas._handle_custom_msg({"event": "client_ready"}, [])
    assert drawn == ["shapes"]


def test_the_panel_tells_its_state_without_a_kernel(app: Any) -> None:
    panel = app.annotate_panel("box")
    draw(panel, (0.1, 0.1), (0.5, 0.5))
    press(panel, "Enter")
    assert "1 answered" in repr(panel) and "1 regions" in panel.picture() and panel.target()["app"] == app.id


def test_a_dragged_corner_of_a_polygon_with_two_rings_leaves_the_other_alone() -> None:
    region = regions.polygon("a", [0, 0, 0.4, 0, 0.4, 0.4], [0.6, 0.6, 0.9, 0.6, 0.9, 0.9])
    sketch = Sketch("polygon", [region])
    sketch.press(0.9, 0.9, reach=(0.01, 0.01), edit=True)
    sketch.drag(1.5, 0.8)
    sketch.release()
    ((changed,), removed) = sketch.changes()
    assert changed.polygons == [[0, 0, 0.4, 0, 0.4, 0.4], [0.6, 0.6, 0.9, 0.6, 1.0, 0.8]] and removed == [0]
    assert sketch.undo() and sketch.changes() == ([], [])
    assert not sketch.undo()


def test_a_box_that_is_turned_over_by_dragging_is_put_in_order() -> None:
    sketch = Sketch("box", [regions.box("a", 0.2, 0.2, 0.4, 0.4)])
    sketch.press(0.4, 0.4, reach=(0.01, 0.01), edit=True)
    sketch.drag(0.1, 0.1)
    sketch.release()
    assert sketch.changes()[0][0].box == (0.1, 0.1, 0.2, 0.2)
