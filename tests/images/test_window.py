"""A part of a photo and the way back to all of it."""

from __future__ import annotations

import numpy as np

from glasseg.images.window import Window


def test_a_part_is_put_back_where_it_was() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    window = Window(slice(4, 9), slice(10, 30), (20, 30))
    whole = window.on(window.of(photo), (1, 2, 3))
    assert window.shape == (5, 20) and window.origin == (10, 4)
    assert np.array_equal(whole[4:9, 10:], photo[4:9, 10:])
    whole[4:9, 10:] = (1, 2, 3)
    assert (whole == (1, 2, 3)).all()
    assert not window.on(np.ones((5, 20), np.uint8))[:4].any()


def test_all_of_a_photo_is_no_copy() -> None:
    photo = np.zeros((20, 30, 3), np.uint8)
    window = Window.whole(photo.shape)
    assert window.on(photo) is photo and np.shares_memory(window.of(photo), photo)


def test_a_window_grows_no_further_than_the_photo() -> None:
    grown = Window(slice(4, 9), slice(10, 28), (20, 30)).grown(5)
    assert grown == Window(slice(0, 14), slice(5, 30), (20, 30))
