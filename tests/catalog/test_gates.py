"""A worse picture does not replace a good one, and a run that goes wrong is stopped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.catalog.gates import JUDGED_FROM, Breaker, held_code, jumped
from glasseg.errors import REVIEW_CODES

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("code", "coverage", "standing", "before", "held"),
    [
        (None, 0.1, None, None, None),
        ("no_glasses", 0.0, None, None, None),
        ("uncertain_mask", 0.1, "ok", 0.1, "uncertain_mask"),
        ("uncertain_mask", 0.1, "review", 0.1, None),
        (None, 0.1, "ok", 0.15, None),
        (None, 0.1, "ok", 0.21, "coverage_jump"),
        (None, 0.21, "ok", 0.1, "coverage_jump"),
        (None, 0.21, "review", 0.1, "coverage_jump"),
        (None, 0.004, "ok", 0.009, None),
        (None, 0.2, "ok", None, None),
        (None, 0.2, "review", 0.0, None),
        ("uncertain_mask", 0.2, "ok", 0.0, "uncertain_mask"),
        ("cut_off", 0.9, "ok", 0.1, "cut_off"),
    ],
)
def test_what_may_replace_what(
    code: str | None, coverage: float, standing: str | None, before: float | None, held: str | None
) -> None:
    assert held_code(code, coverage, standing, before) == held
    assert held is None or held in REVIEW_CODES


@given(SHARES, SHARES)
def test_a_jump_is_one_in_both_directions(one: float, other: float) -> None:
    assert jumped(one, other) == jumped(other, one)
    assert not jumped(one, one) and not jumped(one, None)


def rows(n: int, status: str = "ok", coverage: float | None = 0.1) -> list[dict[str, Any]]:
    return [{"status": status, "mask_coverage": coverage}] * n


def test_a_run_is_judged_only_after_fifty_photos() -> None:
    breaker = Breaker(0.5, None)
    assert breaker.add(rows(JUDGED_FROM - 1, "failed", None)) is None
    assert breaker.add(rows(1, "failed", None)) == "50 of the last 50 photos failed or need review"


def test_good_years_do_not_outweigh_what_goes_wrong_now() -> None:
    breaker = Breaker(0.5, 0.1)
    for _ in range(100):
        assert breaker.add(rows(100)) is None
    assert breaker.add(rows(501, "failed", None)) == "501 of the last 1000 photos failed or need review"


def test_a_breaker_that_is_switched_off_never_stops() -> None:
    assert Breaker(1.0, 0.1).add(rows(500, "failed", coverage=0.9)) is None


def test_half_may_be_flagged_but_not_more() -> None:
    breaker = Breaker(0.5, None)
    assert breaker.add(rows(25) + rows(25, "review")) is None
    assert "51" in str(breaker.add(rows(1, "review")))


def test_photos_that_are_only_doubted_stop_no_run_and_hopeless_ones_do() -> None:
    doubted = [{"status": "review", "error_code": "uncertain_mask", "quality": 0.8, "mask_coverage": 0.1}] * 100
    assert Breaker(0.5, None).add(doubted) is None
    for quality in (0.3, None):  # None: a model without a calibration doubts only what is mostly undecided
        assert "100 of the last 100" in str(Breaker(0.5, None).add([{**row, "quality": quality} for row in doubted]))
    assert "100 of the last 100" in str(Breaker(0.5, None).add([{**doubted[0], "error_code": "no_glasses"}] * 100))


@pytest.mark.parametrize(
    ("usual", "now", "stops"), [(0.1, 0.15, False), (0.1, 0.25, True), (0.1, 0.04, True), (None, 0.9, False)]
)
def test_masks_that_are_all_larger_or_smaller_than_before_stop_the_run(
    usual: float | None, now: float, stops: bool
) -> None:
    assert bool(Breaker(0.5, usual).add(rows(60, coverage=now))) is stops


def test_photos_that_failed_have_no_coverage_to_judge() -> None:
    assert Breaker(0.9, 0.1).add(rows(30, coverage=0.9) + rows(30, "failed", None)) is None
