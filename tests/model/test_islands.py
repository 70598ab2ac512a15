"""What a network is of two minds about becomes glasses or background as a whole; openings, wires and pairs stay."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from glasseg.cutout.matte import to_alpha
from glasseg.model.folder import ModelSpec
from glasseg.model.islands import decided
from glasseg.model.letterbox import Letterbox, unletterbox
from glasseg.model.segmenter import Segmenter

THRESHOLD, RAMP = 0.45, 0.4
SPEC = ModelSpec("compact", 512, "letterbox", 1, THRESHOLD, RAMP, "")


def alpha(map: np.ndarray) -> np.ndarray:
    return to_alpha(map, THRESHOLD, RAMP)


def glasses(lens: float, radius: int = 12, blur: float = 2.0) -> np.ndarray:
    """A map, 96×160 float32, of dark glasses; a disc of one lens is seen as `lens`, and edges are blurred."""
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 1
    cv2.circle(map, (60, 48), radius, lens, -1)
    return cv2.GaussianBlur(map, (0, 0), blur)


def beside(map: np.ndarray, rows: slice, columns: slice, value: float) -> np.ndarray:
    """The map with something apart from the glasses, with blurred edges."""
    there = np.zeros_like(map)
    there[rows, columns] = value
    return np.maximum(map, cv2.GaussianBlur(there, (0, 0), 1))


@pytest.mark.parametrize("radius", [7, 12, 20])
def test_a_milky_patch_in_a_lens_becomes_glasses(radius: int) -> None:
    map = glasses(0.34, radius)
    assert alpha(map)[48, 60] < 128
    assert (alpha(decided(map, THRESHOLD, RAMP))[30:66, 40:80] == 255).all()


@pytest.mark.parametrize(
    ("threshold", "ramp"), [(0.45, 0.4), (0.3, 0.6), (0.3, 0.9), (0.45, 0.8), (0.6, 0.8), (0.7, 0.2)]
)
@pytest.mark.parametrize(("radius", "blur"), [(20, 1), (12, 2)])
def test_an_opening_stays_white_whatever_the_ramp(threshold: float, ramp: float, radius: int, blur: float) -> None:
    map = glasses(0.0, radius, blur)
    assert np.array_equal(decided(map, threshold, ramp), map)


def test_a_patch_with_smoke_in_it_becomes_glasses_throughout() -> None:
    map = glasses(0.6, 20, 0.5)
    cv2.circle(map, (60, 48), 9, 0.0, -1)
    cv2.circle(map, (60, 48), 7, 0.4, -1)
    assert (alpha(decided(map, THRESHOLD, RAMP))[26:70, 22:138] == 255).all()


def test_a_narrow_gap_stays_though_its_blurred_middle_looks_like_a_patch() -> None:
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 1
    map[47:49, 50:110] = 0
    map = cv2.GaussianBlur(map, (0, 0), 1)
    assert THRESHOLD * 0.7 < map[48, 80] < THRESHOLD + RAMP / 2
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_a_patch_at_the_border_of_what_is_seen_stays() -> None:
    map = np.ones((64, 64), np.float32)
    map[:20, 20:40] = 0.4
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_smoke_apart_from_the_glasses_is_cleared() -> None:
    map = beside(glasses(0.0, 20), slice(76, 92), slice(20, 60), 0.4)
    assert (alpha(map)[80:88, 26:54] > 0).all()
    cleared = decided(map, THRESHOLD, RAMP)
    assert not alpha(cleared)[74:].any() and np.array_equal(cleared[:72], map[:72])


def test_a_second_pair_stays() -> None:
    map = beside(glasses(0.0, 20), slice(78, 94), slice(20, 80), 1.0)
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_a_faint_wire_apart_from_the_glasses_stays() -> None:
    map = beside(glasses(0.0, 20), slice(80, 83), slice(20, 140), 0.45)
    assert 0.3 < map[81, 80] < THRESHOLD
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_what_is_seen_at_all_is_never_cleared_however_faint() -> None:
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 0.35
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


def test_a_decided_island_keeps_a_part_of_its_doubt() -> None:
    """By it the quality of the mask is told."""
    assert decided(glasses(0.34), THRESHOLD, RAMP)[48, 60] == pytest.approx(0.825)


def test_enlarged_an_island_leaves_no_veil() -> None:
    map = np.zeros((96, 160), np.float32)
    map[24:72, 20:140] = 1
    map[36:60, 48:72] = 0.34
    map[78:92, 20:60] = 0.4
    large = unletterbox(decided(map, THRESHOLD, RAMP), Letterbox((960, 1600), map.shape, map.shape, 0, 0))
    assert (alpha(large)[300:660, 300:900] == 255).all() and not alpha(large)[745:].any()


def test_a_segmenter_gives_decided_maps() -> None:
    made = Segmenter.__new__(Segmenter)
    made.spec = replace(SPEC, passes=1)
    half: Any = np.float32(0.34)

    def run(frames: np.ndarray) -> SimpleNamespace:
        map = np.zeros(frames.shape[:3], np.float32)
        map[:, 100:300, 100:400] = 1
        map[:, 150:250, 150:250] = half
        return SimpleNamespace(numpy=lambda: map)

    made._run = run
    [seen] = made.segment([np.zeros((512, 512, 3), np.uint8)])
    assert (alpha(seen.map)[110:290, 110:390] == 255).all()


@pytest.mark.parametrize("map", [np.zeros((32, 32), np.float32), np.ones((32, 32), np.float32)])
def test_nothing_and_all_stay(map: np.ndarray) -> None:
    assert np.array_equal(decided(map, THRESHOLD, RAMP), map)


MAPS = arrays.arrays(np.float32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.floats(0, 1, width=32))
STRIP = np.array([[0.75, 0.25, 0.25, 0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25]], np.float32)


@given(MAPS, st.integers(1, 3), st.floats(0.3, 0.7), st.floats(0.2, 0.9))
@example(STRIP, 1, 0.4375, 0.5)
def test_islands_are_raised_or_lowered_and_the_rest_stays(
    map: np.ndarray, times: int, threshold: float, ramp: float
) -> None:
    map = np.kron(map, np.ones((4 * times, 4 * times), np.float32))
    before = map.copy()
    found = decided(map, threshold, ramp)
    assert np.array_equal(map, before) and found.dtype == np.float32 and found.shape == map.shape
    none, full = max(threshold - ramp / 2, 0.05), min(threshold + ramp / 2, 0.95)
    raised, lowered = found > map, found < map
    assert (map[raised] < full).all() and (found[raised] > full).all()
    assert ((map[lowered] > none) & (map[lowered] < full)).all() and (found[lowered] < none).all()
