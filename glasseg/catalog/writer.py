"""The rows of one run on their way into the manifest: kept safe as parts while they arrive, and counted."""

from __future__ import annotations

import time

from glasseg.catalog import manifest
from glasseg.catalog.schema import Row, Status
from glasseg.catalog.tally import Tally
from glasseg.storage.roots import Root

FLUSH_ROWS = 1000
"""Rows wait at most for so many others."""


class Writer:
    """Takes the rows of a run and writes a part after enough of them, or after `seconds`."""

    def __init__(self, destination: Root, run_id: str, seconds: float) -> None:
        self.tally = Tally()
        self.keys: list[str] = []
        """The photos that were worked on."""
        self.published: list[str] = []
        """The outputs that were put in their places."""
        self._destination, self._run_id = destination, run_id
        self._rows: list[Row] = []
        self._seconds, self._parts, self._flushed = seconds, 0, time.monotonic()

    def add(self, rows: list[Row]) -> None:
        """Take the rows of photos that are done, or gone. Raises GlassegError as `flush` does."""
        self.tally.add(rows)
        self.keys += [row["key"] for row in rows if row["status"] != Status.GONE]
        # mostly the same strings as the keys: of ten million photos others would take a gigabyte
        placed = ((row["key"], row["output_key"]) for row in rows if row["published"])
        self.published += [key if key == output else output for key, output in placed if output]
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
