"""The outline of a mask lies where its alpha is one half, to a fraction of a pixel, with its holes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glasseg.cutout.clipping import outline


def area(knots: np.ndarray) -> float:
    """Of the polygon of knots, with its sign."""
    points = knots[:, 1]
    return float((points.conj() * np.roll(points, -1)).imag.sum()) / 2


def box(knots: np.ndarray) -> tuple[float, float, float, float]:
    points = knots[:, 1]
    return points.real.min(), points.imag.min(), points.real.max(), points.imag.max()


@pytest.mark.parametrize("alpha", [np.zeros((20, 30), np.uint8), np.full((20, 30), 127, np.uint8)])
def test_nothing_opaque_has_no_outline(alpha: np.ndarray) -> None:
    assert outline(alpha, 0.5) == []


def test_the_outline_is_that_of_pixels_and_not_of_their_centres() -> None:
    alpha = np.zeros((60, 80), np.uint8)
    alpha[10:40, 20:70] = 255
    [knots] = outline(alpha, 0.1)
    assert box(knots) == pytest.approx((20, 10, 70, 40), abs=0.11)


def test_a_pixel_that_is_partly_covered_moves_the_outline_by_its_share() -> None:
    alpha = np.zeros((60, 80), np.uint8)
    alpha[10:40, 20:70] = 255
    alpha[10:40, [19, 70]] = 100
    [knots] = outline(alpha, 0.1)
    beyond = (255 - 127.5) / (255 - 100)  # of the way from the last full pixel's centre to the next one's
    assert box(knots) == pytest.approx((20.5 - beyond, 10, 69.5 + beyond, 40), abs=0.11)


def test_what_reaches_the_edge_of_a_picture_ends_there() -> None:
    [knots] = outline(np.full((40, 50), 255, np.uint8), 0.1)
    assert box(knots) == pytest.approx((0, 0, 50, 40), abs=0.11)
    assert (knots.real >= -0.11).all() and (knots.imag <= 40.11).all()


def test_a_hole_turns_the_other_way_and_what_lies_in_it_turns_back() -> None:
    alpha = np.zeros((200, 200), np.uint8)
    for radius, value in ((90, 255), (60, 0), (30, 255)):
        cv2.circle(alpha, (100, 100), radius, value, -1, cv2.LINE_AA)
    outer, hole, island = sorted(outline(alpha, 0.5), key=lambda knots: -abs(area(knots)))
    assert area(outer) * area(hole) < 0 < area(outer) * area(island)


def test_dust_is_left_out() -> None:
    alpha = np.zeros((60, 80), np.uint8)
    cv2.circle(alpha, (40, 30), 20, 255, -1)
    alpha[3, 3] = 255
    alpha[30, 40] = 0
    assert len(outline(alpha, 0.5)) == 1
