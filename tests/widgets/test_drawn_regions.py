"""Regions over pictures in a real browser: in the gallery, over predictions, and in the previews of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from harness import shared_folder
from pages import MARKS, Open, target_of
from PIL import Image
from playwright.sync_api import expect

from deepft_lab import records
from deepft_lab.records import InputRegions, Mask, Region

pytestmark = MARKS

COUNT = 6
# The colours of a canvas: how many of its pixels are drawn on.
DRAWN = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v > 0)"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs of blood cells with their boxes as Pascal VOC says them; grey pictures where there are none."""
    folder = tmp_path_factory.mktemp("cells")
    shared = shared_folder()
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind).mkdir()
    names = sorted(p.stem for p in (shared / "data/detect-bccd/JPEGImages").iterdir())[:COUNT] if shared else []
    for name in names:
        for kind, end in (("JPEGImages", "jpg"), ("Annotations", "xml")):
            file = Path(kind) / f"{name}.{end}"
            assert shared
            (folder / file).write_bytes((shared / "data/detect-bccd" / file).read_bytes())
    for number in range(0 if shared else COUNT):
        Image.new("RGB", (64, 48), (number * 20, 90, 90)).save(folder / "JPEGImages" / f"{number}.jpg")
        (folder / "Annotations" / f"{number}.xml").write_text(VOC.format(number=number))
    return folder


VOC = """<annotation><filename>{number}.jpg</filename><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>RBC</name><bndbox><xmin>4</xmin><ymin>4</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
<object><name>RBC</name><bndbox><xmin>40</xmin><ymin>4</ymin><xmax>60</xmax><ymax>20</ymax></bndbox></object>
<object><name>WBC</name><bndbox><xmin>24</xmin><ymin>24</ymin><xmax>44</xmax><ymax>44</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def cells(lab: Any, pictures: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    app = lab.create_app(request.node.name[:60].rstrip("_"))
    app.upload(pictures, dataset="train")
    yield app
    app.delete()


def test_regions_are_drawn_on_every_tile_and_hidden_by_key_and_by_concept(cells: Any, mount: Open) -> None:
    page = mount("gallery", target_of(cells))
    inputs = cells.inputs(limit=COUNT)
    total = sum(len(each.regions) for each in inputs)
    assert total >= COUNT
    canvases = page.get_by_test_id("gallery-grid").get_by_test_id("regions-drawn")
    expect(canvases).to_have_count(COUNT)
    for each in inputs:
        canvas = page.locator(f'[data-input="{each.id}"] canvas')
        expect(canvas).to_have_attribute("data-shapes", str(len(each.regions)))
        assert canvas.evaluate(DRAWN)
    page.get_by_test_id("gallery-grid").focus()
    page.keyboard.press("r")
    expect(canvases).to_have_count(0)
    expect(page.get_by_test_id("regions-toggle")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("r")
    expect(canvases).to_have_count(COUNT)
    page.locator('[data-testid=regions-concept][data-concept="RBC"]').click()
    for each in inputs:
        others = sum(region.concept != "RBC" for region in each.regions)
        canvas = page.locator(f'[data-input="{each.id}"] canvas')
        expect(canvas).to_have_count(1 if others else 0)
        if others:
            expect(canvas).to_have_attribute("data-shapes", str(others))


def test_a_region_is_pointed_at_from_its_row_deleted_and_put_back(cells: Any, mount: Open) -> None:
    page = mount("gallery", target_of(cells))
    first = cells.inputs(limit=1)[0]
    count = len(first.regions)
    page.locator(f'[data-testid=gallery-tile][data-input="{first.id}"]').dblclick()
    rows = page.get_by_test_id("region")
    expect(rows).to_have_count(count)
    picture = page.get_by_test_id("gallery-detail").get_by_test_id("regions-drawn")
    box = picture.bounding_box()
    left, top, right, bottom = first.regions[0].box
    scale = min(box["width"] / first.width, box["height"] / first.height)
    offset = (box["width"] - first.width * scale) / 2, (box["height"] - first.height * scale) / 2
    smallest = min(first.regions, key=lambda region: _area(region.box))
    at = [(smallest.box[side] + smallest.box[side + 2]) / 2 for side in (0, 1)]
    place = {"x": offset[0] + at[0] * first.width * scale, "y": offset[1] + at[1] * first.height * scale}
    picture.hover(position=place)
    lit = page.locator(".dft-shape.dft-lit")
    expect(lit).to_have_attribute("data-concept", smallest.concept)
    rows.first.focus()
    page.keyboard.press("Delete")
    expect(rows).to_have_count(count - 1)
    expect(page.get_by_test_id("undo-bar")).to_contain_text("Region deleted")
    assert len(cells.input(first.id).input.regions) == count - 1
    page.get_by_test_id("undo").click()
    expect(rows).to_have_count(count)
    assert sorted(region.box for region in cells.input(first.id).input.regions) == sorted(r.box for r in first.regions)
    assert (left, top) < (right, bottom)


def test_every_kind_of_region_is_drawn_large_and_named_in_its_list(cells: Any, mount: Open) -> None:
    first = cells.inputs(limit=1)[0]
    name = "<b>Donaudampfschifffahrtsgesellschaft</b>"
    regions = [
        Region(kind="polygon", concept=name, box=(0.1, 0.1, 0.4, 0.5), polygons=[[0.1, 0.1, 0.4, 0.2, 0.3, 0.5]]),
        Region(kind="mask", concept="nucleus", box=(0.2, 0, 1, 0.75), mask=Mask(4, 5, "522000OO2")),
        Region(kind="point", concept="tip", box=(0.6, 0.1, 0.6, 0.1)),
        Region(concept="", ignored=True, box=(0.05, 0.6, 0.4, 0.95)),
    ]
    change = InputRegions(input=first.id, add=regions, replace=True)
    cells.call("annotate_regions", body=records.AnnotateRegions([change]))
    page = mount("gallery", target_of(cells))
    page.locator(f'[data-testid=gallery-tile][data-input="{first.id}"]').dblclick()
    page.get_by_test_id("detail-enlarge").click()
    expect(page.get_by_test_id("detail-enlarge")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("region")).to_have_count(4)
    page.set_viewport_size({"width": 1400, "height": 400})
    fits = "detail => detail.scrollHeight <= detail.clientHeight"
    assert page.get_by_test_id("gallery-detail").evaluate(fits), "the whole picture is seen at once"
    words = page.get_by_test_id("region-list").inner_text()
    assert name in words and "polygon" in words and "mask · 35 %" in words and "ignored" in words
    assert page.get_by_test_id("gallery-detail").get_by_test_id("regions-drawn").evaluate(DRAWN)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("gallery-grid")).to_be_visible()


def test_a_hundred_predicted_regions_are_narrowed_by_a_threshold(cells: Any, pictures: Path, mount: Open) -> None:
    boxes = [(0.09 * (n % 10), 0.09 * (n // 10), 0.09 * (n % 10) + 0.08, 0.09 * (n // 10) + 0.08) for n in range(100)]
    found = [{"concept": "RBC", "value": 1 - n / 100, "box": box} for n, box in enumerate(boxes)]
    masked = {
        "concept": "WBC",
        "value": 0.9,
        "box": [0.2, 0, 1, 0.75],
        "mask": {"height": 4, "width": 5, "counts": "522000OO2"},
    }
    answer = {
        "predictions": [_prediction(regions=found), _prediction(regions=[masked]), _prediction(embedding=[0.5] * 4)],
        "seconds": 0.1,
        "cold": False,
    }
    page = mount("predictView", target_of(cells, model="m", version="v1"), answers={"**/predict": answer})
    files = sorted((pictures / "JPEGImages").iterdir())[:3]
    page.get_by_test_id("predict-input").set_input_files([str(file) for file in files])
    cards = page.get_by_test_id("prediction")
    expect(cards.nth(0).get_by_test_id("region-count")).to_have_text("51 of 100 regions")
    expect(cards.nth(0).get_by_test_id("regions-drawn")).to_have_attribute("data-shapes", "51")
    page.get_by_test_id("region-threshold").fill("0.9")
    expect(cards.nth(0).get_by_test_id("region-count")).to_have_text("11 of 100 regions")
    expect(cards.nth(0).get_by_test_id("region")).to_have_count(11)
    expect(page.get_by_test_id("region-opacity")).to_be_visible()
    assert cards.nth(1).get_by_test_id("regions-drawn").evaluate(DRAWN)
    expect(cards.nth(2).get_by_test_id("embedding")).to_contain_text("4 numbers")
    expect(cards.nth(2).get_by_test_id("embedding-copy")).to_be_enabled()


def test_all_that_a_segmenter_says_is_shown_unless_a_person_asks_for_less(
    cells: Any, pictures: Path, mount: Open
) -> None:
    mask = {"height": 4, "width": 5, "counts": "522000OO2"}
    found = [
        {"concept": concept, "value": value, "box": [0.2, 0, 1, 0.75], "mask": mask}
        for concept, value in (("nucleus", 0.7), ("cytoplasm", 0.4))
    ]
    answer = {"predictions": [_prediction(regions=found)], "seconds": 0.1, "cold": False}
    page = mount("predictView", target_of(cells, model="m", version="v1"), answers={"**/predict": answer})
    page.get_by_test_id("predict-input").set_input_files(str(next((pictures / "JPEGImages").iterdir())))
    expect(page.get_by_test_id("region-count")).to_have_text("2 regions")
    page.get_by_test_id("region-threshold").fill("0.5")
    expect(page.get_by_test_id("region-count")).to_have_text("1 of 2 regions")

    image = {
        "input": cells.inputs(limit=1)[0].id,
        "labels": {},
        "regions": [],
        "prediction": _prediction(regions=found),
    }
    events = [_event(1, "preview", epoch=1, images=[image], seconds=1)]
    answers = {
        "**/versions/v1": msgspec.to_builtins(_version(cells, 1)),
        "**/versions/v1/events*": {"events": events, "state": "training"},
    }
    page = mount("versionView", target_of(cells, model="m", version="v1"), answers=answers)
    expect(page.get_by_test_id("preview")).to_contain_text("2 found")
    page.get_by_test_id("preview-threshold").fill("0.5")
    expect(page.get_by_test_id("preview")).to_contain_text("1 found")


def test_a_training_that_ended_early_says_so(cells: Any, mount: Open) -> None:
    version = msgspec.structs.replace(_version(cells, 0), state="trained")
    answers = {
        "**/versions/v1": msgspec.to_builtins(version),
        "**/versions/v1/events*": {"events": [], "state": "trained"},
    }
    page = mount("versionView", target_of(cells, model="m", version="v1"), answers=answers)
    expect(page.get_by_test_id("version-words")).to_have_text("Ended in epoch 3 of 6 · 3 steps · best: epoch 2")


def test_previews_are_scrubbed_through_the_epochs_and_flips_are_marked(cells: Any, mount: Open) -> None:
    inputs = cells.inputs(limit=3)
    found = [[1, 1, 2], [2, 1, 2], [2, 3, 2]]  # regions of each image at each epoch
    boxes = [{"concept": "RBC", "value": 0.9, "box": [0.1 * n, 0, 0.1 * n + 0.1, 0.2]} for n in range(3)]
    events = [_event(1, "quote", seconds=720, memory=2.1e9, gpu_memory=None, micro_batch=4, source="probe")]
    for epoch, counts in enumerate(found, 1):
        images = [
            {
                "input": each.id,
                "labels": {},
                "regions": msgspec.to_builtins(each.regions),
                "prediction": _prediction(regions=boxes[:count]),
            }
            for each, count in zip(inputs, counts, strict=True)
        ]
        metrics = {"mAP": 0.1 * epoch, "AP50": 0.2 * epoch, "recall_at_1": 0.5, "loss": 1 / epoch}
        rows = {"RBC": {"mAP": 0.1 * epoch, "boxes": 40}, "WBC": {"mAP": None, "boxes": 3}}
        more = {"metrics": metrics, "metrics_by_concept": rows, "train_loss": 1, "best": epoch < 3, "seconds": 1}
        events.append(_event(2 * epoch, "epoch", epoch=epoch, **more))
        events.append(_event(2 * epoch + 1, "preview", epoch=epoch, images=images, seconds=1))
    version = _version(cells, len(events))
    answers = {
        "**/versions/v1": msgspec.to_builtins(version),
        "**/versions/v1/events*": {"events": events, "state": "training"},
    }
    page = mount("versionView", target_of(cells, model="m", version="v1"), answers=answers)
    section = page.get_by_test_id("previews")
    flips = page.locator("[data-testid=preview-flip]:visible")
    expect(section).to_have_attribute("data-epoch", "3")
    expect(flips).to_have_text(["⇄ RBC 1 → 3"])
    expect(page.get_by_test_id("preview-summary")).to_contain_text("1 of 3 flipped since epoch 2")
    page.get_by_test_id("preview-scrub").focus()
    page.keyboard.press("ArrowLeft")
    expect(section).to_have_attribute("data-epoch", "2")
    expect(page.get_by_test_id("preview-epoch")).to_contain_text("the best")
    expect(flips).to_have_text(["⇄ RBC 1 → 2"])
    page.keyboard.press("Home")
    expect(section).to_have_attribute("data-epoch", "1")
    expect(flips).to_have_count(0)
    page.get_by_test_id("preview-truth").select_option("beside")
    expect(page.get_by_test_id("preview").first.locator("canvas:visible")).to_have_count(2)
    page.get_by_test_id("preview-only-flips").check()
    expect(page.locator("[data-testid=preview]:visible")).to_have_count(0)
    # which epoch the figures are of, and metrics and columns of any name
    expect(page.get_by_test_id("version-metrics")).to_contain_text("best epoch so far")
    expect(page.get_by_test_id("chart-metrics")).to_contain_text("3 (last)")
    expect(page.get_by_test_id("version-metrics")).to_contain_text("recall@1")
    expect(page.get_by_test_id("concept-table")).to_contain_text("boxes")
    expect(page.get_by_test_id("version-quote")).to_contain_text("about 12 min, 2.1 GB")
    expect(page.get_by_test_id("micro-batch")).to_contain_text("pieces of 4")


def _event(seq: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "attempt": 1, "step": seq, "time": time.time(), "kind": kind, "data": data}


def _prediction(**given: Any) -> dict[str, Any]:
    return {"concepts": [], "regions": [], "embedding": [], "error": ""} | given


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _version(app: Any, last: int) -> records.ModelVersion:
    return records.ModelVersion(
        owner=app.owner, app=app.id, model="m", id="v1", job="j", type="visual-detector", template="t",
        template_hash="", values={"batch_size": 16}, concepts=["RBC", "WBC"], dataset="train", train_version="a",
        validation_version=None, description="", author=app.owner, created=time.time(), state="training", attempt=1,
        started=time.time(), ended=None, reason="", queue_place=None, progress=0.5, epoch=3, epochs=6, step=3, steps=6,
        images_per_second=1.0, seconds_left=60.0, seconds_used=60.0, gpus=0, cost=None, currency="EUR",
        stopping=False, metrics={}, metrics_by_concept={}, best_epoch=2, best_metric="mAP", warnings=[],
        last_seq=last,
    )  # fmt: skip
