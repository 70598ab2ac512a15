"""The review page as it is written, and as a person uses it: in a real browser, from the disk."""

from __future__ import annotations

import csv
import html
import io
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from s3server import S3Server

from glasseg.catalog import manifest, runs
from glasseg.drawing.photo import draw_photo
from glasseg.errors import GlassegError
from glasseg.images import encoder
from glasseg.lists import reader
from glasseg.storage.folder import Folder
from glasseg.storage.roots import open_root
from jobs.destination.report import report, write

RUN = "20261124T015142.892Z"
BREAKOUT = '"><img src=x onerror=alert(1)>.jpg'
SCRIPT = "</script><script>alert(1)</script>.jpg"
FORMULA = "=HYPERLINK(1,2) 'a' 100% #1 ?.jpg"
REVERSED = "\u202egpj.exe.jpg"
GOOD = ("plain.jpg", FORMULA, "a/b c.jpg", *(f"more-{i}.jpg" for i in range(6)))


def row(key: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    made = {"output_key": key, "output_uri": f"/white/{key}", "mask_coverage": 0.1, "confidence": 0.9}
    return {
        "key": key,
        "source_uri": f"/photos/{key}",
        "status": status,
        "reason": "new",
        "published": status in {"ok", "review"},
        "run_id": RUN,
        "run_seq": 1,
        "model_id": "m",
        "options_id": "o",
        "finished_at": datetime(2026, 11, 24, tzinfo=UTC),
        **(made if status in {"ok", "review"} else {}),
        **more,
    }


def record(source: Folder | None, **more: Any) -> dict[str, Any]:
    uri = {"source": source.uri} if source else {}
    return {"processed": 14, "ok": 9, "review": 3, "failed": 2, "run_seq": 1, "seconds": 4.0, **uri, **more}


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo, its picture on white (both 90×120×3 uint8) and its mask (90×120 uint8)."""
    photo = draw_photo(np.random.default_rng(seed), (90, 120))
    white = 255 - photo.coverage[..., None] * (255.0 - photo.image)
    return photo.image, white.astype(np.uint8), np.round(photo.coverage * 255).astype(np.uint8)


def catalog(folder: Path) -> tuple[Folder, Folder]:
    """A source and a destination with one run: nine good photos, two to review, one held back, two failed."""
    source, destination = Folder(folder / "photos"), Folder(folder / "white")
    image, white, mask = draw(1)
    photo, picture = encoder.encode(image, "jpeg", 90), encoder.encode(white, "png", 90)
    for key in (*GOOD, BREAKOUT, REVERSED, "held.jpg"):
        source.write(key, photo)
        destination.write(f"_glasseg/held/{RUN}/{key}" if key == "held.jpg" else key, picture)
    destination.write(f"_glasseg/masks/{GOOD[0]}.png", encoder.encode(mask, "png", 90))
    source.write("broken.jpg", b"\xff\xd8\xff")
    review = {"error_code": "uncertain_mask", "error": "the mask is mostly undecided"}
    rows = [
        row(GOOD[0], mask_uri="/white/mask.png", list_columns=[("sku", "OX-77")], warnings=["3 pages"]),
        *(row(key, reason="changed" if key == FORMULA else "new") for key in GOOD[1:]),
        row(BREAKOUT, "review", **review),
        row(REVERSED, "review", **{**review, "error_code": "cut_off"}),
        row("held.jpg", "review", **{**review, "published": False}),
        row("broken.jpg", "failed", error_code="unreadable", error="damaged\npicture"),
        row(SCRIPT, "failed", error_code="empty", error="0 bytes"),
        row("left.jpg", "gone"),
    ]
    manifest.write_part(destination, RUN, 0, rows)
    runs.write(destination, RUN, record(source))
    return source, destination


def thumb(destination: Folder, name: str) -> np.ndarray:
    found = cv2.imread(str(destination.path / f"_glasseg/report/{RUN}/thumbs/{name}"), cv2.IMREAD_UNCHANGED)
    assert found is not None, name
    return found


def write_one(folder: Path, made: dict[str, Any], **more: Any) -> str:
    """The page of a run of one photo, whose files the caller wrote below `folder`."""
    source, destination = Folder(folder / "photos"), Folder(folder / "white")
    write(destination, source, RUN, manifest.table([made]), record(source, **more))
    return (destination.path / f"_glasseg/report/{RUN}/index.html").read_text()


# --- what is written ---


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Folder, Path]:
    """Source, destination and the page of their run."""
    source, destination = catalog(tmp_path_factory.mktemp("report"))
    return source, destination, Path(report(destination.uri, None, None))


def test_the_page_and_its_thumbnails_have_names_of_their_own(made: tuple[Folder, Folder, Path]) -> None:
    _, destination, page = made
    assert page == destination.path / f"_glasseg/report/{RUN}/index.html"
    names = {path.name for path in page.parent.rglob("*") if path.is_file()} - {"index.html"}
    assert len(names) == 12 * 3
    assert all(name[:4].isdigit() and name[4:] in {"-before.jpg", "-after.jpg", "-mask.png"} for name in names)


def test_a_report_on_s3_is_a_web_page(s3: S3Server, tmp_path: Path) -> None:
    _, destination = catalog(tmp_path)
    there = open_root(f"s3://{s3.bucket}/reported")
    for entry in destination.list():
        there.write(entry.key, destination.read(entry.key)[0])
    assert report(there.uri, RUN, None) == there.uri_of(f"_glasseg/report/{RUN}/index.html")
    assert b"<!doctype html>" in there.read(f"_glasseg/report/{RUN}/index.html")[0]
    assert len(list(there.list(f"_glasseg/report/{RUN}/thumbs/"))) == 12 * 3


def test_a_second_report_leaves_no_old_thumbnails(tmp_path: Path) -> None:
    source, destination = catalog(tmp_path)
    report(destination.uri, RUN, None)
    shutil.rmtree(source.path)
    text = Path(report(destination.uri, RUN, None)).read_text()
    assert not [entry for entry in destination.list(f"_glasseg/report/{RUN}/thumbs/") if "before" in entry.key]
    assert "The source can't be read any more." in html.unescape(text)


def test_the_newest_run_that_did_something_is_reported(tmp_path: Path) -> None:
    _, destination = catalog(tmp_path)
    runs.write(destination, "20261125T000000.000Z", record(None, processed=0))
    assert RUN in report(destination.uri, None, None)


@pytest.mark.parametrize(
    ("records", "asked", "words"),
    [
        ({}, None, "no run of glasseg"),
        ({"A": 3, "B": 0}, "C", "no run C .* the last ones are B, A"),
        ({"A": 0}, None, "nothing to do"),
    ],
)
def test_a_missing_run_is_reported_in_one_line(
    tmp_path: Path, records: dict[str, int], asked: str | None, words: str
) -> None:
    for name, processed in records.items():
        runs.write(Folder(tmp_path), name, record(None, processed=processed))
    with pytest.raises(GlassegError, match=words) as error:
        report(str(tmp_path), asked, None)
    assert "\n" not in str(error.value)


def test_a_picture_that_was_held_back_is_shown_from_its_own_folder(tmp_path: Path) -> None:
    image, white, mask = draw(2)
    held = f"_glasseg/held/{RUN}/"
    destination = Folder(tmp_path / "white")
    Folder(tmp_path / "photos").write("p.jpg", encoder.encode(image, "jpeg", 90))
    destination.write("p.jpg", encoder.encode(np.zeros_like(white), "png", 90))  # the older one, which stays
    destination.write(held + "p.jpg", encoder.encode(white, "png", 90))
    destination.write(f"{held}_glasseg/masks/p.jpg.png", encoder.encode(mask, "png", 90))
    write_one(tmp_path, row("p.jpg", "review", published=False, mask_uri="/there"))
    assert np.median(thumb(destination, "0001-after.jpg")) > 250
    tint = thumb(destination, "0001-mask.png")[..., 3]
    assert np.abs(tint - mask * 0.6).max() <= 1


def test_without_a_mask_file_the_picture_shows_where_the_glasses_are(tmp_path: Path) -> None:
    image, white, mask = draw(3)
    Folder(tmp_path / "photos").write("p.jpg", encoder.encode(image, "jpeg", 90))
    Folder(tmp_path / "white").write("p.jpg", encoder.encode(white, "png", 90))
    write_one(tmp_path, row("p.jpg", mask_uri="/deleted since"))
    tinted = thumb(Folder(tmp_path / "white"), "0001-mask.png")[..., 3] > 0
    assert tinted[mask > 200].mean() > 0.8
    assert tinted[mask == 0].mean() < 0.02


def test_a_large_photo_is_shown_small_and_a_transparent_picture_stays_transparent(tmp_path: Path) -> None:
    clear = np.zeros((900, 1800, 4), np.uint8)
    clear[300:600, 600:1200] = (200, 30, 30, 255)
    Folder(tmp_path / "photos").write("p.jpg", encoder.encode(clear[..., :3], "jpeg", 90))
    Folder(tmp_path / "white").write("p.png", encoder.encode(clear, "png", 90))
    text = write_one(tmp_path, row("p.jpg", output_key="p.png"))
    destination = Folder(tmp_path / "white")
    assert thumb(destination, "0001-before.jpg").shape == (360, 720, 3)
    after = thumb(destination, "0001-after.webp")
    assert after.shape == (360, 720, 4)
    assert set(np.unique(after[..., 3])) == {0, 255}
    assert 'class="stage compare see-through"' in text


@pytest.mark.parametrize(
    ("shape", "options", "together"),
    [((90, 120), {}, True), ((45, 60), {"size": 60}, True), ((90, 90), {}, False), ((90, 120), {"fill": 0.8}, False)],
)
def test_only_pictures_that_show_the_same_frame_slide_over_each_other(
    tmp_path: Path, shape: tuple[int, int], options: dict[str, Any], together: bool
) -> None:
    Folder(tmp_path / "photos").write("p.jpg", encoder.encode(np.zeros((90, 120, 3), np.uint8), "jpeg", 90))
    Folder(tmp_path / "white").write("p.jpg", encoder.encode(np.zeros((*shape, 3), np.uint8), "jpeg", 90))
    text = write_one(tmp_path, row("p.jpg"), options=options)
    assert ('class="slider"' in text) == together


def test_a_card_says_why_its_pictures_can_not_be_shown(tmp_path: Path) -> None:
    Folder(tmp_path / "photos").write("p.jpg", b"no picture")
    Folder(tmp_path / "white").write("q.jpg", b"")
    text = write_one(tmp_path, row("p.jpg"))
    assert "The photo can't be shown: not a picture, but a text that begins with 'no picture'" in html.unescape(text)
    assert "The picture can't be shown: " in html.unescape(text)


def test_a_photo_that_changed_since_the_run_says_so(tmp_path: Path) -> None:
    image, white, _ = draw(4)
    Folder(tmp_path / "photos").write("p.jpg", encoder.encode(image, "jpeg", 90))
    Folder(tmp_path / "white").write("p.jpg", encoder.encode(white, "jpeg", 90))
    assert "has changed since this run" in write_one(tmp_path, row("p.jpg", source_etag="another"))
    etag = Folder(tmp_path / "photos").read("p.jpg")[1]
    assert "has changed since this run" not in write_one(tmp_path, row("p.jpg", source_etag=etag))


# --- how it is used ---


@pytest.fixture
def page(browser: Any, made: tuple[Folder, Folder, Path]) -> Iterator[Any]:
    """The page in a fresh profile; nothing may have gone wrong in it when the test is over."""
    yield from visit(browser, made[2])


def visit(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    trouble: list[str] = []
    requests: list[str] = []
    with browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options}) as context:
        shown = context.new_page()
        shown.set_default_timeout(10_000)
        shown.on("console", lambda message: trouble.append(message.text))
        shown.on("pageerror", lambda error: trouble.append(str(error)))
        shown.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        shown.on("request", lambda request: requests.append(request.url))
        shown.goto(path.as_uri())
        yield shown
        outside = [url for url in requests if not url.startswith((path.parent.as_uri() + "/", "data:", "blob:"))]
        assert (trouble, outside) == ([], [])


def names(page: Any) -> list[str]:
    """The photos that are to be seen, in the order of the page."""
    found: list[str] = page.evaluate("visible().map((card) => card.dataset.photo)")
    return found


def focused(page: Any) -> str | None:
    name: str | None = page.evaluate("document.activeElement.dataset.photo ?? null")
    return name


def card(page: Any, name: str) -> Any:
    return page.locator(f"[data-photo={json.dumps(name, ensure_ascii=False)}]")


def at(page: Any, name: str) -> str:
    """How much of a photo is shown as it was."""
    share: str = card(page, name).locator(".stage").evaluate("(stage) => stage.style.getPropertyValue('--at')")
    return share


def exported(page: Any) -> str:
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == f"marked-{RUN}.csv"
    return Path(download.value.path()).read_bytes().decode("utf-8")


def test_a_hostile_file_name_runs_nothing(page: Any) -> None:
    assert {BREAKOUT, SCRIPT, REVERSED, FORMULA} <= set(names(page))
    assert card(page, BREAKOUT).locator("h3").inner_text() == BREAKOUT
    assert page.locator("script").count() == 1
    assert page.evaluate("[...document.images].every((image) => image.getAttribute('src').startsWith('thumbs/'))")


def test_the_worst_photos_come_first_and_every_picture_loads(page: Any) -> None:
    assert set(names(page)[:2]) == {"broken.jpg", SCRIPT}
    assert names(page)[2] == "held.jpg"
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")  # rejected if one can't be shown
    assert page.evaluate("document.images.length") == 12 * 3


def test_nothing_moves_while_the_page_loads(page: Any) -> None:
    page.wait_for_load_state("load")
    shifted = """() => new Promise((done) => {
        let sum = 0;
        new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; })
            .observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done(sum), 300);
    })"""
    assert page.evaluate(shifted) < 0.01


def test_photos_are_filtered_by_status_reason_and_code(page: Any) -> None:
    page.click("[data-status=review].chip")
    assert set(names(page)) == {BREAKOUT, REVERSED}
    page.select_option("[data-filter=code]", "cut_off")
    assert names(page) == [REVERSED]
    assert page.inner_text("#shown") == "1"
    page.click("[data-status=held].chip")
    assert names(page) == []
    assert page.is_visible("#nothing")
    page.click("#all")
    assert len(names(page)) == 14
    page.select_option("[data-filter=reason]", "changed")
    assert names(page) == [FORMULA]
    assert page.locator(".group:visible").count() == 1


def test_photos_are_found_by_name_and_by_what_the_list_says(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("HYPERlink")
    assert names(page) == [FORMULA]
    page.fill("input[type=search]", "ox-77")
    assert names(page) == [GOOD[0]]


def test_the_slider_shows_before_and_after_by_key_and_by_pointer(page: Any) -> None:
    slider = card(page, GOOD[0]).locator(".slider")
    assert at(page, GOOD[0]) == "50%"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert at(page, GOOD[0]) == "51%"
    page.keyboard.press("End")
    assert at(page, GOOD[0]) == "100%"
    stage = card(page, GOOD[0]).locator(".stage").bounding_box()
    middle = stage["y"] + stage["height"] / 2
    page.mouse.move(stage["x"] + stage["width"] - 2, middle)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 4, middle, steps=5)
    page.mouse.up()
    assert abs(float(at(page, GOOD[0])[:-1]) - 25) <= 2
    edge = card(page, GOOD[0]).locator(".over").evaluate("(over) => getComputedStyle(over).clipPath")
    assert "inset" in edge
    page.keyboard.press("b")
    assert at(page, GOOD[0]) == "100%"


def test_a_card_can_be_made_larger(page: Any) -> None:
    card(page, GOOD[0]).focus()
    small = card(page, GOOD[0]).bounding_box()["width"]
    page.keyboard.press("z")
    assert card(page, GOOD[0]).bounding_box()["width"] > 2 * small
    page.keyboard.press("z")
    assert card(page, GOOD[0]).bounding_box()["width"] == small


def test_keys_do_nothing_to_a_card_that_is_filtered_away(page: Any) -> None:
    card(page, GOOD[0]).focus()
    page.click("[data-status=failed].chip")
    page.keyboard.press("x")
    assert page.inner_text("#marked") == "0"


def test_the_mask_is_shown_by_key_and_by_button(page: Any) -> None:
    tint = card(page, GOOD[0]).locator(".tint")
    assert not tint.is_visible()
    page.keyboard.press("m")
    assert tint.is_visible()
    assert page.get_attribute("#mask", "aria-pressed") == "true"
    page.click("#mask")
    assert not tint.is_visible()


def test_keys_go_from_card_to_card(page: Any) -> None:
    order = names(page)
    page.keyboard.press("ArrowRight")
    assert focused(page) == order[0]
    for key in ("ArrowRight", "j", "ArrowLeft", "k", "ArrowLeft"):
        page.keyboard.press(key)
    assert focused(page) == order[0]
    page.keyboard.press("ArrowDown")
    assert focused(page) == "held.jpg"
    page.keyboard.press("ArrowUp")
    assert focused(page) == order[0]
    for _ in order:
        page.keyboard.press("ArrowRight")
    assert focused(page) == order[-1]
    box = page.evaluate("(() => { const { top, bottom } = current.getBoundingClientRect(); return [top, bottom]; })()")
    tray = page.locator(".tray").bounding_box()["y"]
    assert box[0] > 0 and box[1] <= tray


def test_keys_leave_fields_and_buttons_alone(page: Any) -> None:
    card(page, GOOD[0]).locator(".mark").focus()
    page.keyboard.press(" ")  # presses the button, once
    assert page.inner_text("#marked") == "1"
    page.focus("input[type=search]")
    page.keyboard.type("mx j")
    assert page.input_value("input[type=search]") == "mx j"
    assert page.inner_text("#marked") == "1"
    assert not page.evaluate("document.body.classList.contains('masks')")


def test_marked_photos_are_counted_exported_and_read_back(page: Any) -> None:
    assert page.is_disabled("#export")
    for name in (BREAKOUT, SCRIPT, REVERSED, FORMULA, "a/b c.jpg", "broken.jpg", "held.jpg"):
        card(page, name).locator(".mark").click()
    card(page, "held.jpg").focus()
    page.keyboard.press("x")  # unmarks
    page.keyboard.press(" ")
    page.keyboard.press("x")
    assert page.inner_text("#marked") == "6"
    text = exported(page)
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
    assert list(rows[0]) == ["photo", "status", "error_code", "note", "run_id"]
    assert {row["photo"] for row in rows} == {BREAKOUT, SCRIPT, REVERSED, "'" + FORMULA, "a/b c.jpg", "broken.jpg"}
    broken = next(row for row in rows if row["photo"] == "broken.jpg")
    facts = {"status": "failed", "error_code": "unreadable", "note": "damaged\npicture", "run_id": RUN}
    assert broken == {"photo": "broken.jpg", **facts}
    listed = reader.read("marked.csv", text.encode())
    assert [row["photo"].removeprefix("'") for row in listed] == [row["photo"].removeprefix("'") for row in rows]


def test_marks_survive_a_reload(page: Any) -> None:
    card(page, FORMULA).locator(".mark").click()
    page.reload()
    assert page.inner_text("#marked") == "1"
    assert card(page, FORMULA).locator(".mark").get_attribute("aria-pressed") == "true"
    page.click("#clear")
    page.reload()
    assert page.inner_text("#marked") == "0"


def test_a_browser_that_keeps_nothing_still_marks(browser: Any, made: tuple[Folder, Folder, Path]) -> None:
    broken = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })"
    with browser.new_context() as context:
        context.add_init_script(broken)
        shown = context.new_page()
        errors: list[str] = []
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto(made[2].as_uri())
        card(shown, GOOD[0]).locator(".mark").click()
        assert (shown.inner_text("#marked"), errors) == ("1", [])


def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, made: tuple[Folder, Folder, Path]) -> None:
    for shown in visit(browser, made[2], viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True):
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        small = """() => [...document.querySelectorAll("button, select, input, summary")]
            .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 44)
            .map((one) => one.outerHTML)"""
        assert shown.evaluate(small) == []
        shown.locator("#mask").tap()
        card(shown, GOOD[0]).locator(".mark").tap()
        assert shown.inner_text("#marked") == "1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_white_pictures_are_seen_in_both_schemes(
    browser: Any, made: tuple[Folder, Folder, Path], scheme: str
) -> None:
    luma = """(element, what) => {
        const [red, green, blue] = getComputedStyle(element)[what].match(/[\\d.]+/g).map(Number);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    }"""
    for shown in visit(browser, made[2], color_scheme=scheme):
        body = shown.locator("body")
        ground, text = (body.evaluate(luma, what) for what in ("backgroundColor", "color"))
        assert (ground > 200 and text < 60) if scheme == "light" else (ground < 60 and text > 200)
        stage = card(shown, GOOD[0]).locator(".stage").evaluate(luma, "backgroundColor")
        assert stage < 245  # a white picture has an edge
