"""What a run leaves behind in addition to rows and pictures: its record, and the summary for scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from glasseg.catalog import manifest, runs
from glasseg.catalog.writer import Writer
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import roots
from glasseg.storage.roots import Root
from jobs.whiten.output import Output
from jobs.whiten.plan import Plan

TOTALS: Final = ("processed", *("ok", "review", "failed", "gone"), "held", "unchanged")
"""What is added up over several outputs."""


@dataclass(frozen=True)
class Closed:
    """What a run has left: its record at each destination, and what of them is for scripts."""

    uri: str
    """The destination, or what all of them are below."""
    records: tuple[tuple[Root, dict[str, Any]], ...]
    summary: dict[str, Any]
    summary_json: str | None
    endpoint_url: str | None

    def store(self) -> None:
        """Write all to where they belong. Raises GlassegError when that fails, after it has tried the others."""
        with ExitStack() as writing:
            if self.summary_json:
                writing.callback(_write_summary, self.summary_json, self.endpoint_url, self.summary)
            for destination, record in reversed(self.records):
                writing.callback(runs.write, destination, record["run_id"], record)

    def amend(self, facts: dict[str, Any]) -> None:
        """Add what is known only after the end, as far as it can still be written: it changes nothing else."""
        records = tuple((destination, record | facts) for destination, record in self.records)
        with suppress(GlassegError):
            replace(self, summary=self.summary | facts, records=records).store()


def close(
    uri: str,
    outputs: Sequence[Output],
    seconds: float,
    *,
    pages: bool,
    summary_json: str | None,
    endpoint_url: str | None,
) -> Closed:
    """Write the run's records to `runs/RUN.json`, and its summary also to `summary_json`, a path or s3://.

    `uri`: as in `Closed`; `pages`: whether pages are made, which name each other.
    """
    summaries = [_summary(output, seconds) for output in outputs]
    known = {"outputs": {one.name: pages and one.worked and not one.fault for one in outputs}}
    records = tuple(
        (
            output.plan.order.destination,
            _record(output, summary) | ({"output": output.name, **known} if output.name else {}),
        )
        for output, summary in zip(outputs, summaries, strict=True)
    )
    summary = _together(outputs, summaries, seconds) if outputs[0].name else summaries[0]
    closed = Closed(uri, records, summary, summary_json, endpoint_url)
    # a run that did not come to its end has an error of its own to report, perhaps that the destination is full
    with nullcontext() if summary["ended"] == "done" else suppress(GlassegError):
        closed.store()
    return closed


def _summary(output: Output, seconds: float) -> dict[str, Any]:
    """What scripts get to know of one output."""
    plan, tally, order = output.plan, output.writer.tally, output.plan.order
    return {
        "processed": tally.processed,
        **{status: tally.counts[status] for status in ("ok", "review", "failed", "gone")},
        "held": tally.held,
        "unchanged": plan.unchanged,
        **({"renamed": output.renamed} if output.renamed else {}),
        "reasons": dict(tally.reasons),
        "storage_retries": tally.retries,
        **({"checks": tally.checks(order.look.checks)} if order.look.checks else {}),
        "seconds": round(seconds, 2),
        "photos_per_second": round(tally.processed / seconds, 2) if seconds else 0.0,
        "ended": output.ended,
        "manifest": order.destination.uri_of(f"{manifest.MANIFEST}{order.run_id}/"),
        "run_id": order.run_id,
    }


def _together(outputs: Sequence[Output], summaries: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """What scripts get to know of all outputs: their pictures added up, and the summary of each."""
    endings = {output.ended for output in outputs}
    return {
        **{name: sum(summary[name] for summary in summaries) for name in TOTALS},
        **({"renamed": renamed} if (renamed := sum(output.renamed for output in outputs)) else {}),
        "seconds": round(seconds, 2),
        "ended": next(ending for ending in ("interrupted", "stopped", "done") if ending in endings),
        "run_id": outputs[0].plan.order.run_id,
        "outputs": {output.name: summary for output, summary in zip(outputs, summaries, strict=True)},
    }


def _record(output: Output, summary: dict[str, Any]) -> dict[str, Any]:
    plan, order = output.plan, output.plan.order
    return {
        **summary,
        "run_seq": order.run_seq,
        "finished_at": datetime.now(UTC).isoformat(),
        "source": order.source.uri,
        "model_id": order.model_id,
        "options_id": order.options_id,
        "options": output.options,
        "others": sum(plan.others.values()),
        "skipped": plan.others,
        "skipped_known": plan.kept,
    }


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
