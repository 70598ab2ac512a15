"""The alpha follows the formula of the design, exactly at its ends, and at the edge the photo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout import matte
from glasseg.cutout.matte import to_alpha
from glasseg.drawing.photo import draw_photo
from glasseg.model.letterbox import letterbox, unletterbox

PROBABILITIES = np.linspace(0, 1, 2001, dtype=np.float32).reshape(69, 29)


@given(st.floats(0.05, 0.95), st.floats(0.01, 1.5))
def test_alpha_is_the_formula_within_one_step(threshold: float, ramp: float) -> None:
    alpha = to_alpha(PROBABILITIES, threshold, ramp)
    exact = 255 * np.clip((PROBABILITIES.astype(np.float64) - threshold) / ramp + 0.5, 0, 1)
    assert alpha.dtype == np.uint8 and alpha.shape == PROBABILITIES.shape
    assert np.abs(alpha - exact).max() <= 0.51  # rounded, except for ties and float32


@given(st.floats(0.3, 0.7), st.floats(0.05, 0.5))
def test_tails_are_exactly_0_and_255(threshold: float, ramp: float) -> None:
    alpha = to_alpha(PROBABILITIES, threshold, ramp)
    assert (alpha[threshold - ramp / 2 >= PROBABILITIES] == 0).all()
    assert (alpha[threshold + ramp / 2 <= PROBABILITIES] == 255).all()


def test_values_outside_0_to_1_saturate() -> None:
    assert to_alpha(np.float32([[-100, -0.01, 1.01, 100]]), 0.5, 0.5).tolist() == [[0, 0, 255, 255]]


def test_alpha_grows_with_the_probability() -> None:
    assert (np.diff(to_alpha(PROBABILITIES, 0.4, 0.6).ravel().astype(int)) >= 0).all()


def test_a_pixel_gets_the_same_alpha_wherever_it_lies() -> None:
    whole = to_alpha(PROBABILITIES, 0.45, 0.5)
    assert np.array_equal(to_alpha(PROBABILITIES[3:50, 5:-2], 0.45, 0.5), whole[3:50, 5:-2])
    assert to_alpha(PROBABILITIES[40:41, 7:8], 0.45, 0.5) == whole[40, 7]


@pytest.mark.parametrize("ramp", [0.0, 1e-9, -1.0, float("nan")])
def test_a_ramp_without_width_is_refused(ramp: float) -> None:
    with pytest.raises(ValueError, match="ramp"):
        to_alpha(PROBABILITIES, 0.5, ramp)


def seen(mask: np.ndarray, side: int = 256) -> np.ndarray:
    """What a network of that side might say of a mask (h×w uint8) at best: h×w float32."""
    square, box = letterbox(np.dstack([mask] * 3), side)
    return unletterbox(square[..., 0].astype(np.float32) / 255, box)


@pytest.mark.parametrize("seed", range(4))
def test_an_edge_that_the_network_put_two_pixels_off_is_drawn_to_the_photos_edge(seed: int) -> None:
    drawn = draw_photo(np.random.default_rng(seed), (600, 900), scene="sweep")
    truth = np.rint(255 * drawn.coverage).astype(np.uint8)
    probability = np.roll(seen(truth), 2, axis=1)
    coarse = to_alpha(probability, 0.5, 0.4)
    refined = matte.alpha(drawn.image, probability, 0.5, 0.4)
    errors = [np.abs(one.astype(int) - truth).mean() for one in (coarse, refined)]
    assert errors[1] < 0.7 * errors[0]


def test_alpha_is_exact_away_from_the_edge_and_the_same_for_the_same_photo() -> None:
    image = np.full((400, 600, 3), 200, np.uint8)
    mask = np.zeros((400, 600), np.uint8)
    mask[100:300, 150:450] = 255
    image[mask > 0] = 30
    image += np.random.default_rng(1).integers(0, 8, image.shape, dtype=np.uint8)
    found = matte.alpha(image, seen(mask), 0.5, 0.4)
    assert (found[130:270, 180:420] == 255).all()
    assert not found[:70].any() and not found[:, :120].any()
    assert np.array_equal(found, matte.alpha(image.copy(), seen(mask), 0.5, 0.4))
    assert np.abs(found.astype(int) - mask).mean() < 0.5


def test_where_the_photo_says_nothing_the_probability_stands() -> None:
    mask = np.zeros((300, 300), np.uint8)
    mask[100:200, 100:200] = 255
    probability = seen(mask)
    found = matte.alpha(np.full((300, 300, 3), 90, np.uint8), probability, 0.5, 0.4)
    assert np.abs(found.astype(int) - to_alpha(probability, 0.5, 0.4)).max() <= 1


def test_a_lone_speck_goes_and_a_piece_next_to_the_glasses_stays() -> None:
    probability = np.zeros((400, 640), np.float32)
    probability[150:250, 100:400] = 1
    probability[196:200, 403:420] = 1  # a temple in pieces
    probability[20:24, 600:604] = 1  # dirt
    found = matte.alpha(np.full((400, 640, 3), 90, np.uint8), probability, 0.5, 0.4)
    assert (found[197:199, 404:419] == 255).all() and not found[:40].any()


def test_a_faint_veil_apart_from_the_glasses_goes() -> None:
    probability = np.zeros((400, 640), np.float32)
    probability[150:250, 100:400] = 1
    probability[20:60, 560:600] = 0.31  # an alpha of about 6
    found = matte.alpha(np.full((400, 640, 3), 90, np.uint8), probability, 0.5, 0.4)
    assert not found[:80].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 10**6))
def test_any_photo_of_any_size_gets_an_alpha_of_its_size(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random((height, width), dtype=np.float32)
    found = matte.alpha(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), probability, 0.5, 0.4)
    assert found.shape == (height, width) and found.dtype == np.uint8


def test_nothing_found_stays_nothing() -> None:
    assert not matte.alpha(np.zeros((50, 60, 3), np.uint8), np.zeros((50, 60), np.float32), 0.5, 0.4).any()
