"""A calibration from judged masks: it ranks masks, groups do not leak, the line catches the share it should."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.cutout.matte import to_alpha
from glasseg.drawing.photo import draw_photo
from glasseg.evaluation.calibration import (
    CAUGHT,
    GOOD,
    LEAST,
    Evidence,
    auc,
    calibrate,
    cross_fit,
    fit,
    reliability,
    review_line,
)
from glasseg.evaluation.metrics import score
from glasseg.labels.pairs import Label
from glasseg.model.quality import FEATURES, features

SIZE = (180, 240)


def spoilt(coverage: np.ndarray, rng: np.random.Generator, harm: float) -> np.ndarray:
    """The probability of a network that is as unsure and as wrong as `harm` (0 to 1); H×W float32.

    That share of the picture's 24 × 24 places is undecided, and part of what is undecided comes out wrong.
    """
    doubt = cv2.resize((rng.random((8, 8)) < harm).astype(np.float32), SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    noise = cv2.resize(rng.normal(0, 0.3, (24, 24)).astype(np.float32), SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(coverage, (0, 0), 0.8)
    return np.clip(soft + doubt * (0.5 - soft + noise), 0, 1)


def judged(count: int, seed: int, harm: float | None = None) -> Evidence:
    """Masks of drawn glasses, harmed at random or as asked, each with its own truth; a third are composites."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        drawn = draw_photo(rng, SIZE)
        label = Label(drawn.coverage >= 0.5, np.zeros(SIZE, bool), np.zeros(SIZE, bool))
        share = rng.uniform(0, 0.6) if harm is None else harm
        probability = spoilt(drawn.coverage, rng, share)
        alpha = to_alpha(probability, 0.5, 0.4)
        rows.append(
            {
                "kind": "studio" if number % 3 == 0 else "scene",
                "group": f"group {number // 2}",
                "strict_iou": score(alpha, label).strict_iou,
                "confidence": 1 - share,
                "features": features(alpha, probability, None).tolist(),
            }
        )
    return Evidence.of(rows)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return judged(90, seed=1)


def test_masks_that_were_harmed_more_get_a_lower_quality(evidence: Evidence) -> None:
    calibration, worth = calibrate(evidence)
    assert 0.2 < np.mean(evidence.truth < GOOD) < 0.95, "there are good and bad masks"
    qualities = [
        np.mean([calibration.predict(vector) for vector in judged(12, seed=2, harm=harm).features])
        for harm in (0.0, 0.15, 0.3, 0.5)
    ]
    assert qualities == sorted(qualities, reverse=True) and qualities[0] > qualities[-1] + 0.2
    assert worth["photos"]["auc"] > 0.8 and worth["photos"]["n"] + worth["composites"]["n"] == 90
    predicted = cross_fit(evidence)
    assert abs(float(np.average(predicted - evidence.truth, weights=evidence.weights))) < 0.03


def test_quality_never_rises_with_a_sign(evidence: Evidence) -> None:
    calibration, _ = calibrate(evidence)
    for vector in evidence.features[:20]:
        for i in range(len(FEATURES)):
            worse = vector.copy()
            worse[i] += 0.5
            assert calibration.predict(worse) <= calibration.predict(vector)


def test_a_sign_that_would_raise_the_quality_is_left_out() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(300, len(FEATURES)))
    truth = 1 / (1 + np.exp(vectors[:, 0] - vectors[:, 1] - 1))  # the second one means good
    calibration = fit(vectors, truth, np.ones(300), 0.9)
    assert "undecided" in calibration.features and "worst" not in calibration.features
    assert calibration.weights[calibration.features.index("undecided")] < -0.5


def test_a_group_has_no_part_in_its_own_prediction(evidence: Evidence) -> None:
    before = cross_fit(evidence)
    mine = evidence.groups == "group 7"
    truth = np.where(mine, 1 - evidence.truth, evidence.truth)
    after = cross_fit(Evidence(evidence.features, truth, evidence.confidence, evidence.real, evidence.groups))
    assert np.array_equal(before[mine], after[mine]) and not np.array_equal(before, after)


def test_photos_and_composites_weigh_the_same_in_sum(evidence: Evidence) -> None:
    weights = evidence.weights
    assert weights[evidence.real].sum() == pytest.approx(weights[~evidence.real].sum()) and weights.mean() == 1
    alone = Evidence(*(part[evidence.real] for part in vars(evidence).values()))
    assert (alone.weights == 1).all()


def test_masks_in_which_nothing_was_found_teach_nothing() -> None:
    row = {"kind": "scene", "group": "a", "strict_iou": 0.0, "confidence": None, "features": None}
    assert len(Evidence.of([row]).truth) == 0 and not Evidence.of([row]).enough


def test_too_few_photos_or_groups_are_no_evidence(evidence: Evidence) -> None:
    def some(count: int, groups: np.ndarray) -> Evidence:
        parts = (evidence.features, evidence.truth, evidence.confidence, evidence.real, groups)
        return Evidence(*(part[:count] for part in parts))

    assert some(LEAST, evidence.groups).enough and not some(LEAST - 1, evidence.groups).enough
    one = some(LEAST, np.full(90, "one"))
    assert not one.enough
    with pytest.raises(ValueError, match="40 judged photos"):
        calibrate(one)
    with pytest.raises(ValueError, match="two groups"):
        cross_fit(one)


@given(st.integers(1, 60), st.integers(0, 10**6))
def test_the_line_catches_four_of_five_and_is_no_higher_than_it_must_be(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth, weights = rng.random(count), rng.uniform(0.5, 1, count), rng.uniform(0.1, 2, count)
    bad = truth < GOOD
    line = review_line(predicted, truth, weights)
    if not bad.any():
        assert line == GOOD
        return

    def caught(below: float) -> float:
        return float(weights[bad & (predicted < below)].sum() / weights[bad].sum())

    assert caught(line) >= CAUGHT - 1e-9 and caught(line - 0.001) < CAUGHT + 1e-9


def test_a_line_is_where_the_last_of_the_caught_masks_is() -> None:
    predicted, truth = np.linspace(0.5, 0.9, 5), np.array([0.8, 0.8, 0.8, 0.8, 0.8])
    assert review_line(predicted, truth, np.ones(5)) == 0.801  # four of five: 0.5, 0.6, 0.7 and 0.8
    assert review_line(predicted, truth, np.array([1, 1, 1, 1, 9])) == 0.901


def test_the_area_under_the_curve_counts_pairs() -> None:
    scores, bad = np.array([0.1, 0.4, 0.4, 0.9]), np.array([True, True, False, False])
    assert auc(scores, bad) == (2 + 1.5) / 4
    assert auc(scores, np.ones(4, bool)) is None


def test_a_reliability_table_has_every_mask_once() -> None:
    predicted = np.array([0.0, 0.69, 0.7, 0.85, 0.95, 1.0])
    truth = np.array([0.1, 0.3, 0.95, 0.8, 0.99, 0.89])
    table = reliability(predicted, truth)
    assert [(row["from"], row["to"], row["n"]) for row in table] == [
        (0.0, 0.7, 2), (0.7, 0.8, 1), (0.8, 0.9, 1), (0.95, 1.0, 2),
    ]  # fmt: skip
    assert table[0]["quality"] == pytest.approx(0.345) and table[0]["strict_iou"] == pytest.approx(0.2)
    assert [row["bad"] for row in table] == [1.0, 0.0, 1.0, 0.5]
    assert reliability(np.array([]), np.array([])) == []
