"""The quality of a mask: signs finite for anything, growing with their fault, and no calibration that is none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout.matte import to_alpha
from glasseg.model.quality import FEATURES, Calibration, features

SIZE = (360, 480)
CALIBRATION = Calibration(("worst", "parts"), (0.5, 0.25), (1.5, 0.5), (-0.75, -0.5), 2.0, 0.875)


def glasses() -> np.ndarray:
    """The probability of two tinted lenses and a bridge, H×W float32: decided, with an edge of a pixel or two."""
    shape = np.zeros(SIZE, np.uint8)
    for x in (150, 330):
        cv2.ellipse(shape, (x, 180), (70, 50), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.line(shape, (218, 170), (262, 170), 255, 10, cv2.LINE_AA)
    return cv2.GaussianBlur(shape, (0, 0), 1).astype(np.float32) / 255


def signs(probability: np.ndarray, agreement: float | None = 0.95) -> dict[str, float]:
    alpha = to_alpha(probability, 0.5, 0.4)
    return dict(zip(FEATURES, features(alpha, probability, agreement).tolist(), strict=True))


@st.composite
def masks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """An alpha and a probability that need not fit together: noise, patches, nothing, everything."""
    size = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    alpha = rng.integers(0, 256, size, dtype=np.uint8)
    probability = rng.random(size, dtype=np.float32)
    y, x = rng.integers(0, size[0] + 1), rng.integers(0, size[1] + 1)
    alpha[: draw(st.sampled_from([0, y, size[0]]))] = draw(st.sampled_from([0, 255]))
    probability[:, : draw(st.sampled_from([0, x, size[1]]))] = draw(st.sampled_from([0.0, 0.5, 1.0]))
    return alpha, probability


@settings(max_examples=200)
@given(masks(), st.none() | st.floats(0, 1))
def test_every_mask_has_finite_signs(mask: tuple[np.ndarray, np.ndarray], agreement: float | None) -> None:
    before = mask[0].copy(), mask[1].copy()
    vector = features(*mask, agreement)
    assert vector.shape == (len(FEATURES),) and vector.dtype == np.float64 and np.isfinite(vector).all()
    assert 0 <= CALIBRATION.predict(vector) <= 1
    assert np.array_equal(mask[0], before[0]) and np.array_equal(mask[1], before[1])


@pytest.mark.parametrize("size", [(3, 5000), (5000, 3), (1, 1), (1201, 1603), (1024, 1024)])
def test_photos_of_any_shape_have_signs(size: tuple[int, int]) -> None:
    probability = np.zeros(size, np.float32)
    probability[: size[0] // 2 + 1, : size[1] // 2 + 1] = 0.9
    assert np.isfinite(features(to_alpha(probability, 0.5, 0.4), probability, None)).all()


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_larger_photo_of_the_same_has_the_same_features(factor: int) -> None:
    small = cv2.GaussianBlur(glasses(), (0, 0), 3)
    large = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    for name, value in signs(small).items():
        assert signs(large)[name] == pytest.approx(value, abs=0.12), name


def test_signs_of_one_mask_are_not_lost_in_a_large_photo() -> None:
    alone, wide = glasses(), np.zeros((1440, 1920), np.float32)
    wide[1000 : 1000 + SIZE[0], 100 : 100 + SIZE[1]] = alone
    for name, value in signs(alone).items():
        assert signs(wide)[name] == pytest.approx(value, abs=0.15), name


def with_patch(value: float, box: tuple[slice, slice]) -> np.ndarray:
    probability = glasses()
    probability[box] = value
    return probability


LENS = (slice(150, 210), slice(110, 190))
FAULTS = {
    "undecided": with_patch(0.6, LENS),
    "worst": with_patch(0.6, LENS),
    "left_out": with_patch(0.25, (slice(20, 90), slice(60, 420))),
    "edge": cv2.GaussianBlur(glasses(), (0, 0), 6),
    "parts": with_patch(0.0, (slice(None), slice(225, 255))),
    "sides": with_patch(0.7, LENS),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_raises_its_sign(name: str) -> None:
    assert signs(FAULTS[name])[name] > signs(glasses())[name] + 0.1


def test_looks_that_disagree_raise_the_sign_of_the_finder() -> None:
    values = [signs(glasses(), agreement)["finder"] for agreement in (None, 1.0, 0.9, 0.5, 0.1, 0.0)]
    assert values[0] == values[1] and values[1:] == sorted(values[1:]) and values[1] < values[2] < values[-1]


def test_one_mask_is_one_part_and_two_halves_are_two() -> None:
    assert signs(glasses())["parts"] == 0
    assert signs(FAULTS["parts"])["parts"] == pytest.approx(np.log(2), abs=0.01)


@given(st.lists(st.floats(-1e9, 1e9), min_size=len(FEATURES), max_size=len(FEATURES)))
def test_a_quality_is_a_share_whatever_the_signs(values: list[float]) -> None:
    quality = CALIBRATION.predict(np.array(values))
    assert type(quality) is float and 0 <= quality <= 1


def test_only_the_signs_that_a_calibration_names_count() -> None:
    vector = np.zeros(len(FEATURES))
    before = CALIBRATION.predict(vector)
    for i, name in enumerate(FEATURES):
        worse = vector.copy()
        worse[i] = 1
        assert (CALIBRATION.predict(worse) < before) == (name in CALIBRATION.features)
    assert before == pytest.approx(1 / (1 + np.exp(-(2.0 + 0.75 * 0.5 / 1.5 + 0.5 * 0.25 / 0.5))))


def test_a_calibration_comes_back_from_json() -> None:
    again = Calibration.from_dict(json.loads(json.dumps(CALIBRATION.to_dict())))
    assert again == CALIBRATION and again.id == CALIBRATION.id == "f33fea5c9965", "rows of older runs name this id"


@pytest.mark.parametrize(
    "change",
    [
        {"features": ("worst", "edge")},
        {"means": (0.5, 0.5)},
        {"scales": (1.5, 0.6)},
        {"weights": (-0.75, -0.4)},
        {"intercept": 2.5},
        {"review_below": 0.9},
    ],
)
def test_the_id_changes_with_every_number(change: dict[str, Any]) -> None:
    assert replace(CALIBRATION, **change).id != CALIBRATION.id


GOOD = CALIBRATION.to_dict()


@pytest.mark.parametrize(
    "found",
    [
        [],
        "quality",
        {},
        {**GOOD, "added": 1},
        {name: value for name, value in GOOD.items() if name != "weights"},
        {**GOOD, "features": ["worst", "beauty"]},
        {**GOOD, "features": ["worst", "worst"]},
        {**GOOD, "features": ["worst"]},
        {**GOOD, "features": None},
        {**GOOD, "means": [0.5]},
        {**GOOD, "means": 0.5},
        {**GOOD, "scales": [1.5, 0]},
        {**GOOD, "weights": [-0.75, float("nan")]},
        {**GOOD, "weights": [-0.75, "much"]},
        {**GOOD, "intercept": float("inf")},
        {**GOOD, "intercept": None},
        {**GOOD, "review_below": 1.5},
    ],
)
def test_what_is_no_calibration_is_refused(found: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Calibration.from_dict(found)
