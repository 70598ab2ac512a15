"""What a bench still has to do, for the person who waits: which step of how many, and about how many seconds."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.terminal import say


class Steps:
    """Counts the steps. `seconds` are those that each of the steps to come will take, once that can be told."""

    def __init__(self, total: int) -> None:
        self._total, self._number = total, 0
        self._seconds: list[float] = []

    def expect(self, seconds: Sequence[float]) -> None:
        """From now on these are the seconds that each step to come will take."""
        self._seconds = list(seconds)

    def next(self, what: str) -> None:
        """Say which step begins."""
        self._number += 1
        left = f", about {max(10, round(sum(self._seconds), -1)):.0f} s left" if self._seconds else ""
        say(f"step {self._number} of {self._total}{left}: {what}")
        del self._seconds[:1]
