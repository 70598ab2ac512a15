"""Threshold and ramp from counts: they find what made a probability, and counts may be summed."""

from __future__ import annotations

import numpy as np
import pytest

from glasseg.model import threshold


def disc(side: int = 96) -> np.ndarray:
    """The soft coverage of a disc, float32 in [0, 1], with an edge 6 pixels wide."""
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    return np.clip((side / 3 - np.hypot(x, y)) / 6 + 0.5, 0, 1).astype(np.float32)


def levels(share: np.ndarray) -> np.ndarray:
    return np.round(share * 255).astype(np.uint8)


@pytest.mark.parametrize(("level", "ramp"), [(0.5, 0.5), (0.4, 0.3), (0.6, 0.8)])
def test_threshold_and_ramp_of_a_known_network_are_found(level: float, ramp: float) -> None:
    coverage = disc()
    # alpha = (p - t) / w + 0.5 turned round; at the ends the network is as sure as can be
    probability = np.where(coverage > 0, np.where(coverage < 1, (coverage - 0.5) * ramp + level, 1), 0)
    tally = threshold.tally(levels(probability), levels(coverage), np.full(coverage.shape, 255, np.uint8))
    found = threshold.choose(tally)
    assert found[0] == pytest.approx(level, abs=0.03) and found[1] == pytest.approx(ramp, abs=0.11)


def test_what_is_not_scored_counts_nowhere() -> None:
    coverage, weight = levels(disc()), np.full((96, 96), 255, np.uint8)
    weight[:40] = 0
    spoiled = coverage.copy()
    spoiled[:40] = 255 - spoiled[:40]
    assert np.array_equal(threshold.tally(coverage, coverage, weight), threshold.tally(spoiled, coverage, weight))


def test_the_ious_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(3)
    probability, coverage = (rng.integers(0, 256, (20, 20), dtype=np.uint8) for _ in range(2))
    tally = threshold.tally(probability, coverage, np.full((20, 20), 255, np.uint8))
    ious = tally[threshold.LEVELS * threshold.SHARES :]
    assert len(tally) == threshold.TALLY_LENGTH and tally[: -threshold.LEVELS].sum() == 400
    for level in (0, 1, 77, 128, 255):
        found, truth = probability >= level, coverage >= 128
        assert ious[level] == pytest.approx((found & truth).sum() / (found | truth).sum())


def test_nothing_found_where_nothing_is_true_is_perfect() -> None:
    nothing = np.zeros((4, 4), np.uint8)
    tally = threshold.tally(nothing, nothing, np.full((4, 4), 255, np.uint8))
    assert tally[-threshold.LEVELS :][0] == 0 and (tally[-threshold.LEVELS :][1:] == 1).all()


def test_an_untrained_network_gets_a_threshold_that_a_model_folder_takes() -> None:
    coverage = levels(disc())
    tally = threshold.tally(np.full_like(coverage, 128), coverage, np.full_like(coverage, 255))
    chosen, ramp = threshold.choose(tally)
    assert 0.3 <= chosen <= 0.7 and ramp >= 0.2
