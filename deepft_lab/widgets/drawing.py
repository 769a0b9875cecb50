"""The canvas of ipyannotations' annotators, mended in one place with `annotator` (written for 0.5.1).

What is mended: coordinates are fractions of the whole picture and exact to the pixel of the screen, and what nobody
touches keeps its own; the canvas fits the picture, keeps its colours and its orientation (the server's picture is
shown) and is drawn again in a new view; a box that is let go outside ends at the edge; existing regions are shown,
can be changed, renamed and deleted; every step can be undone; Skip and Undo say so; a second submission by the same key
is dropped; colours follow the concepts; the invisible event widget is no child, so no error text stands below.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from ipyannotations.images.canvases.abstract_canvas import AbstractAnnotationCanvas
from ipycanvas import hold_canvas
from traitlets import Bool

from deepft_lab.records import Region
from deepft_lab.widgets.shapes import Point, Shape, Sketch

WIDTH, HEIGHT = 700, 500  # of the canvas at most
REACH = 8  # pixels of the screen: so near counts as at a corner
COLOURS = ("#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#a65628", "#f781bf", "#00a5a5")
GREY = "#808080"


class RegionCanvas(AbstractAnnotationCanvas):
    """Draws a sketch over a picture, and hands the mouse to it."""

    editing = Bool(default_value=False)

    def __init__(self, kind: str, size: tuple[int, int] = (WIDTH, HEIGHT), classes: Sequence[str] = ()) -> None:
        self.kind = kind
        self.sketch = Sketch(kind, [])
        self.changed: Callable[[], None] = lambda: None
        super().__init__(size, classes=[])
        self.name_colours(classes)
        self.interaction_canvas.on_mouse_out(self.on_out)
        self.on_client_ready(self._draw_all)

    def name_colours(self, classes: Sequence[str]) -> None:
        self.colormap = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(classes)}

    def show(self, picture: bytes, sketch: Sketch) -> None:
        """A picture (JPEG or PNG) with what is drawn on it; the canvas takes its shape."""
        from PIL import Image

        with Image.open(io.BytesIO(picture)) as image:
            across, down = image.size
        scale = min(WIDTH / across, HEIGHT / down)
        self.width, self.height = max(1, round(across * scale)), max(1, round(down * scale))
        self.sketch = sketch
        self.current_image = ipywidgets.Image(value=picture)
        self._draw_all()

    def _draw_all(self) -> None:
        self._display_image()
        self.re_draw()

    def _display_image(self, *change: Any) -> None:
        """Fills the canvas; ipyannotations would leave small pictures small."""
        self.image_extent = (0, 0, self.width, self.height)
        self.original_width, self.original_height = self.width, self.height
        if self.current_image is None:
            return
        from ipyannotations.images.canvases.image_utils import adjust

        image = self.current_image
        if (self.image_brightness, self.image_contrast) != (1, 1):
            image = adjust(image, contrast_factor=self.image_contrast, brightness_factor=self.image_brightness)
        with hold_canvas():
            self[0].clear()
            self[0].draw_image(image, x=0, y=0, width=self.width, height=self.height)

    # -- the mouse, in pixels of the canvas --

    def on_click(self, x: float, y: float) -> None:
        self.sketch.press(
            *self._fractions(x, y),
            concept=self.current_class or "",
            reach=(REACH / self.width, REACH / self.height),
            edit=self.editing,
        )
        self._redraw_and_tell()

    def on_drag(self, x: float, y: float) -> None:
        if not self.sketch.held:
            return
        self.sketch.drag(*self._fractions(x, y))
        if self.sketch.proposed is None:
            self.re_draw()
        else:
            self._draw_current()

    def on_release(self, x: float, y: float) -> None:
        self.on_drag(x, y)
        self.sketch.release()
        self._redraw_and_tell()

    def on_out(self, x: float, y: float) -> None:
        """The mouse leaves the canvas: what is being drawn ends at the edge."""
        if self.sketch.held:
            self.on_release(x, y)

    def add_point(self, x: float, y: float) -> None:
        self.on_click(x, y)

    def _fractions(self, x: float, y: float) -> Point:
        return min(1.0, max(0.0, x / self.width)), min(1.0, max(0.0, y / self.height))

    def _redraw_and_tell(self) -> None:
        self.re_draw()
        self.changed()

    # -- what is drawn --

    def re_draw(self, *_: Any) -> None:
        with hold_canvas():
            self[1].clear()
            for region in self.sketch.others:
                left, top, right, bottom = region.box
                corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
                self._outline(corners, self._colour(region.concept, region.ignored), dashed=True)
            for number, shape in enumerate(self.sketch.shapes):
                self._draw(shape, selected=number == self.sketch.selected)
            self._draw_current()

    def _draw_current(self) -> None:
        """What is just being drawn has a layer of its own, so that a mouse move does not draw all the others anew."""
        with hold_canvas():
            self[2].clear()
            if self.sketch.proposed is not None:
                self._draw(self.sketch.proposed, layer=2, dashed=True)
            if self.sketch.open:
                colour = self._colour(self.current_class or "", False)
                self._outline(list(self.sketch.open), colour, layer=2, dashed=True, closed=False)
                self._dots(list(self.sketch.open), colour, layer=2)

    def _draw(self, shape: Shape, layer: int = 1, selected: bool = False, dashed: bool = False) -> None:
        colour = self._colour(shape.concept, shape.ignored)
        if self.kind == "point":
            self._dots(list(shape.rings[0]), colour, layer, 1.5 if selected else 1.0)
            return
        handles = shape.handles(self.kind)
        for number in range(len(shape.rings)):
            corners = [point for ring, _, point in handles if ring == number]
            self._outline(corners, colour, layer, dashed=dashed or shape.ignored, strong=selected)
        if self.editing:
            self._dots([point for _, _, point in handles], colour, layer)

    def _outline(
        self,
        corners: list[Point],
        colour: str,
        layer: int = 1,
        *,
        dashed: bool = False,
        strong: bool = False,
        closed: bool = True,
    ) -> None:
        canvas = self[layer]
        canvas.set_line_dash([8, 4] if dashed else [])
        canvas.line_width = 4 if strong else 2
        canvas.stroke_style = canvas.fill_style = colour
        canvas.begin_path()
        canvas.move_to(*self._place(corners[0]))
        for corner in corners[1:]:
            canvas.line_to(*self._place(corner))
        if closed:
            canvas.close_path()
            canvas.global_alpha = self.opacity * (0.6 if strong else 0.3)
            canvas.fill()
            canvas.global_alpha = 1.0
        canvas.stroke()

    def _dots(self, points: list[Point], colour: str, layer: int = 1, scale: float = 1.0) -> None:
        canvas = self[layer]
        places = [self._place(point) for point in points]
        canvas.set_line_dash([])
        canvas.line_width = 1
        canvas.fill_style, canvas.stroke_style = colour, "#ffffff"
        for x, y in places:
            canvas.fill_arc(x, y, self.point_size * scale, 0, 2 * math.pi)
            canvas.stroke_arc(x, y, self.point_size * scale, 0, 2 * math.pi)

    def _place(self, point: Point) -> Point:
        return point[0] * self.width, point[1] * self.height

    def _colour(self, concept: str, ignored: bool) -> str:
        return GREY if ignored else self.colormap.get(concept, GREY)

    # -- what ipyannotations asks of a canvas --

    def init_empty_data(self) -> None:
        self.sketch = Sketch(self.kind, [])

    def set_class(self, class_name: str | None) -> None:
        if self.editing and class_name and self.sketch.name(class_name):
            self._redraw_and_tell()

    @property
    def data(self) -> list[Region]:
        return self.sketch.changes()[0]
