"""What the glasses enclose, whole to the rim, and nothing outside."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout.lenses import openings
from glasseg.drawing.photo import draw_photo

SIZE = (300, 600)


def _rims(thickness: int = 8) -> np.ndarray:
    """Two round rims joined by a bridge, antialiased, H×W uint8."""
    alpha = np.zeros(SIZE, np.uint8)
    for x in (200, 400):
        cv2.circle(alpha, (x, 150), 80, 255, thickness, cv2.LINE_AA)
    cv2.line(alpha, (280, 140), (320, 140), 255, thickness, cv2.LINE_AA)
    return alpha


def test_both_lenses_of_clear_glasses_are_found_and_nothing_outside() -> None:
    found = openings(_rims())
    disc = np.zeros(SIZE, np.uint8)
    for x in (200, 400):
        cv2.circle(disc, (x, 150), 82, 255, -1)  # to the middle of the rim and a little more
    assert set(np.unique(found)) == {0, 255}
    assert (found[disc == 0] == 0).all()
    assert found[150, 200] == found[150, 400] == 255
    assert found[150, 300] == 0  # below the bridge


def test_no_seam_is_left_at_the_inner_rim() -> None:
    alpha = _rims()
    kept = np.maximum(alpha, openings(alpha))
    lens = np.zeros(SIZE, np.uint8)
    cv2.circle(lens, (200, 150), 80, 255, -1)
    assert (kept[lens > 0] == 255).all()


def test_the_soft_outer_edge_of_a_wire_stays_as_it_is() -> None:
    alpha = _rims(2)
    outside = np.ones(SIZE, np.uint8)
    for x in (200, 400):
        cv2.circle(outside, (x, 150), 80, 0, -1)
    assert (openings(alpha)[outside > 0] == 0).all()


def test_a_small_gap_in_the_rim_is_bridged() -> None:
    alpha = _rims()
    alpha[225:236, 198:202] = 0
    found = openings(alpha)
    assert found[150, 200] == 255
    assert found[260, 200] == 0


def test_an_open_rim_encloses_nothing() -> None:
    alpha = _rims()
    alpha[200:260, 150:250] = 0
    found = openings(alpha)
    assert found[150, 200] == 0
    assert found[150, 400] == 255


def test_specks_in_the_mask_are_no_openings() -> None:
    alpha = np.zeros(SIZE, np.uint8)
    alpha[100:200, 100:500] = 255
    alpha[140:145, 200:205] = 0
    assert not openings(alpha).any()


def test_glasses_cut_by_the_border_enclose_nothing_that_is_open_there() -> None:
    assert not openings(_rims()[:, :200]).any()


def test_nothing_is_found_without_glasses() -> None:
    assert not openings(np.zeros(SIZE, np.uint8)).any()
    assert not openings(np.full(SIZE, 255, np.uint8)).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(0, 2**32 - 1), st.floats(0.5, 12))
def test_any_mask_gives_openings_of_its_size(height: int, width: int, seed: int, softness: float) -> None:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    alpha = np.clip(128 + 400 * cv2.GaussianBlur(noise, (0, 0), softness), 0, 255).astype(np.uint8)
    before = alpha.copy()
    found = openings(alpha)
    assert found.shape == alpha.shape and found.dtype == np.uint8
    assert np.isin(found, (0, 255)).all()
    assert np.array_equal(alpha, before)


def test_drawn_photos_have_their_openings_found() -> None:
    found, true = 0, 0
    for seed in range(6):
        photo = draw_photo(np.random.default_rng(seed), (450, 600))
        opening = photo.opening > 0.9
        kept = openings(np.rint(photo.coverage * 255).astype(np.uint8)) > 0
        found, true = found + np.count_nonzero(kept & opening), true + np.count_nonzero(opening)
    assert found > 0.9 * true > 0
