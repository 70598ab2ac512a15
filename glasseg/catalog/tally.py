"""What became of the photos of one run, in numbers, and the few that people should hear of first."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from glasseg.catalog import reviewed
from glasseg.catalog.schema import Row, Status, is_held
from glasseg.config import MARKETPLACES

EXAMPLES = 5
FEW = 3
"""Photos that say nothing of a run when all of them fail, if they are fewer."""
OLDER_STAYS = "the older picture stays where it is"
"""A warning in the row of a failed photo that has an older picture."""
_DROPPED = frozenset(reviewed.DROPPED.values())
TOO_SMALL: Final = "enlargement, see --max-upscale"
"""Part of a warning in the row of a picture that is smaller than was asked for."""
_NUMBERS = re.compile(r"[#\d][\w.:×]*")


class Tally:
    """Counts rows by status, reason and verdict, and remembers the worst of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """Rows by status, those of photos that are gone included."""
        self.reasons: Counter[str] = Counter()
        self.worst: list[Row] = []
        """Failures, then photos for review by quality, the lowest first; `EXAMPLES` at most."""
        self.held = 0
        """Pictures that were held back."""
        self.stale = 0
        """Failed photos whose older pictures stay."""
        self.small = 0
        """Pictures whose photos would have to be enlarged too much."""
        self.dropped = 0
        """Photos on which a person's word holds no longer."""
        self.dropped_key = ""
        """The first of them."""
        self.retries = 0
        """Requests to the storage that were repeated."""
        self._verdicts: dict[str, Counter[str]] = defaultdict(Counter)

    @property
    def processed(self) -> int:
        """Photos that were worked on."""
        return self.reasons.total()

    @property
    def flagged(self) -> int:
        """Photos that failed or need review."""
        return self.counts[Status.FAILED] + self.counts[Status.REVIEW]

    def add(self, rows: Iterable[Row]) -> None:
        """Count the rows of photos that are done, or gone."""
        for row in rows:
            self.counts[row["status"]] += 1
            if row["status"] == Status.GONE:
                continue
            self.reasons[row["reason"]] += 1
            self.retries += row.get("storage_retries") or 0
            self.held += is_held(row)
            self.stale += OLDER_STAYS in (row.get("warnings") or ())
            self.small += any(TOO_SMALL in warning for warning in row.get("warnings") or ())
            if not _DROPPED.isdisjoint(row.get("warnings") or ()):
                self.dropped += 1
                self.dropped_key = self.dropped_key or row["key"]
            for name in MARKETPLACES:
                if verdict := row.get(f"check_{name}"):
                    self._verdicts[name][rule_of(str(verdict))] += 1
            if row["status"] != Status.OK:
                self.worst = heapq.nsmallest(EXAMPLES, [*self.worst, row], key=_badness)

    def too_many_flagged(self, share: float) -> bool:
        """Whether at least 5 photos, and more than `share` of those worked on, failed or need review."""
        return self.flagged >= 5 and self.flagged > share * self.processed

    @property
    def all_failed(self) -> bool:
        """Whether at least `FEW` photos were worked on, and not one of them has a picture."""
        return self.processed >= FEW and self.counts[Status.FAILED] == self.processed

    def checks(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """By marketplace: how many pictures `pass` and `fail`, and which rules these break first, by frequency."""
        counted = {name: self._verdicts[name] for name in names}
        return {
            name: {
                "pass": rules["pass"],
                "fail": rules.total() - rules["pass"],
                "broken": {rule: count for rule, count in rules.most_common() if rule != "pass"},
            }
            for name, rules in counted.items()
        }


def _badness(row: Row) -> tuple[bool, float, str]:
    """What sorts rows that are not ok: failures, then the others by quality, the lowest first."""
    quality = row.get("quality")
    return row["status"] != Status.FAILED, math.inf if quality is None else quality, row["key"]


def rule_of(verdict: str) -> str:
    """A verdict without this picture's numbers: "fill 0.71, at least 0.85" becomes "fill …, at least 0.85"."""
    found, comma, wanted = verdict.partition(", ")
    return _NUMBERS.sub("…", found) + comma + wanted
