"""One destination of a run: what is planned for it, and what has been done. Most runs have only one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glasseg.catalog.gates import Breaker
from glasseg.catalog.lock import Lock
from glasseg.catalog.writer import Writer
from glasseg.errors import GlassegError
from jobs.whiten.export import Export
from jobs.whiten.plan import Plan


@dataclass
class Output:
    """A destination at work."""

    name: str
    """The table of `--outputs`; "" without it."""
    options: Mapping[str, object]
    """Those that differ from their defaults, for the record."""
    plan: Plan
    own_lock: Lock
    writer: Writer
    breaker: Breaker
    export: Export | None = None
    renamed: int = 0
    """Pictures that have moved to another name."""
    ended: str = "stopped"
    fault: GlassegError | None = None
    """Why this one did not come to its end, when others may have."""

    @property
    def worked(self) -> bool:
        """Whether the run has done something here that a page can show."""
        tally = self.writer.tally
        return bool(tally.processed or tally.counts["gone"])
