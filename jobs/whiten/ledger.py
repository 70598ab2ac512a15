"""The rows of one run as they arrive: counted, kept safe as parquet parts, and summed up at the end."""

from __future__ import annotations

import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from glasseg.catalog import manifest
from glasseg.config import MARKETPLACES
from glasseg.storage.roots import Root
from jobs.whiten.order import STAYS

FLUSH_ROWS = 1000
"""Rows wait at most for so many others."""
EXAMPLES = 5
_NUMBERS = re.compile(r"[#\d][\w.:×]*")


class Ledger:
    """Takes rows, counts statuses and remembers examples; a part is written after enough rows, or `seconds`."""

    def __init__(self, destination: Root, run_id: str, seconds: float) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.flagged: list[dict[str, Any]] = []
        self.keys: list[str] = []
        """Of the photos that were worked on."""
        self.held = 0
        self.stale = 0
        """Failed photos whose older pictures stay."""
        self.retries = 0
        self.verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        self._destination, self._run_id = destination, run_id
        self._rows: list[dict[str, Any]] = []
        self._seconds, self._parts, self._flushed = seconds, 0, time.monotonic()

    @property
    def processed(self) -> int:
        """Photos that were worked on."""
        return len(self.keys)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Take the rows of photos that are done."""
        for row in rows:
            self.counts[row["status"]] += 1
            if row["status"] == "gone":
                continue
            self.keys.append(row["key"])
            self.retries += row.get("storage_retries") or 0
            self.held += manifest.is_held(row)
            self.stale += STAYS in (row.get("warnings") or ())
            self.reasons[row["reason"]] += 1
            for name in MARKETPLACES:
                if verdict := row.get(f"check_{name}"):
                    self.verdicts[name][rule_of(verdict)] += 1
            if row["status"] != "ok" and len(self.flagged) < 1000:
                self.flagged.append(row)
        self._rows += rows
        if len(self._rows) >= FLUSH_ROWS or time.monotonic() - self._flushed >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written yet; raises GlassegError when the destination does not take it."""
        if self._rows:
            manifest.write_part(self._destination, self._run_id, self._parts, self._rows)
            self._parts += 1
            self._rows = []
        self._flushed = time.monotonic()

    def too_many_flagged(self, share: float) -> bool:
        """Whether at least 5 photos, and more than `share` of those worked on, failed or need review."""
        flagged = self.counts["failed"] + self.counts["review"]
        return flagged >= 5 and flagged > share * self.processed

    def checks(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """By marketplace: how many pictures `pass` and `fail`, and which rules these break first, by frequency."""
        counted = {name: self.verdicts[name] for name in names}
        return {
            name: {
                "pass": rules["pass"],
                "fail": rules.total() - rules["pass"],
                "broken": {rule: count for rule, count in rules.most_common() if rule != "pass"},
            }
            for name, rules in counted.items()
        }

    def examples(self) -> list[dict[str, Any]]:
        """The first few photos to name to people: failures, then the others by quality, the lowest first."""

        def worst_first(row: dict[str, Any]) -> tuple[bool, float, str]:
            quality = row.get("quality")
            return row["status"] != "failed", math.inf if quality is None else quality, row["key"]

        return sorted(self.flagged, key=worst_first)[:EXAMPLES]


def rule_of(verdict: str) -> str:
    """A verdict without this picture's numbers: "fill 0.71, at least 0.85" becomes "fill …, at least 0.85"."""
    found, comma, wanted = verdict.partition(", ")
    return _NUMBERS.sub("…", found) + comma + wanted
