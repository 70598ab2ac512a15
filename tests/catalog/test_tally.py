"""What people are told of the photos that need them: the worst first, and by how much."""

from __future__ import annotations

from typing import Any

from glasseg.catalog.tally import EXAMPLES, Tally
from glasseg.errors import REVIEW_CODES
from jobs.whiten.writing import _why


def row(key: str, status: str, quality: float | None) -> dict[str, Any]:
    return {"key": key, "status": status, "quality": quality, "reason": "new", "published": True, "output_key": key}


def test_failures_are_named_first_and_then_the_lowest_quality() -> None:
    tally = Tally()
    named = [("a", 0.9), ("b", None), ("c", 0.4), ("d", 0.7)]
    tally.add([row(key, "review", quality) for key, quality in named])
    tally.add([row("e", "failed", None), row("f", "ok", 0.1)])
    assert [one["key"] for one in tally.worst] == ["e", "c", "d", "a", "b"]


def test_a_failure_after_thousands_of_reviews_is_still_named_first() -> None:
    tally = Tally()
    for number in range(1500):
        tally.add([row(f"{number}", "review", 0.5)])
    tally.add([row("late", "failed", None), row("worst", "review", 0.1)])
    assert [one["key"] for one in tally.worst[:2]] == ["late", "worst"]
    assert len(tally.worst) == EXAMPLES and tally.flagged == 1502


def test_all_have_failed_when_none_of_at_least_three_has_a_picture() -> None:
    tally = Tally()
    for number, expected in enumerate((False, False, True, True)):
        tally.add([row(f"{number}", "failed", None)])
        assert tally.all_failed is expected
    tally.add([row("gone", "gone", None)])
    assert tally.all_failed, "what left the source was not worked on"
    tally.add([row("a", "review", 0.1)])
    assert not tally.all_failed


def test_a_doubt_is_told_with_its_number_and_everything_else_by_its_code() -> None:
    assert _why("uncertain_mask", 0.664, 0.87).endswith("may be wrong in places: its quality is 0.66, below 0.87")
    assert _why("uncertain_mask", 0.9999, 1.0).endswith("its quality is 0.99, below 1")
    assert _why("uncertain_mask", None, 0.87) == REVIEW_CODES["uncertain_mask"]
    assert _why("ring_not_clean", 0.98, 0.87) == REVIEW_CODES["ring_not_clean"]
