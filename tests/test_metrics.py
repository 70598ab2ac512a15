"""Scores, against cases counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.metrics import PhotoScore, score
from glasseg.pairs import Label


def label(rows: list[str]) -> Label:
    """A label drawn in letters: M material, o opening, ? not scored, . background."""
    letters = np.array([list(row) for row in rows])
    return Label(letters == "M", letters == "o", letters == "?")


def alpha(rows: list[str]) -> np.ndarray:
    """An alpha drawn in letters: # found, . not."""
    return np.where(np.array([list(row) for row in rows]) == "#", 255, 0).astype(np.uint8)


def test_scores_of_a_photo_counted_by_hand() -> None:
    got = score(alpha(["##..", "##..", "...."]), label(["MMM.", "oo..", "...."]))
    assert got.iou == pytest.approx(2 / 3)  # the openings found are not held against it
    assert got.strict_iou == pytest.approx(2 / 5)
    assert got.openings_left_out == 0.0
    assert (got.precision, got.recall) == (pytest.approx(2 / 4), pytest.approx(2 / 3))
    assert got.f1 == pytest.approx(2 * 2 / (4 + 3))
    assert got.accuracy == pytest.approx(9 / 12)
    assert got.alpha_error == pytest.approx(3 / 12)


def test_openings_that_are_left_out_are_counted() -> None:
    assert score(alpha(["#..."]), label(["Mooo"])).openings_left_out == 1.0
    assert score(alpha(["##.."]), label(["Mooo"])).openings_left_out == pytest.approx(2 / 3)
    assert math.isnan(score(alpha(["#..."]), label(["M..."])).openings_left_out)


def test_ignored_pixels_count_nowhere() -> None:
    truth = label(["MM??", "o.??"])
    assert score(alpha(["##..", "...."]), truth) == score(alpha(["####", "..##"]), truth)
    assert score(alpha(["####", "..##"]), truth).strict_iou == 1.0


def test_a_pixel_is_found_from_128_on() -> None:
    truth = label(["M"])
    assert score(np.array([[128]], np.uint8), truth).iou == 1.0
    assert score(np.array([[127]], np.uint8), truth).iou == 0.0


def test_alpha_error_sees_soft_alpha() -> None:
    assert score(np.array([[204, 51]], np.uint8), label(["M."])).alpha_error == pytest.approx(0.2)


def test_nothing_found_where_nothing_is_true_is_perfect() -> None:
    got = score(alpha(["...."]), label(["...."]))
    assert math.isnan(got.openings_left_out)
    assert replace(got, openings_left_out=1.0) == PhotoScore(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, alpha_error=0.0)


def test_nothing_found_where_glasses_are_is_no_precision() -> None:
    got = score(alpha(["...."]), label(["MM.."]))
    assert (got.precision, got.recall, got.f1, got.iou) == (0.0, 0.0, 0.0, 0.0)


def test_glasses_found_where_none_are_is_no_recall() -> None:
    got = score(alpha(["#..."]), label(["...."]))
    assert (got.precision, got.recall, got.f1, got.strict_iou) == (0.0, 0.0, 0.0, 0.0)


def test_a_photo_of_which_nothing_is_scored_has_scores(recwarn: pytest.WarningsRecorder) -> None:
    got = score(alpha(["##.."]), label(["????"]))
    assert (got.iou, got.f1, got.accuracy, got.alpha_error) == (1.0, 1.0, 1.0, 0.0)
    assert not recwarn.list


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        score(alpha(["#"]), label(["MM"]))


@given(st.integers(0, 10**6))
def test_every_score_is_a_share_and_openings_only_make_it_stricter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = label(["".join(row) for row in rng.choice(list("Mo?."), (5, 6))])
    got = score(rng.integers(0, 256, (5, 6), dtype=np.uint8), truth)
    values = [got.iou, got.strict_iou, got.precision, got.recall, got.f1, got.accuracy, got.alpha_error]
    assert all(0 <= value <= 1 for value in values)
    assert got.strict_iou <= got.iou
    if got.precision + got.recall:
        assert got.f1 == pytest.approx(2 * got.precision * got.recall / (got.precision + got.recall))
