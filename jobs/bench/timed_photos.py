"""Which photos of a run are timed, so that neither a slow start nor a slow end is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from glasseg.errors import GlassegError
from jobs.whiten.stream import BATCH_ROWS

NETWORK_ROWS: Final = 8


@dataclass(frozen=True)
class Window:
    """Photos of a run in the order in which they finish: `skip` warm it up, `count` are timed, `tail` keep it busy."""

    skip: int
    count: int
    tail: int

    @property
    def total(self) -> int:
        """Photos that the run needs."""
        return self.skip + self.count + self.tail


def plan(photos: int, processes: int) -> Window:
    """A window of `photos` that is fair for up to `processes` workers.

    Every worker finishes about one Ray batch before it opens. Ray may have handed two batches to each worker when the
    last one is out, so that many photos are left when it closes, and nobody is idle yet.
    """
    rows = min(BATCH_ROWS, math.ceil(photos / processes / NETWORK_ROWS) * NETWORK_ROWS)
    return Window(skip=processes * rows, count=photos, tail=max(1, 2 * (processes - 1)) * rows)


def rate(rows: Sequence[dict[str, Any]], window: Window) -> float:
    """Photos/s inside the window, from manifest rows. Raises GlassegError when photos failed or are missing."""
    for row in rows:
        if row.get("fatal") or row["status"] == "failed":
            raise GlassegError(f"the bench stopped: {row.get('fatal') or row['error']}")
    if len(rows) != window.total:
        raise GlassegError(f"the bench stopped: {window.total - len(rows)} photos were lost with a worker that died")
    return steady([row["finished_at"].timestamp() for row in rows], window)


def steady(finished: Sequence[float], window: Window) -> float:
    """Photos/s between the moments at which photos `skip` and `skip + count` were finished (seconds, in any order)."""
    times = sorted(finished)
    return window.count / (times[window.skip + window.count - 1] - times[window.skip - 1])
