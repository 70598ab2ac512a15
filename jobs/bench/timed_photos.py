"""Which photos of a turn are timed, how many a turn has, and how many all turns of a way need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from glasseg.errors import GlassegError
from jobs.whiten.stream import BATCH_PHOTOS

CLUMP_ROWS: Final = 16
"""Photos that a process may finish at about the same time, as with Ray Data's recipe; so turns have whole clumps."""


@dataclass(frozen=True)
class Window:
    """Which photos of a turn are timed: after some for each of `processes`, `count` of them.

    It closes early after `seconds`, once each process has finished another one.
    """

    processes: int
    count: int
    seconds: float


def affordable(rate: float, seconds: float, processes: int) -> int:
    """Photos that fit into a turn of `seconds` at `rate` photos/s: whole clumps of every process, or Ray tasks.

    Without whole clumps the last photos of a turn would arrive together, or just not.
    """
    clump = processes * (BATCH_PHOTOS if rate * seconds >= processes * BATCH_PHOTOS else CLUMP_ROWS)
    return max(1, int(rate * seconds) // clump) * clump


def whole_clumps(count: int, processes: int) -> int:
    """The least number of photos from `count` that is made of whole clumps of every process."""
    clump = processes * CLUMP_ROWS
    return math.ceil(count / clump) * clump


def needed(count: int, rounds: int, processes: int) -> int:
    """Photos for all turns of a way, and as many again: none may run out, and no two processes are equally fast."""
    return 2 * (rounds * count + (rounds + 1) * processes * BATCH_PHOTOS)


def refuse_failed(rows: Iterable[Mapping[str, object]]) -> None:
    """Raise GlassegError when one of the manifest rows says that its photo failed, or that its run had to stop."""
    for row in rows:
        if row.get("fatal") or row["status"] == "failed":
            raise GlassegError(str(row.get("fatal") or row["error"]))


def steady(finished: Iterable[float], skip: int, count: int) -> float:
    """Photos/s between the moments at which photos `skip` and `skip + count` were finished (seconds, in any order)."""
    times = sorted(finished)
    return count / (times[skip + count - 1] - times[skip - 1])
