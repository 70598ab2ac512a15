"""The whole loop in a real browser: what a person paints over a photo in the editor is what its picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import inprocess
import numpy as np
import pytest
from drawnphotos import by_key, drawn
from editorpages import one_model

from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.storage.roots import Folder
from jobs.correct import run as job
from jobs.destination.report import report

pytestmark = pytest.mark.usefixtures("tensorflow")

KEYS = ("<b>a & b</b>.jpg", "sub/two words é 👓.jpg")
"""The second one is only approved."""
AT = """([x, y]) => {
    const { left, top } = stage.getBoundingClientRect();
    return [left + view.x + x * view.scale, top + view.y + y * view.scale];
}"""
"""Where a pixel of the copy is in the window."""


def until(page: Any, condition: str) -> None:
    """Wait for a condition; the page's policy forbids `wait_for_function`."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never so: {condition}")


def drag(page: Any, *points: tuple[float, float]) -> None:
    page.mouse.move(*page.evaluate(AT, points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*page.evaluate(AT, point), steps=5)
    page.mouse.up()


def picture(destination: Folder, key: str) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(destination.read(key)[0], np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


def test_what_a_person_paints_in_the_editor_is_what_the_picture_shows(browser: Any, tmp_path: Path) -> None:
    source, destination = Folder(tmp_path / "in"), Folder(tmp_path / "white")
    for seed, key in enumerate(KEYS):
        source.write(key, drawn(seed, (480, 640)))
    config = WhitenConfig(review_below=1.0, max_flagged=1.0, report=False)
    inprocess.whiten(source.uri, destination.uri, config)
    with one_model():
        report(destination.uri, None, None, edit=True)
    before = {key: picture(destination, key) for key in KEYS}
    assert {row["status"] for row in by_key(destination).values()} == {"review"}

    [index] = (tmp_path / "white").glob("_glasseg/report/*/edit/index.html")
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.goto(index.as_uri())
        until(page, "desk !== null")
        first = page.evaluate("[...document.querySelectorAll('[data-index]')].map((one) => one.textContent)")
        if KEYS[0] not in first[0]:
            page.click("[data-index='1']")
            until(page, "desk?.index === 1")
        page.keyboard.press("1")  # keep
        drag(page, (20, 20), (60, 20))
        page.keyboard.press("2")  # erase
        page.evaluate("() => { Object.assign(chosen, { radius: 40, hardness: 1 }); }")
        for y in range(110, 480, 60):
            drag(page, (20, y), (300, y))
        page.click(f"[data-index='{1 if KEYS[0] in first[0] else 0}']")
        page.wait_for_timeout(300)
        page.keyboard.press("a")  # approve
        with page.expect_download() as download:
            page.click("#export")
        given = tmp_path / download.value.suggested_filename
        download.value.save_as(given)

    assert job.correct(destination.uri, str(given), CorrectConfig(), executor=inprocess.in_process) == 0
    corrected, approved = (by_key(destination)[key] for key in KEYS)
    assert (corrected["status"], corrected["reviewed"]) == ("ok", "corrected")
    assert (approved["status"], approved["reviewed"]) == ("ok", "approved")
    after = picture(destination, KEYS[0])
    assert (after[75:, :280] > 250).all() and not (before[KEYS[0]][75:, :280] > 250).all()
    photo = picture(source, KEYS[0])
    assert np.abs(after[16:24, 25:55].astype(int) - photo[16:24, 25:55]).max() < 25, "what was kept is the photo's"
    assert np.abs(after[:, 400:].astype(int) - before[KEYS[0]][:, 400:]).max() < 12, "the rest stays"
    assert np.array_equal(picture(destination, KEYS[1]), before[KEYS[1]])
