"""Contact sheets: many photos on one picture, before and after, or next to what a model found in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glasseg.labels.masks import Label

Pair = tuple[np.ndarray | None, np.ndarray | None, str]
"""Before and after (each H×W×3 uint8 RGB of any size, or None if there is no picture), and the caption."""

LIMIT: Final = 48
"""Pairs on one sheet at most: in three columns it is then 5000 pixels high, which viewers still open with ease."""

THUMB: Final = (216, 288)
"""(height, width) of the room for one picture; a picture with another aspect ratio is centred in it."""

_GAP, _MARGIN = 8, 24
_NAME_SIZE, _WORD_SIZE, _LEADING = 20, 17, 25
# The sheet is a little darker than white, so that pure white shows as such; the frame does the rest.
_PAPER, _FRAME, _NO_PICTURE = (246, 246, 245), (172, 172, 172), (232, 232, 230)
_INK, _GREY = (34, 34, 34), (104, 104, 104)
_PAIR_WIDTH = 2 * THUMB[1] + _GAP


def contact_sheet(
    pairs: Iterable[Pair],
    columns: int = 3,
    *,
    limit: int = LIMIT,
    total: int | None = None,
    heads: tuple[str, str] = ("before", "after"),
) -> np.ndarray:
    """Draw pairs of before | after with their captions in rows of `columns`: H×W×3 uint8 RGB.

    The first line of a caption is the name, further lines are set smaller; one that is too long is cut in the middle.
    No more than `limit` pairs are taken from `pairs`, which may yield them one by one: pictures are shrunk as they
    come, so a sheet of large photos needs little memory. With `total`, how many there are in all, the sheet says so if
    some are left out. `heads` stand above the two pictures of a pair. Raises ValueError without a pair or a column.
    """
    cells = [(_shrink(before), _shrink(after), caption.split("\n")) for before, after, caption in islice(pairs, limit)]
    if not cells or columns < 1:
        raise ValueError("a contact sheet needs a pair to show and a column to show it in")
    columns = min(columns, len(cells))
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    step = THUMB[0] + max(len(lines) for *_, lines in cells) * _LEADING + _MARGIN + 4
    left_out = total is not None and total > len(cells)
    head, foot = _MARGIN + _LEADING, _LEADING if left_out else 0
    width = columns * (_PAIR_WIDTH + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, head + len(rows) * step + foot), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        x = _MARGIN + column * (_PAIR_WIDTH + _MARGIN)
        for i, word in enumerate(heads):
            _text(draw, (x + i * (THUMB[1] + _GAP), _MARGIN // 2), word, _WORD_SIZE, _GREY)
        for y, row in enumerate(rows):
            if column < len(row):
                _draw_pair(sheet, draw, (x, head + y * step), row[column])
    if left_out:
        _text(draw, (_MARGIN, head + len(rows) * step - 8), f"{len(cells)} of {total} shown", _WORD_SIZE, _GREY)
    return np.array(sheet)


PANES: Final = ("photo", "truth", "prediction: missed red, surplus blue", "on white")
"""What the panel of an evaluated photo shows, from left to right."""
_MISSED, _SURPLUS = (214, 39, 40), (31, 119, 255)


def panel(image: np.ndarray, label: Label, alpha: np.ndarray, whitened: np.ndarray) -> np.ndarray:
    """An evaluated photo in `PANES`, each of the size `THUMB`, side by side: h×w×3 uint8 RGB.

    `image` and `whitened` are H×W×3 uint8 RGB, `alpha` is H×W uint8.
    """
    pale = cv2.addWeighted(image, 0.35, np.full_like(image, 255), 0.65, 0)
    found, ink = alpha >= 128, np.array(_INK, np.uint8)
    truth = np.where(label.material[..., None], ink, pale)
    prediction = np.where(found[..., None], ink, pale)
    prediction[label.material & ~found] = _MISSED
    prediction[found & ~label.material & ~label.ignored] = _SURPLUS
    sheet = Image.new("RGB", (len(PANES) * (THUMB[1] + _GAP) - _GAP, THUMB[0]), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, pane in enumerate((image, truth, prediction, whitened)):
        _draw_thumb(sheet, draw, (i * (THUMB[1] + _GAP), 0), _shrink(pane))
    return np.array(sheet)


def panel_sheet(panels: Sequence[tuple[np.ndarray, str]], title: str, columns: int = 2) -> np.ndarray:
    """A sheet of panels of evaluated photos with their captions, in rows of `columns`: H×W×3 uint8 RGB.

    Raises ValueError without a panel.
    """
    if not panels:
        raise ValueError("a sheet needs a panel to show")
    columns = min(columns, len(panels))
    height, width = panels[0][0].shape[:2]
    step, head = height + _LEADING + _MARGIN, 2 * _MARGIN + 2 * _LEADING
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * (width + 2 * _MARGIN), head + rows * step), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, _INK, _font(_NAME_SIZE + 4))
    for number, (picture, caption) in enumerate(panels):
        row, column = divmod(number, columns)
        x, y = _MARGIN + column * (width + 2 * _MARGIN), head + row * step
        if row == 0:
            for i, word in enumerate(PANES):
                draw.text((x + i * (THUMB[1] + _GAP), head - _LEADING), word, _GREY, _font(_WORD_SIZE - 2))
        sheet.paste(Image.fromarray(picture), (x, y))
        _text(draw, (x, y + height + 4), caption, _NAME_SIZE, _INK)
    return np.array(sheet)


def _shrink(picture: np.ndarray | None) -> np.ndarray | None:
    """Fit a picture (H×W×3 uint8) into `THUMB`, keeping its aspect ratio; a smaller one is enlarged."""
    if picture is None:
        return None
    height, width = picture.shape[:2]
    scale = min(THUMB[0] / height, THUMB[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _draw_pair(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    cell: tuple[np.ndarray | None, np.ndarray | None, Sequence[str]],
) -> None:
    """Draw one cell: two thumbs in thin frames with the caption below them; `corner` is its top left (x, y)."""
    x, y = corner
    for i, thumb in enumerate(cell[:2]):
        _draw_thumb(sheet, draw, (x + i * (THUMB[1] + _GAP), y), thumb)
    for i, line in enumerate(cell[2]):
        size, ink = (_NAME_SIZE, _INK) if i == 0 else (_WORD_SIZE, _GREY)
        _text(draw, (x, y + THUMB[0] + 6 + i * _LEADING), line, size, ink)


def _draw_thumb(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, corner: tuple[int, int], thumb: np.ndarray | None
) -> None:
    """Draw a thumb in the middle of its room with a frame just around it; without a thumb, an empty plate."""
    x, y = corner
    if thumb is None:
        draw.rectangle((x, y, x + THUMB[1] - 1, y + THUMB[0] - 1), fill=_NO_PICTURE, outline=_FRAME)
        draw.text((x + THUMB[1] / 2, y + THUMB[0] / 2), "no picture", _GREY, _font(_WORD_SIZE), anchor="mm")
        return
    height, width = thumb.shape[:2]
    x, y = x + (THUMB[1] - width) // 2, y + (THUMB[0] - height) // 2
    sheet.paste(Image.fromarray(thumb), (x, y))
    draw.rectangle((x - 1, y - 1, x + width, y + height), outline=_FRAME)


def _text(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int, ink: tuple[int, int, int]) -> None:
    """Draw a line of text, no wider than a pair."""
    font = _font(size)
    draw.text(corner, _cut(text, font), ink, font)


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`text` if it fits below a pair; else with … for its middle, since names differ mostly at their ends."""
    keep = len(text)
    shown = text
    while keep > 2 and font.getlength(shown) > _PAIR_WIDTH:
        keep -= 1
        shown = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    return shown


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: no font file to look for, the same letters on every machine (Latin script only)."""
    return ImageFont.load_default(size)
