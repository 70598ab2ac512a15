"""What a run leaves behind in addition to rows and pictures: its record, and the summary for scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from glasseg.catalog import manifest, runs
from glasseg.catalog.tally import Tally
from glasseg.catalog.writer import Writer
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import roots
from glasseg.storage.roots import Root
from jobs.whiten.plan import Plan


@dataclass(frozen=True)
class Closed:
    """What a run has left: its record, and the part of it that is for scripts."""

    destination: Root
    summary: dict[str, Any]
    record: dict[str, Any]
    summary_json: str | None
    endpoint_url: str | None

    def store(self) -> None:
        """Write both to where they belong. Raises GlassegError when that fails."""
        runs.write(self.destination, self.record["run_id"], self.record)
        if self.summary_json:
            _write_summary(self.summary_json, self.endpoint_url, self.summary)

    def amend(self, facts: dict[str, Any]) -> None:
        """Add what is known only after the end, as far as it can still be written: it changes nothing else."""
        with suppress(GlassegError):
            replace(self, summary=self.summary | facts, record=self.record | facts).store()


def close(
    plan: Plan,
    tally: Tally,
    ended: str,
    seconds: float,
    *,
    renamed: int = 0,
    options: Mapping[str, object],
    summary_json: str | None,
    endpoint_url: str | None,
) -> Closed:
    """Write the run's record to `runs/RUN.json`, and its summary also to `summary_json`, a path or s3://."""
    order = plan.order
    summary = {
        "processed": tally.processed,
        **{status: tally.counts[status] for status in ("ok", "review", "failed", "gone")},
        "held": tally.held,
        "unchanged": plan.unchanged,
        **({"renamed": renamed} if renamed else {}),
        "reasons": dict(tally.reasons),
        "storage_retries": tally.retries,
        **({"checks": tally.checks(order.look.checks)} if order.look.checks else {}),
        "seconds": round(seconds, 2),
        "photos_per_second": round(tally.processed / seconds, 2) if seconds else 0.0,
        "ended": ended,
        "manifest": order.destination.uri_of(f"{manifest.MANIFEST}{order.run_id}/"),
        "run_id": order.run_id,
    }
    record = {
        **summary,
        "run_seq": order.run_seq,
        "finished_at": datetime.now(UTC).isoformat(),
        "source": order.source.uri,
        "model_id": order.model_id,
        "options_id": order.options_id,
        "options": options,
        "others": sum(plan.others.values()),
        "skipped": plan.others,
        "skipped_known": plan.kept,
    }
    closed = Closed(order.destination, summary, record, summary_json, endpoint_url)
    # a run that did not come to its end has an error of its own to report, perhaps that the destination is full
    with nullcontext() if ended == "done" else suppress(GlassegError):
        closed.store()
    return closed


def published(plan: Plan, writer: Writer) -> pa.ChunkedArray:
    """The outputs that rows name, those of this run included."""
    return pa.chunked_array([*plan.published.chunks, pa.array(writer.published, pa.string())], pa.string())


def check_summary(path: str, endpoint_url: str | None) -> None:
    """Raise GlassegError for a `--summary-json` that can't be written: better now than in the morning.

    What another run wrote there stays.
    """
    if re.fullmatch(r"s3://[^/]*/?|s3://.*/", path):
        raise GlassegError(f"--summary-json {path} names no object: give s3://BUCKET/NAME", 2)
    try:
        if path.startswith("s3://"):
            above, _, name = path.rpartition("/")
            roots.open_root(above, endpoint_url=endpoint_url).exists(name)
        else:
            Path(path).open("ab").close()
    except OSError as error:
        raise GlassegError(f"--summary-json {path} can't be written: {error.strerror}") from error


def _write_summary(path: str, endpoint_url: str | None, summary: Mapping[str, Any]) -> None:
    data = json.dumps(summary, indent=2).encode() + b"\n"
    try:
        if path.startswith("s3://"):
            above, _, name = path.rpartition("/")
            roots.open_root(above, endpoint_url=endpoint_url).write(name, data)
        else:
            Path(path).write_bytes(data)
    except (OSError, PhotoError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise GlassegError(f"--summary-json {path} can't be written: {reason}") from error
