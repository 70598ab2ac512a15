"""The tools of the editor in a real browser: what is painted is what the exported zip holds, and what is seen."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from editordesk import (
    CLEAR,
    DRAWN,
    ERASE,
    KEEP,
    KEYS,
    LENSES,
    OPEN,
    PATCHES,
    TINTED,
    UNTOUCHED,
    click,
    discs,
    drag,
    exported,
    iou,
    labels,
    patches,
    place,
    set_brush,
    show,
)

# --- painting ---


def test_what_is_painted_is_what_the_zip_holds(page: Any) -> None:
    set_brush(page, 4.8)
    for key, y in (("1", 20.5), ("2", 45.5), ("3", 70.5)):
        page.keyboard.press(key)
        drag(page, (20.5, y), (120.5, y))
    page.keyboard.press("4")
    drag(page, (60.5, 10.5), (60.5, 110.5))
    want = np.full((120, 160), UNTOUCHED, np.uint8)
    for label, y in ((KEEP, 20), (ERASE, 45), (CLEAR, 70)):
        want[y - 4 : y + 5, 20:121] = label
    want[10:111, 56:65] = UNTOUCHED
    drawn = labels(page)
    assert (drawn[:, 30:110] == want[:, 30:110]).all()
    assert (drawn == want).mean() > 0.97  # but for the round ends
    said, maps = exported(page)
    assert (maps[KEYS[PATCHES]] == drawn).all()
    assert {**said, "exported_at": ""} == {
        "format": "glasseg corrections",
        "version": 1,
        "destination": "s3://b/white",
        "exported_at": "",
        "photos": [
            {
                "key": KEYS[PATCHES],
                "source_etag": "etag",
                "model_id": "m",
                "run_id": "r",
                "size": [1200, 1600],
                "map": "maps/0001.png",
            }
        ],
    }
    assert len(said["exported_at"]) == len("2026-11-30T06:00:00Z")


def test_every_stroke_is_undone_and_redone_for_itself(page: Any) -> None:
    set_brush(page, 5)
    states = [labels(page)]
    for y in (20, 50, 80):
        drag(page, (20, y), (140, y))
        states.append(labels(page))
    for expected in states[-2::-1]:
        page.keyboard.press("Control+z")
        assert (labels(page) == expected).all()
    assert page.is_disabled("#undo") and page.is_disabled("#export")
    for expected in states[1:]:
        page.click("#redo")
        assert (labels(page) == expected).all()
    page.click("#undo")
    drag(page, (20, 100), (140, 100))
    assert page.is_disabled("#redo")
    page.keyboard.press("r")
    assert (labels(page) == UNTOUCHED).all()
    page.keyboard.press("z")
    assert (labels(page) != UNTOUCHED).any()


def test_what_is_being_drawn_can_be_given_up(page: Any) -> None:
    for tool in ("b", "i"):
        page.keyboard.press(tool)
        page.mouse.move(*place(page, 20, 20))
        page.mouse.down()
        page.mouse.move(*place(page, 90, 50), steps=3)
        page.keyboard.press("Escape")
        page.mouse.move(*place(page, 90, 90), steps=3)
        page.mouse.up()
        assert (labels(page) == UNTOUCHED).all() and page.is_disabled("#undo")


def test_the_soft_rest_of_the_brush_keeps_to_the_colour_under_its_middle(page: Any) -> None:
    set_brush(page, 16, hardness=0.25)
    page.keyboard.press("2")
    drag(page, (35, 45), (35, 75))  # just outside the dark square, which begins at 40
    erased = labels(page) == ERASE
    assert erased[60, 22:38].all() and not erased[:, 43:].any()
    set_brush(page, 16, hardness=1)
    drag(page, (35, 45), (35, 75))
    assert (labels(page) == ERASE)[60, 22:50].all()


def test_a_line_goes_straight_from_end_to_end(page: Any) -> None:
    set_brush(page, 3)
    page.keyboard.press("i")
    drag(page, (20, 20), (100, 110), (140, 60))
    drawn = labels(page) == KEEP
    want = np.zeros((120, 160), np.uint8)
    cv2.line(want, (20, 20), (140, 60), 1, 6)
    assert iou(drawn, want > 0) > 0.75
    page.keyboard.press("b")
    click(page, 20, 100)
    page.keyboard.down("Shift")
    click(page, 140, 100)
    page.keyboard.up("Shift")
    assert (labels(page) == KEEP)[99:101, 20:140].all()


def test_a_polygon_is_filled_and_can_be_given_up(page: Any) -> None:
    page.keyboard.press("p")
    page.keyboard.press("2")
    corners = [(20, 20), (120, 30), (140, 100), (60, 60)]
    for corner in corners:
        click(page, *corner)
    page.keyboard.press("Escape")
    assert (labels(page) == UNTOUCHED).all()
    for corner in [*corners, (150, 110)]:
        click(page, *corner)
    page.keyboard.press("Backspace")
    click(page, *corners[0])
    want = np.zeros((120, 160), np.uint8)
    cv2.fillPoly(want, [np.array(corners)], 1)
    assert iou(labels(page) == ERASE, want > 0) > 0.95
    page.keyboard.press("z")
    for corner in corners:
        click(page, *corner)
    page.keyboard.press("Enter")
    assert iou(labels(page) == ERASE, want > 0) > 0.95


def test_a_fill_takes_what_is_connected_and_alike(page: Any) -> None:
    page.keyboard.press("f")
    page.keyboard.press("3")
    click(page, 70, 60)
    assert iou(labels(page) == CLEAR, patches() < 128) > 0.95
    page.evaluate("chosen.tolerance = 120")
    page.keyboard.press("z")
    page.keyboard.press("2")
    click(page, 5, 5)
    assert iou(labels(page) == ERASE, patches() > 128) > 0.95


@pytest.mark.parametrize("where", LENSES)
@pytest.mark.parametrize(("photo", "label"), [(OPEN, KEEP), (TINTED, CLEAR)])
def test_a_click_on_a_lens_turns_both_into_the_other_kind(
    page: Any, where: tuple[int, int], photo: int, label: int
) -> None:
    show(page, photo)
    page.keyboard.press("l")
    click(page, where[0] + 9, where[1] - 8)
    touched = labels(page)
    inside = touched == label
    assert iou(inside, discs()) > 0.8
    assert set(np.unique(touched)) == {UNTOUCHED, label}
    page.keyboard.press("z")  # both at once
    assert (labels(page) == UNTOUCHED).all()


def test_a_click_on_a_lens_without_its_twin(page: Any) -> None:
    show(page, TINTED)
    page.keyboard.press("L")  # as the page shows it
    page.keyboard.press("t")
    click(page, *LENSES[0])
    clear = labels(page) == CLEAR
    assert not clear[:, 130:].any()
    assert iou(clear[:, :130], discs()[:, :130]) > 0.8
    click(page, *LENSES[0])  # and back
    assert iou((labels(page) == KEEP)[:, :130], discs()[:, :130]) > 0.7


@pytest.mark.parametrize("where", [(95, 70), (65, 60), (66, 80)])
def test_a_lens_that_is_half_found_is_one_lens(page: Any, where: tuple[int, int]) -> None:
    """Much of it is in doubt, as far as its rim, and a part of that is not: a click on any of the three."""
    show(page, OPEN)
    half = """() => {
        const { alpha } = desk.sheet;
        for (let y = 46; y < 105; y++) {
            for (let i = y * 260 + 42; i < y * 260 + 74; i++) if (!alpha[i]) alpha[i] = 150;
            if (y > 65 && y < 95) alpha.fill(255, y * 260 + 60, y * 260 + 72);
        }
    }"""
    page.evaluate(half)
    page.keyboard.press("l")
    click(page, *where)
    assert iou(labels(page) == KEEP, discs()) > 0.8
    click(page, *where)
    assert iou(labels(page) == CLEAR, discs()) > 0.8  # without a patch


def test_clicks_on_a_lens_go_through_both_kinds_and_back(page: Any) -> None:
    show(page, TINTED)
    set_brush(page, 5)
    drag(page, (70, 75), (90, 75))
    before = labels(page)
    page.keyboard.press("l")
    for label, word in ((CLEAR, "Click again if it is tinted"), (KEEP, "Click again if it is clear")):
        click(page, *LENSES[0])
        assert iou(labels(page) == label, discs()) > 0.8 and word in page.inner_text("#say")
    click(page, *LENSES[1])  # the twin counts as well
    assert (labels(page) == before).all() and page.inner_text("#say") == "Both lenses are as before."
    page.keyboard.press("z")
    assert iou(labels(page) == KEEP, discs()) > 0.8


def test_where_no_lens_is_the_editor_says_so(page: Any) -> None:
    show(page, OPEN)
    page.keyboard.press("l")
    click(page, 130, 140)
    assert "No lens is there" in page.inner_text("#say")
    assert (labels(page) == UNTOUCHED).all()


def test_a_rim_with_a_gap_still_encloses_its_lens(page: Any) -> None:
    show(page, OPEN)
    gap = "for (let y = 100; y < 120; y++) desk.sheet.alpha.fill(0, y * 260 + 80, y * 260 + 83)"
    page.evaluate(gap)
    page.keyboard.press("l")
    click(page, *LENSES[0])
    assert iou(labels(page) == KEEP, discs()) > 0.8


# --- what is seen ---


def layer(page: Any, name: str, x: int, y: int) -> list[int]:
    script = """([name, x, y]) => {
        const context = new OffscreenCanvas(1, 1).getContext("2d");
        context.drawImage(layers[name], -x, -y);
        return [...context.getImageData(0, 0, 1, 1).data];
    }"""
    found: list[int] = page.evaluate(script, [name, x, y])
    return found


def test_the_result_on_white_follows_the_brush(page: Any) -> None:
    assert layer(page, "result", 10, 10)[:3] == [255, 255, 255]
    assert max(layer(page, "result", 70, 60)[:3]) < 70
    set_brush(page, 8)
    drag(page, (10, 10), (12, 10))
    page.keyboard.press("2")
    drag(page, (70, 60), (72, 60))
    assert max(layer(page, "result", 10, 10)[:3]) < 210
    assert layer(page, "result", 70, 60)[:3] == [255, 255, 255]
    assert layer(page, "tint", 130, 110)[3] == 0 and layer(page, "tint", 10, 10)[3] > 0


def test_the_mask_of_the_page_arrives_exactly(page: Any, site: Path) -> None:
    show(page, DRAWN)
    text = page.evaluate("btoa([...desk.sheet.alpha].map((one) => String.fromCharCode(one)).join(''))")
    data = json.loads(
        site.parent.joinpath("0005.html").read_text().partition('id="data">')[2].partition("</script>")[0]
    )
    want = cv2.imdecode(
        np.frombuffer(base64.b64decode(data["alpha"].partition(",")[2]), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert base64.b64decode(text) == want.tobytes()


def test_views_zoom_and_pan_leave_points_where_they_are(page: Any) -> None:
    page.keyboard.press("v")
    page.keyboard.press("v")
    assert page.get_attribute("[data-view=both]", "aria-pressed") == "true"
    set_brush(page, 4)
    x, y = place(page, 70, 60)
    page.mouse.click(x + page.evaluate("stage.clientWidth / 2"), y)  # in the right half
    assert (labels(page) == KEEP)[60, 70]
    before = page.evaluate("view.scale")
    pointer = place(page, 20, 20)
    page.mouse.move(*pointer)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(50)
    assert page.evaluate("view.scale") > 1.5 * before
    assert place(page, 20, 20) == pytest.approx(pointer, abs=0.5)
    page.keyboard.down(" ")
    drag(page, (30, 30), (40, 45))
    page.keyboard.up(" ")
    click(page, 30, 30)
    assert (labels(page) == KEEP)[30, 30]
    assert (labels(page) == KEEP).sum() < 200  # moving painted nothing
    page.keyboard.press("0")
    assert page.evaluate("view.scale") == before
