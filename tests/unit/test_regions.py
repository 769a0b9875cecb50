"""Regions of inputs: what is stored of what a person puts, and what pages, counts and the history make of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk import Desk, picture
from sqlalchemy import create_engine, text

from deepft_lab import masks
from deepft_lab import regions as words
from deepft_lab.errors import InvalidRequest
from deepft_lab.lab import Lab, region_rows
from deepft_lab.lab import regions as regions_module
from deepft_lab.records import (
    AnnotateRegions,
    Caller,
    Input,
    InputIds,
    InputQuery,
    InputRegions,
    Mask,
    Region,
)
from deepft_lab.shapes import clip_ring, settle
from deepft_lab.store import migrations
from deepft_lab.store import tables as t


def box(concept: str, *corners: float, **more: Any) -> Region:
    return Region(concept=concept, box=corners or (0.1, 0.2, 0.5, 0.6), **more)


def put(desk: Desk, input: str, *add: Region, **more: Any) -> Any:
    body = AnnotateRegions(inputs=[InputRegions(input=input, add=list(add), **more)])
    return desk.annotate_regions(body=body)


def regions(desk: Desk, input: str) -> list[Region]:
    return desk.input(input=input).input.regions


@pytest.fixture
def one(desk: Desk) -> str:
    return desk.photos("", 1)[0]


def test_regions_come_back_as_they_were_put(desk: Desk, one: str) -> None:
    mask = masks.encode(np.eye(5, 7))
    ring = [0.1, 0.1, 0.9, 0.1, 0.3, 1 / 3]
    answer = put(
        desk,
        one,
        box("ant"),
        Region(kind="polygon", concept="bee", box=(0, 0, 0, 0), polygons=[ring]),
        Region(kind="mask", concept="bee", box=(0, 0, 1, 1), mask=mask),
        Region(kind="point", concept="eye", box=(0.25, 0.5, 0.25, 0.5)),
        Region(concept="", box=(0.2, 0.2, 0.4, 0.4), ignored=True),
    )
    assert answer.warnings == [] and [input.id for input in answer.inputs] == [one]
    found = regions(desk, one)
    assert found == answer.inputs[0].regions == desk.inputs(query=InputQuery()).inputs[0].regions
    assert [region.kind for region in found] == ["box", "polygon", "mask", "point", "box"]
    assert found[0].box == (0.1, 0.2, 0.5, 0.6)
    assert found[1].polygons == [ring] and found[1].box == (0.1, 0.1, 0.9, 1 / 3)
    assert found[2].mask == mask and found[2].box == (0.0, 0.0, 5 / 7, 1.0)
    assert found[4].ignored and found[4].concept == ""
    assert len({region.id for region in found}) == 5 and all(region.id for region in found)


def test_the_history_has_every_region_with_its_author_also_when_it_is_gone(desk: Desk, one: str) -> None:
    first = put(desk, one, box("ant"), box("", ignored=True)).inputs[0].regions
    put(desk, one, remove=[first[0].id])
    detail = desk.input(input=one)
    assert detail.input.regions == first[1:]
    told = [(entry.action, entry.concept, entry.author, entry.region) for entry in detail.history]
    assert told == [
        ("positive", "ant", "ann", first[0]),
        ("positive", "", "ann", first[1]),
        ("remove", "ant", "ann", first[0]),
    ]


def test_an_input_with_a_region_bears_its_concept_once(desk: Desk) -> None:
    one, two, three = desk.photos("", 3)
    put(desk, one, box("ant"), box("ant", 0, 0, 0.5, 0.5), box("bee", ignored=True))
    desk.label([one, two], positive=["ant"])
    desk.label([three], negative=["ant"])
    put(desk, three, box("wasp"))
    counts = {concept.name: (concept.positives, concept.negatives) for concept in desk.concepts()}
    assert counts == {"ant": (2, 1), "bee": (0, 0), "wasp": (1, 0)}
    for query, wanted in (
        ({"concept": "ant"}, {one, two}),
        ({"concept": "wasp"}, {three}),
        ({"concept": "bee"}, set()),
        ({"unlabelled": True}, set()),
    ):
        assert {input.id for input in desk.inputs(query=InputQuery(**query)).inputs} == wanted
        assert desk.count_inputs(query=InputQuery(**query)).count == len(wanted)
    put(desk, three, replace=True)
    desk.label([three], remove=["ant"])
    assert [input.id for input in desk.inputs(query=InputQuery(unlabelled=True)).inputs] == [three]


def test_counts_and_regions_of_deleted_inputs_go_and_come_back(desk: Desk) -> None:
    one, _ = desk.photos("ant", 2)
    put(desk, one, box("ant"), box("bee"))
    desk.delete_inputs(body=InputIds(inputs=[one]))
    assert {concept.name: concept.positives for concept in desk.concepts()} == {"ant": 1, "bee": 0}
    assert desk.count_inputs(query=InputQuery(concept="bee")).count == 0
    with pytest.raises(InvalidRequest, match="no input"):
        put(desk, one, box("ant"))
    desk.restore_inputs(body=InputIds(inputs=[one]))
    assert {concept.name: concept.positives for concept in desk.concepts()} == {"ant": 2, "bee": 1}
    assert [region.concept for region in regions(desk, one)] == ["ant", "bee"]


def test_a_deleted_app_leaves_no_regions(desk: Desk, one: str) -> None:
    put(desk, one, box("ant"))
    desk.delete_app()
    with desk.lab.database.reading() as connection:
        for table in (t.regions, t.region_concepts, t.annotations):
            assert connection.execute(table.select()).all() == []


def test_what_lies_outside_is_clipped_and_what_has_no_size_is_left_out_in_words(desk: Desk, one: str) -> None:
    answer = put(
        desk,
        one,
        box("ant", -0.5, 0.5, 0.5, 1.5),
        box("bee", 0.5, 0.5, 0.5, 0.9),
        box("wasp", 1.1, 0.1, 1.2, 0.2),
        Region(kind="polygon", concept="ant", box=(0, 0, 0, 0), polygons=[[0.1, 0.1, 0.2, 0.2, 0.3, 0.3]]),
        Region(kind="mask", concept="ant", box=(0, 0, 0, 0), mask=masks.encode(np.zeros((3, 3)))),
        Region(kind="point", concept="ant", box=(1.5, 0.5, 1.5, 0.5)),
    )
    assert [(region.concept, region.box) for region in regions(desk, one)] == [("ant", (0.0, 0.5, 0.5, 1.0))]
    left_out, clipped = answer.warnings
    assert "'bee' (0.5, 0.5, 0.5, 0.9) has no size" in left_out and "'wasp'" in left_out and "2 more" in left_out
    assert "beyond the picture: clipped" in clipped
    assert [concept.name for concept in desk.concepts()] == ["ant"], "what is left out creates no concept"


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (box(""), "no concept"),
        (box("a\nb"), "control characters"),
        (box("ant", float("nan"), 0, 1, 1), "not finite"),
        (box("ant", 0, 0, float("inf"), 1), "not finite"),
        (Region(kind="polygon", concept="ant", box=(0, 0, 1, 1)), "polygons"),
        (Region(kind="polygon", concept="ant", box=(0, 0, 1, 1), polygons=[[0, 0, 1, 1]]), "3 corners"),
        (Region(kind="polygon", concept="ant", box=(0, 0, 1, 1), polygons=[[0, 0, 1, 1, 1]]), "3 corners"),
        (
            Region(kind="polygon", concept="ant", box=(0, 0, 1, 1), polygons=[[0, 0, 1, float("inf"), 1, 0]]),
            "not finite",
        ),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1)), "mask"),
        (Region(kind="box", concept="ant", box=(0, 0, 1, 1), mask=Mask(1, 1, "1")), "mask"),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=Mask(2, 2, "1")), "cover 1 pixels"),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=Mask(2, 2, "!!")), "no part of run lengths"),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=Mask(2, 2, "P")), "cut off"),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=Mask(2, 2, "é")), "no part of run lengths"),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=Mask(2**40, 1, "0")), "not possible"),
        (Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=Mask(60_000, 60_000, "0")), "limit"),
    ],
)
def test_a_region_that_makes_no_sense_is_refused_and_nothing_is_saved(
    desk: Desk, one: str, region: Region, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        put(desk, one, box("fine"), region)
    assert [fault.field for fault in caught.value.faults] == ["inputs[0].add[1]"]
    assert regions(desk, one) == [] and desk.concepts() == []


def test_every_fault_comes_at_once_and_nothing_is_saved(desk: Desk) -> None:
    one, two = desk.photos("", 2)
    other = put(desk, two, box("ant")).inputs[0].regions[0].id
    body = AnnotateRegions(
        inputs=[
            InputRegions(input=one, add=[box("bee"), box("")], remove=[other, 10**6]),
            InputRegions(input="unknown", add=[box("bee")]),
            InputRegions(input="unknown"),
        ]
    )
    with pytest.raises(InvalidRequest) as caught:
        desk.annotate_regions(body=body)
    fields = [fault.field for fault in caught.value.faults]
    assert sorted(fields) == [
        "inputs",
        "inputs[0].add[1]",
        "inputs[0].remove",
        "inputs[0].remove",
        "inputs[1].input",
        "inputs[2].input",
    ]
    assert regions(desk, one) == [] and len(regions(desk, two)) == 1
    assert [concept.name for concept in desk.concepts()] == ["ant"]


def test_replacing_keeps_what_is_the_same_with_its_id(desk: Desk, one: str) -> None:
    twice = box("ant")
    first = put(desk, one, twice, twice, box("bee"), Region(kind="point", concept="eye", box=(0, 0, 0, 0)))
    ids = [region.id for region in first.inputs[0].regions]
    put(desk, one, twice, twice, box("wasp"), replace_kinds=["box"])
    found = regions(desk, one)
    assert [(region.id in ids, region.concept) for region in found] == [
        (True, "ant"),
        (True, "ant"),
        (True, "eye"),
        (False, "wasp"),
    ]
    history = len(desk.input(input=one).history)
    put(desk, one, twice, twice, box("wasp"), replace_kinds=["box"])
    assert len(desk.input(input=one).history) == history, "nothing changes, so nothing is told"
    put(desk, one, box("wasp"), replace=True)
    assert [region.concept for region in regions(desk, one)] == ["wasp"]


def test_two_tabs_may_take_the_same_region_away(desk: Desk, one: str) -> None:
    id = put(desk, one, box("ant")).inputs[0].regions[0].id
    put(desk, one, remove=[id])
    put(desk, one, box("bee"), remove=[id])
    assert [region.concept for region in regions(desk, one)] == ["bee"]
    assert [entry.action for entry in desk.input(input=one).history] == ["positive", "remove", "positive"]


def test_many_tabs_at_once_lose_nothing(desk: Desk, one: str) -> None:
    def work(number: int) -> None:
        for i in range(5):
            put(desk, one, box(f"c{number}", 0, 0, 0.1 * (i + 1), 0.5))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(regions(desk, one)) == 30 and len(desk.concepts()) == 6


def test_there_is_a_limit_of_regions_an_input(desk: Desk, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions_module, "MAX_REGIONS", 3)
    put(desk, one, box("ant"), box("ant"))
    with pytest.raises(InvalidRequest, match=r"would have 4 regions; the limit is 3"):
        put(desk, one, box("bee"), box("bee"))
    assert len(regions(desk, one)) == 2 and [concept.name for concept in desk.concepts()] == ["ant"]
    put(desk, one, box("bee"), box("bee"), box("bee"), replace=True)


def test_a_page_comes_without_the_pixels_of_large_masks(desk: Desk, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_rows, "LARGE", 10)
    small, large = masks.encode(np.ones((4, 4))), masks.encode(np.random.default_rng(1).integers(0, 2, (40, 40)))
    put(desk, one, *(Region(kind="mask", concept="ant", box=(0, 0, 1, 1), mask=mask) for mask in (small, large)))
    page: Input = desk.inputs(query=InputQuery()).inputs[0]
    assert [region.mask for region in page.regions] == [small, None]
    assert [region.mask for region in regions(desk, one)] == [small, large]
    assert page.regions[1].box == regions(desk, one)[1].box


def test_an_older_store_gets_the_tables_and_keeps_its_annotations(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
    migrations.walk(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text("PRAGMA foreign_keys = ON"))
        for statement in (
            "INSERT INTO apps VALUES (1, 'ann', 'a', '', 1.0)",
            "INSERT INTO inputs VALUES (1, 1, 'f', 'f', 'x', 1, 1, 'PNG', 1, 1, 1.0, 'ann', '{}', NULL)",
            "INSERT INTO concepts VALUES (1, 1, 'ant', 1.0)",
            "INSERT INTO annotations VALUES (7, 1, 1, 'positive', 'ann', 1.0)",
            "INSERT INTO labels VALUES (1, 1, 1)",
        ):
            connection.execute(text(statement))
    engine.dispose()
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "old.sqlite").rename(store / "deepft.sqlite")
    lab = Lab(store)
    try:
        desk = Desk(lab, Caller(user="ann"), "a")
        assert desk.input(input="f").input.labels[0].concept == "ant"
        put(desk, "f", box("ant"))
        assert [(entry.id, entry.action) for entry in desk.input(input="f").history] == [
            (7, "positive"),
            (8, "positive"),
        ]
    finally:
        lab.close()


def test_a_ring_is_clipped_to_the_picture() -> None:
    assert clip_ring([-1, -1, 2, -1, 2, 2, -1, 2]) == [0, 1, 0, 0, 1, 0, 1, 1]
    assert clip_ring([2, 2, 3, 2, 3, 3]) == []
    triangle = settle(Region(kind="polygon", concept="a", box=(0, 0, 0, 0), polygons=[[-1, 0, 1, 0, 1, 1]])).region
    assert triangle is not None and triangle.box == (0.0, 0.0, 1.0, 1.0) and min(triangle.polygons[0]) == 0


def test_regions_of_another_app_cannot_be_reached(desk: Desk, one: str) -> None:
    id = put(desk, one, box("ant")).inputs[0].regions[0].id
    other = Desk(desk.lab, app="other").create()
    theirs = other.put(other.begin(), "x.png", picture((1, 2, 3))).input
    with pytest.raises(InvalidRequest, match="no region of this id"):
        put(other, str(theirs), remove=[id])
    with pytest.raises(InvalidRequest, match="no region of this id"):
        put(desk, one, remove=[2**70])
    assert len(regions(desk, one)) == 1


def test_pixels_and_what_is_no_number_are_told_when_a_region_is_made() -> None:
    corners = np.array([[0.1, 0.2], [0.5, 0.2], [0.5, 0.6]])
    assert words.polygon("ant", corners) == words.polygon("ant", corners.tolist())
    assert words.box("ant", -0.1, 0, 1.2, 1).box == (-0.1, 0, 1.2, 1), "what reaches beyond is clipped later"
    for wrong in (
        lambda: words.box("ant", 10, 20, 300, 200),
        lambda: words.point("ant", 0.5, 64),
        lambda: words.polygon("ant", [(0, 0), (120, 0), (120, 80)]),
    ):
        with pytest.raises(InvalidRequest, match="Divide pixels by its width and height"):
            wrong()
    with pytest.raises(InvalidRequest, match="nan"):
        words.box("ant", float("nan"), 0, 1, 1)
    with pytest.raises(InvalidRequest, match=r"\(4, 4, 3\).*one channel"):
        words.mask("ant", np.zeros((4, 4, 3)))
    with pytest.raises(InvalidRequest, match="not list"):
        words.mask("ant", [[0, 1]])
