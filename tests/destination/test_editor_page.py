"""The editor as a person uses it from photo to photo: nothing that was done gets lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from editordesk import (
    BREAKOUT,
    DRAWN,
    EARLIER,
    KEEP,
    KEYS,
    LONG,
    OPEN,
    PATCHES,
    TINTED,
    UNTOUCHED,
    click,
    drag,
    earlier,
    exported,
    labels,
    ready,
    set_brush,
    show,
    until,
    visit,
    write,
)

# --- photo by photo ---


def test_photos_are_chosen_approved_and_exported_with_their_names(page: Any) -> None:
    for index in (PATCHES, OPEN, TINTED, EARLIER, DRAWN):  # each brings the next one
        until(page, f"desk?.index === {index}")
        assert page.text_content("#name") == KEYS[index]
        page.keyboard.press("a")
    assert "All photos are corrected or approved" in page.inner_text("#say")
    set_brush(page, 9)
    drag(page, (50, 50), (90, 50))  # touching lifts the approval
    assert page.get_attribute("#approve", "aria-pressed") == "false" and page.is_disabled("#approve")
    show(page, TINTED)
    page.click("#approve")  # no longer
    assert page.evaluate("desk.index") == TINTED and page.inner_text("#say") == "No longer approved."
    assert (page.inner_text("#corrected"), page.inner_text("#approved")) == ("1", "3")
    said, maps = exported(page)
    assert {one["key"] for one in said["photos"] if one.get("approved") is True} == {KEYS[0], KEYS[OPEN], BREAKOUT}
    assert list(maps) == [LONG]
    assert [set(one) & {"map", "approved"} for one in said["photos"]] == [{"approved"}] * 3 + [{"map"}]
    assert page.inner_text(f"[data-index='{OPEN}'] .done") == "approved, exported"
    show(page, PATCHES)
    page.keyboard.press("n")
    until(page, f"desk?.index === {TINTED}")


def test_after_an_approval_the_next_photo_that_is_not_done_says_so(page: Any) -> None:
    show(page, OPEN)
    page.keyboard.press("a")
    until(page, f"desk?.index === {TINTED}")
    assert page.inner_text("#say") == f"Photo {OPEN + 1} is approved: fine as it is."
    show(page, PATCHES)
    page.keyboard.press("a")
    until(page, f"desk?.index === {TINTED}")


def test_strokes_are_undone_after_a_look_at_other_photos(page: Any) -> None:
    set_brush(page, 5)
    drag(page, (20, 20), (140, 20))
    one = labels(page)
    drag(page, (20, 90), (140, 90))
    for index in (DRAWN, PATCHES):  # too far to be kept in memory
        show(page, index)
    page.keyboard.press("z")
    assert (labels(page) == one).all()
    page.keyboard.press("z")
    assert (labels(page) == UNTOUCHED).all() and page.inner_text("#corrected") == "0"


def test_the_quality_of_a_photo_is_told_once(page: Any) -> None:
    assert page.inner_text("#why") == "it looks odd · quality 0.00"
    page.evaluate("photos[0].why = 'the mask is probably wrong: its quality is 0.00'; showAbout()")
    assert page.inner_text("#why") == "the mask is probably wrong: its quality is 0.00"


def test_an_earlier_correction_is_where_one_starts(page: Any) -> None:
    show(page, EARLIER)
    assert (labels(page) == earlier()).all()
    assert page.is_disabled("#export")  # as it was, it isn't handed in again
    assert "corrected before" in page.inner_text("#why")
    set_brush(page, 5)
    drag(page, (100, 100), (140, 100))
    _, maps = exported(page)
    assert (maps[BREAKOUT][:90] == earlier()[:90]).all() and (maps[BREAKOUT][100, 100:140] == KEEP).all()
    page.keyboard.press("r")
    assert (labels(page) == earlier()).all() and page.is_disabled("#export")


def test_a_message_from_elsewhere_is_no_photo(page: Any) -> None:
    script = """async () => {
        const loading = loadSheet(1, photos[0]);
        window.postMessage({ picture: "x" }, "*");
        return (await loading).width;
    }"""
    assert page.evaluate(script) == 160


def test_a_photo_that_is_not_there_says_so_and_the_others_work(browser: Any, tmp_path: Path) -> None:
    shell = write(tmp_path)
    tmp_path.joinpath("0002.html").write_text("<!doctype html><title>gone</title>")
    with visit(browser, shell.as_uri()) as page:
        page.click("[data-index='1']")
        until(page, "one('#say').textContent.includes('0002.html could not be loaded')")
        assert page.is_disabled("#approve")
        write(tmp_path)
        show(page, 1)  # once it is there, another click loads it
        show(page, 2)
        click(page, 20, 20)


def test_the_page_of_another_photo_is_refused(browser: Any, tmp_path: Path) -> None:
    shell = write(tmp_path)
    with visit(browser, shell.as_uri()) as page:
        for number, other in (("0003", "0004"), ("0005", "0001")):  # the editor is made anew while this tab is open
            tmp_path.joinpath(f"{number}.html").write_text(tmp_path.joinpath(f"{other}.html").read_text())
        show(page, OPEN)
        page.evaluate("sheets.clear()")
        for index in (TINTED, DRAWN):
            page.click(f"[data-index='{index}']")
            until(page, "one('#say').textContent.includes('made anew: reload')")
            assert page.evaluate("desk === null && layers === null") and page.is_disabled("#approve")
    write(tmp_path, etag="another")
    with visit(browser, shell.as_uri()) as page:
        page.evaluate("photos[2].source_etag = 'etag'; sheets.clear()")
        page.click(f"[data-index='{TINTED}']")
        until(page, "one('#say').textContent.includes('made anew: reload')")


# --- nothing is lost ---


def test_work_survives_a_reload(page: Any) -> None:
    set_brush(page, 6)
    drag(page, (20, 20), (120, 90))
    drawn = labels(page)
    show(page, OPEN)
    page.keyboard.press("a")
    show(page, OPEN)
    until(page, "unstored === 0")
    page.reload()
    ready(page)
    assert page.evaluate("desk.index") == OPEN  # the page remembers where one was
    assert page.get_attribute("#approve", "aria-pressed") == "true"
    assert "Kept in this browser, not exported yet" in page.inner_text("#kept")
    show(page, PATCHES)
    assert (labels(page) == drawn).all()
    exported(page)
    until(page, "unstored === 0")
    page.reload()
    ready(page)
    assert page.inner_text("[data-index='0'] .done") == "corrected, exported"
    _, maps = exported(page)
    assert (maps[KEYS[PATCHES]] == drawn).all()


@pytest.mark.parametrize("change", [{"etag": "another"}, {"size": (1200, 1599)}])
def test_work_on_a_photo_that_has_changed_is_dropped(browser: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    shell = write(tmp_path)
    with visit(browser, shell.as_uri()) as page:
        click(page, 70, 60)
        until(page, "unstored === 0")
        write(tmp_path, **change)
        page.reload()
        ready(page)
        assert "1 photo changed since your last visit" in page.inner_text("#say")
        assert (labels(page) == UNTOUCHED).all()
        assert page.inner_text("#corrected") == "0"
        assert page.evaluate("storedWork(store, nameOf(photos[0]))") is None


def leaving_warns(page: Any) -> bool:
    warned: list[str] = []
    page.on("dialog", lambda dialog: (warned.append(dialog.type), dialog.accept()))
    page.reload()
    return warned == ["beforeunload"]


def test_leaving_warns_only_where_the_browser_keeps_nothing(browser: Any, site: Path) -> None:
    denied = "Object.defineProperty(window, 'indexedDB', { get() { throw new Error('denied'); } })"
    for script, warns in (("", False), (denied, True)):
        with visit(browser, site.as_uri(), script) as page:
            click(page, 70, 60)
            until(page, "unstored === 0")
            assert ("export before you leave" in page.inner_text("#kept")) == warns
            assert leaving_warns(page) == warns
    with visit(browser, site.as_uri(), denied) as page:
        click(page, 70, 60)
        exported(page)
        assert not leaving_warns(page)


# --- parts of the script ---


def test_runs_and_pngs_come_back_as_they_were(page: Any) -> None:
    script = """async () => {
        const values = Uint8Array.from({ length: 211 * 97 }, (_, i) => [0, 64, 128, 255][(i * i >> 7) % 4]);
        const png = await encodePng(values, 211, 97);
        const back = await decodePng(png);
        const long = new Uint8Array(20_000_000).fill(64);
        const again = (some) => fromRuns(toRuns(some));
        return [sameValues(again(values), values), sameValues(back.values, values), sameValues(again(long), long)];
    }"""
    assert page.evaluate(script) == [True, True, True]


def test_pngs_with_every_filter_are_read(page: Any) -> None:
    grey = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (61, 83), np.uint8), (5, 5), 2)
    for kind in (1, 2, 3, 4, 5):
        data = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_FILTER, {1: 8, 2: 16, 3: 32, 4: 64, 5: 128}[kind]])[
            1
        ].tobytes()
        found = page.evaluate("async (bytes) => [...(await decodePng(Uint8Array.from(bytes))).values]", list(data))
        assert bytes(found) == grey.tobytes()
