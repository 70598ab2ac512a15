"""The old background below the glasses, and when it is too rough to be known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout.surroundings import SIDE, smooth_background


def _sweep(height: int = 600, width: int = 800) -> np.ndarray:
    """A grey that falls off to the right and to the top, H×W×3 float32."""
    y, x = np.ogrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return ((230 - 60 * x * x - 30 * (1 - y))[..., None] * np.array([1.0, 0.98, 0.95])).astype(np.float32)


def _grainy(picture: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _ring(height: int = 600, width: int = 800) -> np.ndarray:
    """An alpha: one rim about the middle."""
    y, x = np.ogrid[:height, :width]
    radius = np.hypot(y - height / 2, x - width / 2)
    return np.where(np.abs(radius - height / 4) < height / 40, 255, 0).astype(np.uint8)


def _at_cells(picture: np.ndarray, cell: int, shape: tuple[int, ...]) -> np.ndarray:
    h, w = shape[:2]
    return picture[: h * cell, : w * cell].reshape(h, cell, w, cell, 3).mean(axis=(1, 3))


def test_an_uneven_sweep_is_known_also_below_the_glasses() -> None:
    alpha, sweep = _ring(), _sweep()
    image = _grainy(np.where(alpha[..., None] > 0, 20, sweep), 4)
    around = smooth_background(image, alpha)
    assert max(around.field.shape) <= SIDE
    assert around.field.dtype == np.float32
    assert np.abs(around.field - _at_cells(sweep, around.cell, around.field.shape)).max() < 2
    assert around.roughness < 0.01


def test_a_shadow_is_not_taken_for_background() -> None:
    alpha, sweep = _ring(), _sweep()
    y, x = np.ogrid[:600, :800]
    shadow = 0.4 * np.exp(-(((x - 400) / 160) ** 2) - ((y - 460) / 25) ** 2)
    image = _grainy(np.where(alpha[..., None] > 0, 20, sweep * (1 - shadow[..., None])), 2)
    around = smooth_background(image, alpha)
    error = around.field - _at_cells(sweep, around.cell, around.field.shape)
    assert np.abs(error).max() < 5  # the shadow takes up to 80
    assert around.roughness < 0.015


def test_rim_pixels_that_the_mask_missed_do_not_darken_the_background_next_to_them() -> None:
    alpha = _ring()
    dark = np.zeros_like(alpha)
    dark[1:], dark[:-1] = alpha[:-1], np.maximum(alpha[1:], alpha[:-1])  # the rim is a pixel wider than its mask
    image = np.where(np.maximum(dark, alpha)[..., None] > 0, 10, 200).astype(np.uint8).repeat(3, axis=2)
    around = smooth_background(image, alpha)
    assert around.seen[around.free > 0].min() >= 199


def test_stripes_are_rough() -> None:
    stripes = np.where(np.arange(800) // 20 % 2, 190.0, 150.0)[None, :, None].repeat(600, axis=0).repeat(3, axis=2)
    assert smooth_background(_grainy(stripes, 1), _ring()).roughness > 0.05


def test_without_background_there_is_nothing_to_trust() -> None:
    image = np.full((60, 80, 3), 128, np.uint8)
    assert smooth_background(image, np.full((60, 80), 255, np.uint8)).roughness == np.inf


def test_without_glasses_the_whole_photo_is_background() -> None:
    around = smooth_background(_grainy(_sweep(), 2), np.zeros((600, 800), np.uint8))
    assert around.roughness < 0.01
    assert (around.free == 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(["black", "white", "noise"]))
def test_any_size_gives_a_finite_field(height: int, width: int, look: str) -> None:
    rng = np.random.default_rng(height * 1000 + width)
    image = {"black": np.zeros, "white": lambda s, t: np.full(s, 255, t)}.get(
        look, lambda s, t: rng.integers(0, 256, s, t)
    )((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 3 : height // 2, width // 3 : width // 2] = 255
    around = smooth_background(image, alpha)
    assert np.isfinite(around.field).all()
    assert 1 <= around.field.min() <= around.field.max() <= 255
    assert around.field.shape[:2] == around.free.shape == around.distance.shape


def test_the_answer_is_the_same_every_time() -> None:
    image, alpha = _grainy(_sweep(), 5), _ring()
    first, second = smooth_background(image, alpha), smooth_background(image, alpha)
    assert np.array_equal(first.field, second.field)
    assert first.roughness == pytest.approx(second.roughness, abs=0)
