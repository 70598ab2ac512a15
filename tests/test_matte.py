"""The alpha follows the formula of the design, exactly at its ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.matte import to_alpha

PROBABILITIES = np.linspace(0, 1, 2001, dtype=np.float32).reshape(69, 29)


@given(st.floats(0.05, 0.95), st.floats(0.01, 1.5))
def test_alpha_is_the_formula_within_one_step(threshold: float, ramp: float) -> None:
    alpha = to_alpha(PROBABILITIES, threshold, ramp)
    exact = 255 * np.clip((PROBABILITIES.astype(np.float64) - threshold) / ramp + 0.5, 0, 1)
    assert alpha.dtype == np.uint8 and alpha.shape == PROBABILITIES.shape
    assert np.abs(alpha - exact).max() <= 0.51  # rounded, but for ties and float32


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
