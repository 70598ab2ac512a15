"""The contact sheet: what is on it, that it stays of a sensible size, and that white on white can be seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from glasseg.labels.masks import Label
from glasseg.report import contact_sheets
from glasseg.report.contact_sheets import THUMB, contact_sheet

RED, WHITE = (200, 30, 30), (255, 255, 255)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A picture of one colour."""
    return np.full((*size, 3), colour, np.uint8)


def count(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels of exactly that colour."""
    return int((sheet == colour).all(-1).sum())


def test_both_pictures_are_on_the_sheet_at_full_thumb_size_and_in_rgb() -> None:
    sheet = contact_sheet([(plain(RED), plain(WHITE), "one\nok")])
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert count(sheet, RED) == count(sheet, WHITE) == THUMB[0] * THUMB[1]
    red, white = (np.argwhere((sheet == colour).all(-1)) for colour in (RED, WHITE))
    assert red[:, 1].max() < white[:, 1].min() and red[0, 0] == white[0, 0]  # before is left of after


def test_white_pictures_stand_out_from_the_page_in_a_grey_frame() -> None:
    sheet = contact_sheet([(plain(WHITE), plain(WHITE), "")]).astype(int)
    white = np.argwhere((sheet == 255).all(-1))
    (top, left), (bottom, _) = white.min(0), white.max(0)
    frame = np.concatenate([sheet[top - 1, left : left + THUMB[1]], sheet[top : bottom + 1, left - 1]])
    assert (frame == frame[0]).all() and frame[0].max() < 200


@pytest.mark.parametrize("size", [(1200, 1600), (1600, 1200), (10, 2000), (2000, 1), (1, 1)])
def test_any_aspect_is_fitted_whole_and_kept(size: tuple[int, int]) -> None:
    sheet = contact_sheet([(plain(RED, size), plain(WHITE), "")])
    where = np.argwhere((sheet == RED).all(-1))
    height, width = where.max(0) - where.min(0) + 1
    assert height <= THUMB[0] and width <= THUMB[1] and (height == THUMB[0] or width == THUMB[1])
    assert abs(height / width - size[0] / size[1]) <= max(1 / height, 1 / width) * max(1, size[0] / size[1])


def test_captions_are_written_and_long_ones_stay_inside_their_column() -> None:
    blank, named = (contact_sheet([(plain(RED), None, text)] * 2, 2) for text in ("", "a name"))
    assert not np.array_equal(blank, named)
    long = contact_sheet([(plain(RED), None, "w" * 300), (plain(RED), None, "")], 2)
    changed = np.argwhere((long != blank).any(-1))
    assert changed.size and changed[:, 1].max() < long.shape[1] // 2


def test_a_long_name_keeps_its_ends() -> None:
    font = contact_sheets._font(20)
    shown = contact_sheets._cut("start-" + "x" * 300 + "-end.jpg", font)
    assert shown.startswith("start-") and shown.endswith("-end.jpg") and "…" in shown
    assert contact_sheets._cut("short.jpg", font) == "short.jpg"


def test_rows_and_columns_follow_the_number_of_pairs() -> None:
    pair = (plain(RED), plain(WHITE), "name\nstatus")
    one, three, four = (contact_sheet([pair] * n).shape for n in (1, 3, 4))
    assert one[1] < three[1] == four[1] and one[0] == three[0] < four[0]
    assert contact_sheet([pair] * 4, columns=4).shape[0] == one[0]


def test_a_missing_picture_is_an_empty_plate_and_does_not_shift_the_rest() -> None:
    pairs = [(plain(RED), None, "gone"), (plain(RED), plain(WHITE), "there")]
    assert contact_sheet(pairs).shape == contact_sheet([pairs[1]] * 2).shape
    assert count(contact_sheet(pairs), RED) == 2 * THUMB[0] * THUMB[1]


def test_many_pairs_make_a_sheet_of_capped_height_without_being_read() -> None:
    asked = 0

    def pairs() -> Iterator[contact_sheets.Pair]:
        nonlocal asked
        for n in range(145):
            asked += 1
            yield plain(RED), plain(WHITE), f"photo {n}\nok"

    sheet = contact_sheet(pairs(), total=145)
    assert asked == contact_sheets.LIMIT and sheet.shape[0] < 6000
    assert sheet.shape[0] > contact_sheet(pairs()).shape[0]  # a line says that some are left out
    assert contact_sheet(pairs(), limit=6).shape == contact_sheet(pairs(), limit=6, total=6).shape


@pytest.mark.parametrize(("pairs", "columns"), [([], 3), ([(None, None, "")], 0)])
def test_nothing_to_draw_is_refused(pairs: list[contact_sheets.Pair], columns: int) -> None:
    with pytest.raises(ValueError, match="needs a pair"):
        contact_sheet(pairs, columns)


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("ray", "tensorflow", "keras", "matplotlib")
    code = f"import sys, glasseg.report.contact_sheets; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert shown.stdout.strip() == "[]"


def test_a_panel_shows_what_was_missed_and_what_is_surplus() -> None:
    image, material = np.full((90, 120, 3), 200, np.uint8), np.zeros((90, 120), bool)
    material[20:60, 20:60] = True
    alpha = np.zeros((90, 120), np.uint8)
    alpha[20:60, 40:80] = 255
    nothing = np.zeros_like(material)
    panel = contact_sheets.panel(image, Label(material, nothing, nothing), alpha, np.full_like(image, 255))
    height, width = contact_sheets.THUMB
    assert panel.shape[0] == height and panel.shape[1] > 4 * width
    third = panel[:, 2 * width : 3 * width + 16].astype(int)
    assert ((third - contact_sheets._MISSED).__abs__().max(axis=2) < 30).sum() > 500
    assert ((third - contact_sheets._SURPLUS).__abs__().max(axis=2) < 30).sum() > 500


def test_a_panel_sheet_holds_all_its_panels() -> None:
    panel = np.full((contact_sheets.THUMB[0], 4 * contact_sheets.THUMB[1] + 24, 3), 10, np.uint8)
    sheet = contact_sheets.panel_sheet([(panel, f"a {i}.jpg") for i in range(5)], "Worst")
    assert (sheet == 10).all(axis=2).sum() >= 5 * panel.shape[0] * panel.shape[1]
    with pytest.raises(ValueError):
        contact_sheets.panel_sheet([], "Worst")
