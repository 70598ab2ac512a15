"""Rim pixels lose the old background's colour; nothing else changes."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from glasseg.cutout.foreground import decontaminate
from glasseg.images.compositing import compose


def mixed(glasses: tuple[int, int, int], background: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A soft ellipse of glasses on a background: the photo, its true alpha, and the same glasses on white."""
    alpha = np.zeros((300, 420), np.uint8)
    cv2.ellipse(alpha, (210, 150), (140, 80), 10, 0, 360, 255, 24)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.6)
    share = alpha[..., None] / 255
    photo, on_white = (
        share * np.array(glasses) + (1 - share) * np.array(behind) for behind in (background, (255,) * 3)
    )
    noise = np.random.default_rng(3).normal(0, 2, photo.shape)
    return np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8), alpha, np.rint(on_white).astype(np.uint8)


@pytest.mark.parametrize("glasses", [(20, 20, 24), (190, 30, 40), (225, 215, 190)])
@pytest.mark.parametrize("background", [(205, 205, 208), (40, 60, 200), (30, 28, 25)])
def test_the_old_background_leaves_no_rim_on_white(
    glasses: tuple[int, int, int], background: tuple[int, int, int]
) -> None:
    photo, alpha, on_white = mixed(glasses, background)
    rim = (alpha > 0) & (alpha < 255)
    before, after = (compose(one, alpha).astype(int) for one in (photo, decontaminate(photo, alpha)))
    errors = [np.abs(one - on_white)[rim].mean() for one in (before, after)]
    assert errors[1] < max(3.0, errors[0] / 2)


def test_only_rim_pixels_change_and_the_photo_stays_as_it_was() -> None:
    photo, alpha, _ = mixed((20, 20, 24), (40, 60, 200))
    kept = photo.copy()
    result = decontaminate(photo, alpha)
    decided = (alpha == 0) | (alpha == 255)
    assert np.array_equal(photo, kept)
    assert np.array_equal(result[decided], photo[decided]) and not np.array_equal(result, photo)


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_without_a_rim_changes_nothing(value: int) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(decontaminate(photo, np.full((40, 50), value, np.uint8)), photo)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5)])
def test_tiny_photos_are_no_trouble(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo, alpha = rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.integers(0, 256, size, dtype=np.uint8)
    assert decontaminate(photo, alpha).shape == photo.shape


def test_many_rim_pixels_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    photo, alpha = rng.integers(0, 256, (1500, 2000, 3), dtype=np.uint8), np.full((1500, 2000), 128, np.uint8)
    tracemalloc.start()
    decontaminate(photo, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the result is 3 bytes a pixel, the list of rim pixels 8
    assert peak < 20 * alpha.size
