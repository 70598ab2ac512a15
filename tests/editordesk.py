"""An editor of five small photos in a real browser, and what a person does there."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

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
