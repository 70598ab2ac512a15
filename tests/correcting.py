"""`glasseg whiten` and `glasseg correct` in the tests' own process."""

from __future__ import annotations

from typing import Any

import inprocess

from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.storage.roots import Root
from jobs.correct import run as job
from jobs.whiten.executor import Executor


def whiten(places: tuple[Root, Root], **options: Any) -> int:
    source, destination = places
    return inprocess.whiten(
        source.uri, destination.uri, WhitenConfig(**{"report": False, "max_flagged": 1.0, **options})
    )


def correct(
    destination: Root, given: str | None = None, executor: Executor = inprocess.in_process, **options: Any
) -> int:
    return job.correct(destination.uri, given, CorrectConfig(**options), executor=executor)
