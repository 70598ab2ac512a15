"""Quality gates: which picture may replace the one that stands there, and when a whole run is stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import Final

from glasseg.catalog.schema import Row, Status
from glasseg.errors import ReviewCode

JUDGED_FROM: Final = 50
"""Photos of a run after which it is judged, and pictures that earlier runs must have to be compared with."""

WINDOW: Final = 1000
"""Rows that a run is judged by: in a long one the first half million must not outweigh what goes wrong now."""

JUMP: Final = 2.0
"""Two coverages further apart than this factor show different things."""
_SPECK: Final = 0.01
"""Coverages that differ by less than this are alike, whatever their factor."""

_HOPELESS: Final = 0.5
"""Quality below which a mask that is doubted counts for stopping a run. A third of a hard catalog may be doubted, and
rightly: that is work for people, not a run gone wrong."""

_BLANK: Final = 0.0005
"""Coverage below which a picture shows nothing: it was published as `no_glasses`, or released by somebody."""


def jumped(one: float | None, other: float | None) -> bool:
    """Whether two coverages, [0, 1] or None where unknown, are further apart than photos of one product are."""
    if one is None or other is None:
        return False
    return max(one, other) > JUMP * min(one, other) and abs(one - other) > _SPECK


def held_code(
    code: ReviewCode | None, coverage: float | None, standing_status: str | None, standing_coverage: float | None
) -> ReviewCode | None:
    """Why a new picture may not replace the one that stands there, as an `error_code`; None when it may.

    A picture that needs `review` (`code` says why) does not replace an `ok` one, and none replaces a picture whose
    mask covered far more or less, unless that one is blank. Where none stands (`standing_status` is None) every picture
    may be published.
    """
    if code and standing_status == Status.OK:
        return code
    if standing_coverage is not None and standing_coverage < _BLANK:
        return None  # anything is better
    return "coverage_jump" if standing_status and jumped(coverage, standing_coverage) else None


def _is_wrong(row: Row) -> bool:
    """Whether a manifest row counts for stopping its run: it failed, or needs review for more than a doubt."""
    quality = row.get("quality")
    doubted = row.get("error_code") == "uncertain_mask" and quality is not None and quality >= _HOPELESS
    return row["status"] != Status.OK and not doubted


class Breaker:
    """Judges a run by its last rows as they arrive.

    `most_flagged`: the share that may fail or need review, [0, 1); 1 switches it off. `usual_coverage`: the median of
    earlier runs, None when unknown.
    """

    def __init__(self, most_flagged: float, usual_coverage: float | None) -> None:
        self._most, self._usual = most_flagged, usual_coverage
        self._flags: deque[bool] = deque(maxlen=WINDOW)
        self._coverages: deque[float] = deque(maxlen=WINDOW)

    def add(self, rows: Iterable[Row]) -> str | None:
        """Why the run has to stop, in words, or None."""
        for row in rows:
            self._flags.append(_is_wrong(row))
            if (coverage := row.get("mask_coverage")) is not None:
                self._coverages.append(coverage)
        if self._most >= 1 or len(self._flags) < JUDGED_FROM:
            return None
        if (flagged := sum(self._flags)) > self._most * len(self._flags):
            return f"{flagged} of the last {len(self._flags)} photos failed or need review"
        if self._usual is not None and len(self._coverages) >= JUDGED_FROM:
            middle = median(self._coverages)
            if jumped(middle, self._usual):
                return f"the masks cover {middle:.1%} of a photo in the middle, {self._usual:.1%} in earlier runs"
        return None
