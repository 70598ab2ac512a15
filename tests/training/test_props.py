"""What lies on glasses and in front of them: seen in the picture, and background in the truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glasseg.training import props

SIDE = 160


@pytest.fixture
def opening() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (80, 80), 40, 255, -1)
    return mask


def grey() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), 120, np.uint8)


def violet() -> np.ndarray:
    """A colour that neither cards nor fingers have."""
    return np.full((SIDE, SIDE, 3), (250, 0, 250), np.uint8)


def test_what_is_on_a_clear_lens_stays_on_it(opening: np.ndarray) -> None:
    changed = 0
    for seed in range(40):
        out = props.on_clear_lenses(grey(), opening, np.random.default_rng(seed))
        assert out.dtype == np.uint8 and (out[opening == 0] == 120).all()
        changed += (out != 120).any()
    assert 10 < changed < 40


def test_glasses_without_clear_lenses_are_left_alone() -> None:
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    assert all((props.on_clear_lenses(grey(), nothing, np.random.default_rng(i)) == 120).all() for i in range(20))


def test_what_a_tag_or_a_finger_covers_is_background(opening: np.ndarray) -> None:
    coverage = cv2.bitwise_not(opening)
    covered = 0
    for seed in range(120):
        image, material, rest = props.in_front(violet(), coverage, opening, np.random.default_rng(seed))
        hidden = (image != violet()).any(axis=2)
        assert (material[~hidden] == coverage[~hidden]).all() and (rest[~hidden] == opening[~hidden]).all()
        assert (material <= coverage).all() and (rest <= opening).all()
        gone = (coverage > 0) & (material == 0)
        covered += gone.any()
    assert 5 <= covered <= 30


def test_nothing_is_put_in_front_of_no_glasses() -> None:
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    for seed in range(40):
        image, *_ = props.in_front(grey(), nothing, nothing, np.random.default_rng(seed))
        assert (image == 120).all()
