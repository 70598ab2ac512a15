"""What the network saw in a part of a photo, at the photo's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glasseg.images.window import Window
from glasseg.model import turns
from glasseg.model.letterbox import Letterbox, halved
from glasseg.model.segmentation import Segmentation, _shrunk

SIZE = (240, 320)
PART = Window(slice(40, 120), slice(88, 248), SIZE)


def seen(quarters: int = 0) -> Segmentation:
    """A disc in a part of the photo, which the first look saw smaller."""
    disc = np.zeros((64, 64), np.float32)
    cv2.circle(disc, (30, 33), 9, 1, -1)
    coarse = np.zeros((32, 32), np.float32)
    cv2.circle(coarse, (16, 14), 2, 1, -1)
    first = (coarse, Letterbox(SIZE, (32, 32), (24, 32), 4, 0))
    return Segmentation(disc, Letterbox(PART.shape, (64, 64), (32, 64), 16, 0), PART, first, quarters)


def test_around_the_part_that_was_looked_at_there_is_nothing() -> None:
    one = seen()
    whole = one.probability
    assert whole.shape == SIZE and PART.of(whole).max() > 0.9 and whole.sum() == pytest.approx(PART.of(whole).sum())
    wider = PART.grown(13)
    assert np.array_equal(one.within(wider), wider.of(whole))


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_photo_that_was_looked_at_turned_is_turned_back(quarters: int) -> None:
    turned = seen(quarters)
    assert turned.window == Window.whole(SIZE[::-1])
    assert np.array_equal(turned.probability, turns.turned(seen().probability, -quarters))
    assert turned.agreement() == seen().agreement()


def test_agreement_is_the_same_in_any_window() -> None:
    one, wider = seen(), PART.grown(13)
    agreement = one.agreement()
    assert agreement is not None and 0.1 < agreement < 0.9
    assert one.agreement(one.within(wider), wider) == agreement


@pytest.mark.parametrize("size", [SIZE, (241, 321), (480, 640)])
@pytest.mark.parametrize(
    "part", [(slice(40, 120), slice(88, 248)), (slice(3, 71), slice(5, 320)), (slice(0, 240),) * 2]
)
def test_a_part_is_shrunk_as_the_whole_is(part: tuple[slice, slice], size: tuple[int, int]) -> None:
    window = Window(*part, size)
    values = cv2.GaussianBlur(np.random.default_rng(0).random(window.shape, dtype=np.float32), (0, 0), 3)
    expected = cv2.resize(halved(window.on(values), (50, 70)), (70, 50), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(_shrunk(values, window, (50, 70)), expected, atol=0.02) and expected.max() > 0.4
