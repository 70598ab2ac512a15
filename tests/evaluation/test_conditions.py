"""The conditions of a photo, measured on shapes whose answer is known."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from glasseg.drawing.photo import draw_photo
from glasseg.evaluation.conditions import CLASSES, Conditions, classes_of, conditions
from glasseg.labels.pairs import Label


def bar(angle: float, length: int = 200, side: int = 400) -> Label:
    mask = np.zeros((side, side), np.uint8)
    box = cv2.boxPoints(((side / 2, side / 2), (length, 30), angle))
    cv2.fillPoly(mask, [np.rint(box).astype(np.int32)], 255)
    nothing = np.zeros(mask.shape, bool)
    return Label(mask > 0, nothing, nothing)


@pytest.mark.parametrize("angle", [-90, -40, -8, 0, 3, 10, 30, 89])
def test_tilt_is_the_angle_to_the_horizontal(angle: float) -> None:
    measured = conditions(np.zeros((400, 400, 3), np.uint8), bar(angle))
    assert measured.tilt == pytest.approx(abs(angle), abs=1)


def test_scale_and_brightness() -> None:
    label = bar(0)
    image = np.full((400, 400, 3), 200, np.uint8)
    image[label.material] = 0
    measured = conditions(image, label)
    assert measured.scale == pytest.approx(0.5, abs=0.01) and measured.brightness == 200
    assert classes_of(measured) == {"scale": "middling", "tilt": "level, under 5°", "brightness": "bright"}


def test_nothing_to_measure_is_no_class() -> None:
    nothing = np.zeros((9, 9), bool)
    measured = conditions(np.zeros((9, 9, 3), np.uint8), Label(nothing, nothing, ~nothing))
    assert all(math.isnan(value) for value in (measured.scale, measured.tilt, measured.brightness))
    assert set(classes_of(measured).values()) == {""} and classes_of(measured).keys() == CLASSES.keys()


def turned(material: np.ndarray, angle: float) -> Label:
    """The label of an H×W bool mask on a square canvas that holds it turned by `angle` degrees."""
    height, width = material.shape
    side = int(np.hypot(height, width)) + 4
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    mask = cv2.warpAffine(material.astype(np.uint8) * 255, matrix, (side, side)) > 127
    return Label(mask, np.zeros_like(mask), np.zeros_like(mask))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("angle", [-75, -20, -5, 0, 12, 45, 88])
def test_tilt_of_glasses_turned_by_a_known_angle(seed: int, angle: float) -> None:
    drawn = draw_photo(np.random.default_rng(seed), (240, 320), scene="white").coverage > 0.5
    upright = turned(drawn, -_axis(drawn)).material
    symmetric = upright | upright[:, ::-1]  # whatever the pose, its axis is level
    label = turned(symmetric, angle)
    measured = conditions(np.zeros((*label.material.shape, 3), np.uint8), label)
    assert measured.tilt == pytest.approx(abs(angle), abs=2)


def _axis(material: np.ndarray) -> float:
    """The signed angle that levels the mask, by another way than the module's: the singular vectors of its pixels."""
    points = np.argwhere(material)[:, ::-1] - np.argwhere(material)[:, ::-1].mean(0)
    x, y = np.linalg.svd(points, full_matrices=False)[2][0]
    return -math.degrees(math.atan2(y, x))


def test_brightness_is_that_of_the_scored_background() -> None:
    material, opening, ignored = np.zeros((3, 10, 10), bool)
    material[2:4], opening[4:6], ignored[6:8] = True, True, True
    image = np.full((10, 10, 3), 50, np.uint8)
    image[material], image[opening], image[ignored] = 255, 100, 255
    measured = conditions(image, Label(material, opening, ignored))
    assert measured.brightness == pytest.approx((6 * 50 - 2 * 50 + 2 * 100) / 6)
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 0] = 255  # luma of RGB, not of BGR
    assert conditions(red, Label(material, opening, ignored)).brightness == pytest.approx(76, abs=1)


def test_scale_is_the_longest_side_over_the_longest_side() -> None:
    tall = np.zeros((50, 200), bool)
    tall[5:45, 90:100] = True  # 40 high in a photo that is 200 wide
    nothing = np.zeros_like(tall)
    measured = conditions(np.zeros((50, 200, 3), np.uint8), Label(tall, nothing, nothing))
    assert measured.scale == pytest.approx(40 / 200) and measured.tilt == pytest.approx(90)


def test_a_lone_pixel_and_a_full_frame_have_conditions() -> None:
    lone = np.zeros((20, 40), bool)
    lone[3, 7] = True
    nothing = np.zeros_like(lone)
    image = np.zeros((20, 40, 3), np.uint8)
    assert conditions(image, Label(lone, nothing, nothing)).scale == pytest.approx(1 / 40)
    full = conditions(image, Label(~nothing, nothing, nothing))
    assert (full.scale, full.tilt) == (1, 0) and math.isnan(full.brightness)


def test_classes_are_in_order_and_an_edge_belongs_to_the_upper_one() -> None:
    for name, classes in CLASSES.items():
        ends = [end for end, _ in classes]
        assert ends == sorted(ends) and ends[-1] == math.inf
        assert len({word for _, word in classes}) == len(classes)
        for (end, below), (_, above) in itertools.pairwise(classes):
            measured = {"scale": 0.1, "tilt": 0.0, "brightness": 0.0}
            assert classes_of(Conditions(**{**measured, name: end - 1e-6}))[name] == below
            assert classes_of(Conditions(**{**measured, name: end}))[name] == above
