"""The editor on screens of all sizes, by pointer, touch and keys, from a disk and a server."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path
from typing import Any

import pytest
from editordesk import (
    EARLIER,
    KEEP,
    KEYS,
    LENSES,
    OPEN,
    PATCHES,
    TINTED,
    click,
    discs,
    exported,
    iou,
    labels,
    place,
    set_brush,
    show,
    until,
    visit,
)


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


MISPLACED = """() => {
    const box = (one) => one.getBoundingClientRect();
    const shown = (one) => one.checkVisibility() && box(one).width > 0;
    const name = (one) => one.id || one.textContent.trim() || one.tagName;
    const inside = (a, b) => Math.min(a.left - b.left, a.top - b.top, b.right - a.right, b.bottom - a.bottom) > -1;
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    const nested = (one, other) => one.contains(other) || other.contains(one);
    const parts = (one) => [...one.children].filter((part) => shown(part) && !part.matches("dl"));
    const panel = ["button", "input", "summary", "label", "output"].map((kind) => `.panel ${kind}`);
    const controls = all([".top > *", ...panel].join()).filter(shown);
    const wrong = [];
    const apart = (some) => some.forEach((one, i) => some.slice(i + 1).forEach((other) => {
        if (!nested(one, other) && meet(box(one), box(other))) wrong.push(`${name(one)} lies on ${name(other)}`);
    }));
    for (const one of controls) {
        const frame = one.closest(".top, .panel");
        if (!inside(box(one), box(frame)) || !inside(box(frame), box(document.body))) wrong.push(`${name(one)} is cut`);
        if (!one.matches("button, summary")) continue;
        const outside = parts(one).filter((part) => !inside(box(part), box(one)));
        wrong.push(...outside.map((part) => `${name(part)} leaves ${name(one)}`));
        apart(parts(one));
    }
    apart(controls);
    return wrong;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("touch", [False, True])
@pytest.mark.parametrize(
    "size", [(390, 844), (844, 390), (768, 1024), (1024, 768), (1280, 720), (1366, 768), (1440, 900)]
)
def test_all_controls_fit_every_screen(browser: Any, site: Path, size: tuple[int, int], touch: bool) -> None:
    viewport = {"width": size[0], "height": size[1]}
    with visit(browser, site.as_uri(), viewport=viewport, has_touch=touch, is_mobile=touch) as page:
        for tool in ("brush", "fill", "lens"):
            page.click(f"[data-tool={tool}]")
            assert page.evaluate(MISPLACED) == []
            assert page.evaluate("document.documentElement.scrollWidth") == size[0]
            assert page.evaluate("document.documentElement.scrollHeight") == size[1]
            small = """() => all("button, input, summary")
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
    page.click("#mask")
    page.keyboard.press(" ")
    assert page.get_attribute("#mask", "aria-pressed") == "false"


def test_keys_leave_sliders_and_buttons_alone(page: Any) -> None:
    page.focus("#radius")
    before = page.evaluate("chosen.radius")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("chosen.radius") > before
    page.focus("#mask")
    page.keyboard.press(" ")
    assert page.get_attribute("#mask", "aria-pressed") == "false"
    page.keyboard.press("Enter")
    assert page.get_attribute("#mask", "aria-pressed") == "true"
