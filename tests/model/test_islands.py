"""What a network is of two minds about becomes glasses or background as a whole; what it is sure of stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from glasseg.cutout.matte import to_alpha
from glasseg.model.islands import decided

THRESHOLD, RAMP = 0.45, 0.4


def alpha(map: np.ndarray) -> np.ndarray:
    return to_alpha(decided(map, THRESHOLD, RAMP), THRESHOLD, RAMP)


def lens(within: float, radius: int = 12) -> np.ndarray:
    """A map, 96×160, of dark glasses of which the network sees a patch of one lens as `within`, with soft edges."""
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 1
    cv2.circle(map, (60, 48), radius, within, -1)
    return cv2.GaussianBlur(map, (0, 0), 2)


def test_a_milky_patch_in_a_lens_becomes_glasses() -> None:
    map = lens(0.3)
    assert to_alpha(map, THRESHOLD, RAMP)[48, 60] < 128
    assert (alpha(map)[34:62, 46:74] == 255).all()


def test_an_opening_stays_white() -> None:
    map = lens(0.0)
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_a_narrow_gap_stays_though_its_blurred_middle_looks_like_a_patch() -> None:
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 1
    map[47:49, 50:110] = 0
    map = cv2.GaussianBlur(map, (0, 0), 1)
    assert 0.25 < map[48, 80] < 0.65
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_smoke_apart_from_the_glasses_is_cleared() -> None:
    map = lens(0.0, radius=20)
    map[40:56, 52:68] = 0.4
    assert (to_alpha(map, THRESHOLD, RAMP)[42:54, 54:66] > 0).all()
    assert not alpha(map)[40:56, 52:68].any()


def test_all_that_is_seen_is_never_cleared_however_faint() -> None:
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 0.35
    assert alpha(map)[48, 80] > 0


def test_what_touches_the_border_is_no_patch() -> None:
    map = np.ones((64, 64), np.float32)
    map[:20, 20:40] = 0.4
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_a_decided_island_keeps_its_doubt() -> None:
    """By it the quality of the mask is told."""
    assert 0.65 < decided(lens(0.3), THRESHOLD, RAMP)[48, 60] < 0.7


@pytest.mark.parametrize("map", [np.zeros((32, 32), np.float32), np.ones((32, 32), np.float32)])
def test_nothing_and_all_stay(map: np.ndarray) -> None:
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


MAPS = arrays.arrays(np.float32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.floats(0, 1, width=32))


@given(MAPS, st.floats(0.3, 0.7), st.floats(0.2, 0.9))
def test_only_what_was_undecided_changes(map: np.ndarray, threshold: float, ramp: float) -> None:
    before = map.copy()
    found = decided(map, threshold, ramp)
    assert np.array_equal(map, before) and found.dtype == np.float32 and found.shape == map.shape
    sure = to_alpha(map, threshold, ramp) == 255
    assert (to_alpha(found, threshold, ramp)[sure] == 255).all()
    nothing = (map <= threshold - ramp / 2) | (map <= 0.05)
    changed = found != map
    assert not (changed & nothing & (found < map)).any() and (found[changed] >= 0).all() and (found <= 1).all()
