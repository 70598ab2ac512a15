"""What the workers of a cluster count for Prometheus, through Ray's metrics: photos, seconds of each stage, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

STAGES: Final = {"read_ms": "read", "segment_ms": "segment", "write_ms": "write"}
"""Columns of the manifest whose milliseconds are observed, and what the stage is called."""
BYTES: Final = {"source_bytes": "read", "output_bytes": "written"}
ONCE: Final = ("read_ms", "segment_ms", "source_bytes")
"""Columns that say the same in all rows of a photo, when several pictures are made of it."""
BOUNDARIES: Final = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
"""Upper bounds of the histogram's buckets, in seconds."""


class Meters:
    """Counts the rows of one worker; each metric has the tag `run_id`. Ray must be connected."""

    def __init__(self, run_id: str) -> None:
        from ray.util.metrics import Counter, Histogram

        self._photos = Counter("glasseg_photos", "Photos worked on.", ("run_id", "status"))
        self._bytes = Counter("glasseg_bytes", "Bytes of photos read and pictures written.", ("run_id", "direction"))
        self._seconds = Histogram("glasseg_stage_seconds", "Of a photo in a stage.", BOUNDARIES, ("run_id", "stage"))
        for metric in (self._photos, self._bytes, self._seconds):
            metric.set_default_tags({"run_id": run_id})

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count manifest rows; a photo of which several pictures were made was read and segmented once."""
        known = set[str]()
        for row in rows:
            self._photos.inc(1, {"status": row["status"]})
            once = ONCE if row["key"] in known else ()
            known.add(row["key"])
            for column, direction in BYTES.items():
                if row.get(column) and column not in once:
                    self._bytes.inc(row[column], {"direction": direction})
            for column, stage in STAGES.items():
                if row.get(column) is not None and column not in once:
                    self._seconds.observe(row[column] / 1000, {"stage": stage})
