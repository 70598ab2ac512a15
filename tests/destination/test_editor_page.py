"""The editor as a person uses it, in a real browser: what is painted is what the exported zip holds."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glasseg.drawing.photo import draw_photo
from glasseg.report import editor

RUN = "20261130T060000.000Z"
KEEP, CLEAR, UNTOUCHED, ERASE = 255, 128, 64, 0
BREAKOUT = "\"></script><img src=x onerror=alert(1)>\r\n\u202egpj.'👓.jpg"
LONG = "a/" + "ß" * 125 + ".jpg"
PATCHES, OPEN, TINTED, EARLIER, DRAWN = range(5)
KEYS = ("patches.jpg", "open.jpg", "tinted.jpg", BREAKOUT, LONG)
LENSES = ((80, 75), (180, 75))
"""The middles (x, y) of the lenses of the drawn pair of glasses."""
RADIUS = 32


def pair(lens: int, rim: int, ground: int = 255) -> np.ndarray:
    """A pair of glasses from the front, 150×260 uint8: round lenses of grey `lens` in rims of grey `rim`."""
    image = np.full((150, 260), ground, np.uint8)
    cv2.line(image, LENSES[0], LENSES[1], rim, 7)
    cv2.line(image, (10, 60), LENSES[0], rim, 7)
    cv2.line(image, (250, 60), LENSES[1], rim, 7)
    for middle in LENSES:
        cv2.circle(image, middle, RADIUS + 7, rim, -1)
        cv2.circle(image, middle, RADIUS, lens, -1)
    return image


def discs() -> np.ndarray:
    """Where the lenses of a `pair` are: bool 150×260."""
    return pair(255, 0, 0) > 0


def patches() -> np.ndarray:
    """A dark square on a pale ground: 120×160 uint8."""
    image = np.full((120, 160), 200, np.uint8)
    image[30:90, 40:100] = 60
    return image


def png(grey: np.ndarray) -> bytes:
    return cv2.imencode(".png", grey)[1].tobytes()


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()


def earlier() -> np.ndarray:
    labels = np.full((120, 160), UNTOUCHED, np.uint8)
    labels[10:20, 10:150] = ERASE
    labels[50:60, 20:50] = CLEAR
    return labels


def write(folder: Path, etag: str = "etag", size: tuple[int, int] = (1200, 1600)) -> Path:
    """An editor of five photos; the path of its shell."""
    drawn = draw_photo(np.random.default_rng(5), (300, 400))
    coverage = np.round(drawn.coverage * 255).astype(np.uint8)
    square = np.where(patches() < 128, 255, 0).astype(np.uint8)
    data = [
        (jpeg(patches()), png(square), None),
        (jpeg(pair(235, 40)), png(pair(0, 255, 0)), None),
        (jpeg(pair(90, 20)), png(pair(255, 255, 0)), None),
        (jpeg(patches()), png(square), png(earlier())),
        (jpeg(drawn.image[..., ::-1]), png(coverage), None),
    ]
    photos = []
    for index, (key, one) in enumerate(zip(KEYS, data, strict=True)):
        state, code = (("held", "cut_off"), ("review", "sideways"), ("ok", ""))[index % 3]
        quality = None if index == DRAWN else 0.25 * index
        photo = editor.EditedPhoto(
            key, etag, "m", "r", size, state, code, code and "it looks odd", quality, index == EARLIER
        )
        folder.joinpath(editor.page_name(index)).write_text(editor.photo_page(photo, *one))
        photos.append(photo)
    shell = folder / "index.html"
    shell.write_text(editor.shell(photos, title="A run", destination="s3://b/white", run=RUN), encoding="utf-8")
    return shell


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("edit"))


@contextmanager
def visit(browser: Any, url: str, script: str = "", **options: Any) -> Iterator[Any]:
    """The editor in a fresh profile; nothing may have gone wrong in it when the test is over."""
    trouble: list[str] = []
    requests: list[str] = []
    with browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options}) as context:
        if script:
            context.add_init_script(script)
        shown = context.new_page()
        shown.set_default_timeout(10_000)
        shown.on("console", lambda message: trouble.append(message.text))
        shown.on("pageerror", lambda error: trouble.append(str(error)))
        shown.on("request", lambda request: requests.append(request.url))
        shown.goto(url)
        ready(shown)
        yield shown
        inside = (url.rpartition("/")[0] + "/", "data:", "blob:")
        assert (trouble, [one for one in requests if not one.startswith(inside)]) == ([], [])


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    with visit(browser, site.as_uri()) as shown:
        yield shown


def until(page: Any, condition: str) -> None:
    """Wait for a condition; the policy forbids `wait_for_function`."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never so: {condition}")


def ready(page: Any) -> None:
    until(page, "desk !== null")


def show(page: Any, index: int) -> None:
    page.click(f"[data-index='{index}']")
    until(page, f"desk?.index === {index}")


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the photo is in the window."""
    where = """([x, y]) => {
        const { left, top } = stage.getBoundingClientRect();
        return [left + view.x + x * view.scale, top + view.y + y * view.scale];
    }"""
    left, top = page.evaluate(where, [x, y])
    return left, top


def click(page: Any, x: float, y: float) -> None:
    page.mouse.click(*place(page, x, y))


def drag(page: Any, *points: tuple[float, float]) -> None:
    page.mouse.move(*place(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(page, *point), steps=4)
    page.mouse.up()


def set_brush(page: Any, radius: float, hardness: float = 1, tolerance: float = 30) -> None:
    page.evaluate(
        "(brush) => { Object.assign(chosen, brush); }", {"radius": radius, "hardness": hardness, "tolerance": tolerance}
    )


def labels(page: Any) -> np.ndarray:
    """The labels of the photo that is edited."""
    text, height = page.evaluate(
        "[btoa([...desk.sheet.labels].map((one) => String.fromCharCode(one)).join('')), desk.sheet.height]"
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, -1)


def exported(page: Any, press: str = "#export") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the zip says, and its maps by the key of their photo."""
    with page.expect_download() as download:
        page.click(press)
    assert download.value.suggested_filename == f"corrections-{RUN}.zip"
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        said = json.loads(archive.read("corrections.json"))
        names = [one["map"] for one in said["photos"] if "map" in one]
        assert archive.namelist() == ["corrections.json", *names]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        maps = {one["key"]: archive.read(one["map"]) for one in said["photos"] if "map" in one}
    return said, {key: decoded(data) for key, data in maps.items()}


def decoded(data: bytes) -> np.ndarray:
    assert data[24:26] == b"\x08\x00"  # 8 bits, grey
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None and found.ndim == 2
    return found


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


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
    page.keyboard.press("l")
    page.keyboard.press("t")
    click(page, *LENSES[0])
    clear = labels(page) == CLEAR
    assert not clear[:, 130:].any()
    assert iou(clear[:, :130], discs()[:, :130]) > 0.8
    click(page, *LENSES[0])  # and back
    assert iou((labels(page) == KEEP)[:, :130], discs()[:, :130]) > 0.7


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
    page.mouse.move(*place(page, 20, 20))
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(50)
    assert page.evaluate("view.scale") > 1.5 * before
    page.keyboard.down(" ")
    drag(page, (30, 30), (40, 45))
    page.keyboard.up(" ")
    click(page, 30, 30)
    assert (labels(page) == KEEP)[30, 30]
    assert (labels(page) == KEEP).sum() < 200  # moving painted nothing
    page.keyboard.press("0")
    assert page.evaluate("view.scale") == before


# --- photo by photo ---


def test_photos_are_chosen_approved_and_exported_with_their_names(page: Any) -> None:
    page.keyboard.press("a")
    for index in (OPEN, TINTED, EARLIER, DRAWN):
        page.keyboard.press("j")
        until(page, f"desk?.index === {index}")
        assert page.text_content("#name") == KEYS[index]
        page.keyboard.press("a")
    set_brush(page, 9)
    drag(page, (50, 50), (90, 50))  # touching lifts the approval
    assert page.get_attribute("#approve", "aria-pressed") == "false" and page.is_disabled("#approve")
    show(page, TINTED)
    page.click("#approve")
    assert (page.inner_text("#corrected"), page.inner_text("#approved")) == ("1", "3")
    said, maps = exported(page)
    assert {one["key"] for one in said["photos"] if one.get("approved") is True} == {KEYS[0], KEYS[OPEN], BREAKOUT}
    assert list(maps) == [LONG]
    assert [set(one) & {"map", "approved"} for one in said["photos"]] == [{"approved"}] * 3 + [{"map"}]
    assert page.inner_text(f"[data-index='{OPEN}'] .done") == "approved, exported"
    show(page, PATCHES)
    page.keyboard.press("n")
    until(page, f"desk?.index === {TINTED}")
    page.keyboard.press("a")
    page.keyboard.press("n")
    assert "All photos are corrected or approved" in page.inner_text("#say")


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


# --- nothing is lost ---


def test_work_survives_a_reload(page: Any) -> None:
    set_brush(page, 6)
    drag(page, (20, 20), (120, 90))
    drawn = labels(page)
    show(page, OPEN)
    page.keyboard.press("a")
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


# --- on other devices ---


def test_it_works_from_a_web_server(browser: Any, site: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    serve = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site.parent)))
    threading.Thread(target=serve.serve_forever, daemon=True).start()
    try:
        with visit(browser, f"http://127.0.0.1:{serve.server_port}/index.html") as page:
            click(page, 70, 60)
            _, maps = exported(page)
            assert (maps[KEYS[PATCHES]] == labels(page)).all()
        assert not heard(browser, f"http://127.0.0.1:{serve.server_port}/0001.html")
    finally:
        serve.shutdown()
        serve.server_close()


def heard(browser: Any, url: str) -> list[str]:
    """The messages that a page of another origin gets from the page `url` in a frame of its own."""
    script = """async (url) => {
        const heard = [];
        window.addEventListener("message", ({ origin }) => heard.push(origin));
        const frame = document.createElement("iframe");
        const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
        frame.src = url;
        document.body.append(frame);
        await loaded;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return heard;
    }"""
    with browser.new_context() as context:
        found: list[str] = context.new_page().evaluate(script, url)
        return found


@pytest.mark.slow
@pytest.mark.parametrize("size", [(390, 844), (844, 390), (768, 1024), (1440, 900)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_controls_fit_every_screen(browser: Any, site: Path, size: tuple[int, int], scheme: str) -> None:
    touch = size[0] < 1000
    viewport = {"width": size[0], "height": size[1]}
    with visit(
        browser, site.as_uri(), viewport=viewport, color_scheme=scheme, has_touch=touch, is_mobile=touch
    ) as page:
        for tool in ("brush", "lens"):
            page.click(f"[data-tool={tool}]")
            assert page.evaluate("document.documentElement.scrollWidth") == size[0]
            assert page.evaluate("document.documentElement.scrollHeight") == size[1]
            small = """() => [...document.querySelectorAll("button, input, summary")]
                .filter((one) => one.offsetParent && (one.closest("label") ?? one).getBoundingClientRect().height < 44)
                .map((one) => one.outerHTML)"""
            assert not touch or page.evaluate(small) == []
        room = page.evaluate("[stage.clientWidth, stage.clientHeight]")
        assert min(room) >= 150
        show(page, EARLIER)
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_a_finger_draws_and_two_fingers_zoom(browser: Any, site: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with visit(browser, site.as_uri(), **phone) as page:
        set_brush(page, 5)
        touch = page.context.new_cdp_session(page)

        def fingers(kind: str, *points: tuple[float, float]) -> None:
            places = [dict(zip("xy", place(page, *point), strict=True), id=i) for i, point in enumerate(points)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        fingers("touchStart", (20, 60))
        for x in (60, 100, 140):
            fingers("touchMove", (x, 60))
        fingers("touchEnd")
        drawn = labels(page)
        assert (drawn == KEEP)[60, 20:140].all()
        before = page.evaluate("view.scale")
        fingers("touchStart", (60, 30))
        fingers("touchMove", (62, 30))
        fingers("touchStart", (62, 30), (100, 30))
        for by in (2, 4, 6, 8):
            fingers("touchMove", (62 - by, 30), (100 + by, 30))
        fingers("touchEnd")
        assert page.evaluate("view.scale") > 1.1 * before
        assert (labels(page) == drawn).all()  # the first finger's stroke is taken back


def test_a_lens_is_turned_without_a_pointer(page: Any) -> None:
    show(page, OPEN)
    page.keyboard.press("l")
    page.focus("#stage")
    page.keyboard.press("ArrowUp")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowLeft")
    at = page.evaluate("[crosshair.x, crosshair.y]")
    want = LENSES[0] if at[0] < 130 else LENSES[1]
    while abs(page.evaluate("crosshair.x") - want[0]) > 12:
        page.keyboard.press("ArrowRight" if page.evaluate("crosshair.x") < want[0] else "ArrowLeft")
    page.keyboard.press("Enter")
    assert iou(labels(page) == KEEP, discs()) > 0.8


def test_the_list_is_one_stop_of_the_tab_key(page: Any) -> None:
    page.keyboard.press("Tab")  # the skip link
    page.keyboard.press("Tab")
    for index in (OPEN, TINTED):
        page.keyboard.press("ArrowDown")
        until(page, f"desk?.index === {index}")
    assert page.evaluate("document.activeElement.dataset.index") == str(TINTED)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "stage"


def test_after_a_click_the_space_bar_presses_nothing(page: Any) -> None:
    page.click("#approve")
    page.keyboard.press(" ")
    assert page.get_attribute("#approve", "aria-pressed") == "true"


def test_keys_leave_sliders_and_buttons_alone(page: Any) -> None:
    page.focus("#radius")
    before = page.evaluate("chosen.radius")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("chosen.radius") > before
    page.focus("#approve")
    page.keyboard.press(" ")
    assert page.get_attribute("#approve", "aria-pressed") == "true"
    page.keyboard.press("Enter")
    assert page.get_attribute("#approve", "aria-pressed") == "false"


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
