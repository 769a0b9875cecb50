"""What a person draws: shapes in fractions of the picture, and what a mouse does to them. No widgets in here.

    sketch = Sketch("box", regions)
    sketch.press(0.1, 0.1); sketch.drag(0.4, 0.5); sketch.release()
    added, removed = sketch.changes()

A shape that nobody has touched keeps its region, so that its coordinates are never written anew.
"""

from __future__ import annotations

import math

import msgspec

from deepft_lab.records import Region
from deepft_lab.shapes import area

Point = tuple[float, float]

SMALLEST = 1e-4  # of the picture: a box whose side is less was a click
KINDS = ("box", "polygon", "point")


class Shape(msgspec.Struct, frozen=True):
    """`rings` are the corners: of a box the top left and the bottom right one, of a point the one. `region`: as it is
    stored, where it is."""

    concept: str
    rings: tuple[tuple[Point, ...], ...]
    ignored: bool = False
    region: Region | None = None

    def handles(self, kind: str) -> list[tuple[int, int, Point]]:
        """Ring, corner and place of each point that can be dragged. A box has four."""
        if kind == "box":
            (left, top), (right, bottom) = self.rings[0]
            corners = ((left, top), (right, top), (right, bottom), (left, bottom))
            return [(0, number, corner) for number, corner in enumerate(corners)]
        return [(r, c, corner) for r, ring in enumerate(self.rings) for c, corner in enumerate(ring)]


class Sketch:
    """The shapes of one picture. `open` are the corners of an unfinished polygon, `selected` is a shape's number."""

    def __init__(self, kind: str, regions: list[Region]) -> None:
        self.kind = kind
        self.before = [region for region in regions if region.kind == kind]
        self.others = [region for region in regions if region.kind != kind]
        self.shapes: list[Shape] = [_shape(region) for region in self.before]
        self.open: tuple[Point, ...] = ()
        self.proposed: Shape | None = None
        self.selected: int | None = None
        self._grip: tuple[int, int] | None = None
        self._moving = False
        self._undo: list[tuple[list[Shape], tuple[Point, ...]]] = []

    # -- the mouse --

    @property
    def held(self) -> bool:
        """A button is down, and something is being drawn or moved."""
        return self.proposed is not None or self._grip is not None

    def press(self, x: float, y: float, concept: str = "", reach: Point = (0.0, 0.0), edit: bool = False) -> None:
        """A button goes down. `reach`: how near counts as at a corner, across and down."""
        if edit:
            self._take_hold((x, y), reach)
        elif self.kind == "box":
            self.proposed = Shape(concept, (((x, y), (x, y)),))
        elif self.kind == "point":
            self._remember()
            self.shapes.append(Shape(concept, (((x, y),),)))
        elif len(self.open) > 2 and _near(self.open[0], (x, y), reach):
            self.close(concept)
        elif not self.open or self.open[-1] != (x, y):
            self._remember()
            self.open = (*self.open, (x, y))

    def drag(self, x: float, y: float) -> None:
        x, y = min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
        if self.proposed is not None:
            self.proposed = msgspec.structs.replace(self.proposed, rings=((self.proposed.rings[0][0], (x, y)),))
        elif self._grip is not None and self.selected is not None:
            if not self._moving:
                self._remember()
                self._moving = True
            self.shapes[self.selected] = _moved(self.shapes[self.selected], self.kind, self._grip, (x, y))

    def release(self) -> None:
        """A button goes up, or the mouse leaves the picture."""
        shape, self.proposed = self.proposed, None
        if shape is not None:
            shape = _ordered(shape)
            (left, top), (right, bottom) = shape.rings[0]
            if right - left > SMALLEST and bottom - top > SMALLEST:
                self._remember()
                self.shapes.append(shape)
        elif self._moving and self.selected is not None and self.kind == "box":
            self.shapes[self.selected] = _ordered(self.shapes[self.selected])
        self._grip, self._moving = None, False

    def close(self, concept: str) -> bool:
        """Ends the unfinished polygon. Without three corners around an area it stays open, and the answer is False."""
        if len(self.open) < 3 or not abs(area([value for point in self.open for value in point])):
            return False
        self._remember()
        self.shapes.append(Shape(concept, (self.open,)))
        self.open = ()
        return True

    # -- what is done to the selected shape --

    def name(self, concept: str) -> bool:
        """Gives the selected shape another concept. False where none is selected."""
        if self.selected is None:
            return False
        if self.shapes[self.selected].concept != concept:
            self._remember()
            self.shapes[self.selected] = msgspec.structs.replace(self.shapes[self.selected], concept=concept)
        return True

    def delete(self) -> bool:
        if self.selected is None:
            return False
        self._remember()
        del self.shapes[self.selected]
        self.selected = None
        return True

    def undo(self) -> bool:
        """Takes the last step back. False where there is none."""
        self.proposed = self.selected = self._grip = None
        if not self._undo:
            return False
        self.shapes, self.open = self._undo.pop()
        return True

    # -- what comes of it --

    @property
    def touched(self) -> bool:
        added, removed = self.changes()
        return bool(added or removed or self.open)

    def changes(self) -> tuple[list[Region], list[int]]:
        """Regions to put, and ids to take away."""
        kept = {shape.region.id for shape in self.shapes if shape.region is not None and _shape(shape.region) == shape}
        added = [_region(shape, self.kind) for shape in self.shapes if not (shape.region and shape.region.id in kept)]
        return added, [region.id for region in self.before if region.id not in kept]

    def _take_hold(self, place: Point, reach: Point) -> None:
        """Selects what lies at a place: a corner nearby, of the selected shape first; else the smallest shape."""
        order = sorted(range(len(self.shapes)), key=lambda number: (number != self.selected, -number))
        for number in order:
            for ring, corner, point in self.shapes[number].handles(self.kind):
                if _near(point, place, reach):
                    self.selected, self._grip = number, (ring, corner)
                    return
        around = [number for number in order if _holds(self.shapes[number], self.kind, place)]
        self.selected = min(around, key=lambda number: _size(self.shapes[number], self.kind), default=None)
        self._grip = None

    def _remember(self) -> None:
        self._undo.append((list(self.shapes), self.open))


def _shape(region: Region) -> Shape:
    left, top, right, bottom = region.box
    if region.kind == "box":
        rings: tuple[tuple[Point, ...], ...] = (((left, top), (right, bottom)),)
    elif region.kind == "point":
        rings = (((left, top),),)
    else:
        rings = tuple(tuple(zip(ring[::2], ring[1::2], strict=True)) for ring in region.polygons)
    return Shape(region.concept, rings, region.ignored, region)


def _region(shape: Shape, kind: str) -> Region:
    x = [point[0] for ring in shape.rings for point in ring]
    y = [point[1] for ring in shape.rings for point in ring]
    polygons = [[value for point in ring for value in point] for ring in shape.rings] if kind == "polygon" else []
    box = (min(x), min(y), max(x), max(y))
    return Region(kind=kind, concept=shape.concept, box=box, polygons=polygons, ignored=shape.ignored)  # type: ignore[arg-type]


def _moved(shape: Shape, kind: str, grip: tuple[int, int], place: Point) -> Shape:
    number, corner = grip
    ring = list(shape.rings[number])
    if kind == "box":
        (left, top), (right, bottom) = ring
        left, right = (place[0], right) if corner in (0, 3) else (left, place[0])
        top, bottom = (place[1], bottom) if corner in (0, 1) else (top, place[1])
        ring = [(left, top), (right, bottom)]
    else:
        ring[corner] = place
    rings = (*shape.rings[:number], tuple(ring), *shape.rings[number + 1 :])
    return msgspec.structs.replace(shape, rings=rings)


def _ordered(shape: Shape) -> Shape:
    """A box with its corners in order, whichever way it was drawn."""
    (x0, y0), (x1, y1) = shape.rings[0]
    return msgspec.structs.replace(shape, rings=(((min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))),))


def _near(point: Point, place: Point, reach: Point) -> bool:
    return math.hypot((point[0] - place[0]) / (reach[0] or 1e-9), (point[1] - place[1]) / (reach[1] or 1e-9)) <= 1


def _holds(shape: Shape, kind: str, place: Point) -> bool:
    if kind == "point":
        return False
    if kind == "box":
        (left, top), (right, bottom) = shape.rings[0]
        return left <= place[0] <= right and top <= place[1] <= bottom
    return sum(_crossings(ring, place) for ring in shape.rings) % 2 == 1


def _crossings(ring: tuple[Point, ...], place: Point) -> int:
    """How many sides of the ring a ray to the right crosses."""
    x, y = place
    count = 0
    for number, (x1, y1) in enumerate(ring):
        x0, y0 = ring[number - 1]
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            count += 1
    return count


def _size(shape: Shape, kind: str) -> float:
    if kind == "box":
        (left, top), (right, bottom) = shape.rings[0]
        return (right - left) * (bottom - top)
    return sum(abs(area([value for point in ring for value in point])) for ring in shape.rings)
