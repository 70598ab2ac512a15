"""`glasseg whiten`: lock, plan, work by Ray, the run's record, and the gates that stop it."""

from __future__ import annotations

import json
import math
import re
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims, compaction, lock, manifest, records, runs
from glasseg.catalog.gates import Breaker
from glasseg.catalog.lock import Lock
from glasseg.catalog.pending import RETRY
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.lists import selection
from glasseg.storage import roots
from jobs import sizing, terminal
from jobs.destination import report
from jobs.engine import available_cpus, engine, given_cluster
from jobs.whiten import dry_run, gone, preflight, words
from jobs.whiten.ledger import Ledger
from jobs.whiten.order import Order
from jobs.whiten.plan import Plan, make_plan, open_places
from jobs.whiten.stream import GROUP_ROWS, rows_of

EXIT_FLAGGED = 3


def whiten(source_uri: str, destination_uri: str, config: WhitenConfig) -> int:
    """Whiten the pending photos of a folder, an S3 prefix or one photo into a destination; the exit code.

    Raises GlassegError when it can't run or has to stop; then, and on KeyboardInterrupt, the rows so far are kept.
    """
    with terminal.log_json(config.log_json):
        return _whiten(source_uri, destination_uri, config)


def _whiten(source_uri: str, destination_uri: str, config: WhitenConfig) -> int:
    run_id = runs.new_id()
    terminal.bind(run_id=run_id)
    if config.summary_json and not config.dry_run:
        _check_summary(config)
    places = open_places(source_uri, destination_uri, config)
    if config.dry_run:
        dry_run.show(make_plan(places, config, run_id), config)
        return 0
    roots.check_writable(places.destination)
    with lock.held(places.destination, run_id) as held:
        plan = make_plan(places, config, run_id, held.last_run_seq)
        held.note(plan.order.run_seq)
        return _run(plan, config, held)


def _run(plan: Plan, config: WhitenConfig, held: Lock) -> int:
    """Do what was planned, and leave the run's record whatever happens; the exit code."""
    words.say_plan(plan, config)
    order = plan.order
    if plan.selection and (plan.selection.unmatched or plan.selection.repeated):
        key = f"{manifest.report_folder(order.run_id)}unmatched.csv"
        records.store(order.destination, key, selection.unmatched_csv(plan.selection))
        terminal.say(f"  see {order.destination.uri_of(key)}")
    ledger, started = Ledger(order.destination, order.run_id, config.keep_seconds), time.monotonic()
    ended = "stopped"
    try:
        _work(plan, config, ledger, held)
        if plan.whole:  # otherwise pictures of killed runs may still have no row
            claims.settle(order.destination, order.run_id)
        gone.tell(plan, ledger, held, delete=config.gone == "delete")
        ended = "done"
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    except _Broken as broken:
        stopped = f"Stopped: {broken}. Look at them first; the same command with --stop-above 1 goes on."
        terminal.say(stopped, level="warning")
    finally:
        record = _close(plan, config, ledger, ended, time.monotonic() - started)
        words.say_summary(plan, ledger, record, ended)
    if config.report and (ledger.processed or ledger.counts["gone"]):
        rows = manifest.of_run(order.destination, order.run_id)
        terminal.say(f"Page: {report.write(order.destination, order.source, order.run_id, rows, record)}")
    held.check()
    compaction.compact(order.destination, order.run_id)
    if ledger.too_many_flagged(config.max_flagged):
        terminal.say(
            f"More than {config.max_flagged:.0%} (--max-flagged) failed or need review: exit code {EXIT_FLAGGED}",
            level="warning",
        )
        return EXIT_FLAGGED
    return EXIT_FLAGGED if ended == "stopped" else 0


class _Broken(Exception):
    """The run goes wrong, says the breaker, and why."""


def _work(plan: Plan, config: WhitenConfig, ledger: Ledger, held: Lock) -> None:
    """Run the plan through Ray; on any way out, what is known is flushed."""
    if not len(plan.work):
        return
    breaker = Breaker(config.stop_above, plan.usual_coverage)
    destination = plan.order.destination
    try:
        work = _refuse_names(plan, ledger)
        if not len(work):
            return
        terminal.say("Starting Ray and the workers …")
        with _engine(config), terminal.progress(len(work), "whiten") as bar:
            order, bounds = _staffed(plan.order, work, config)
            free = work.filter(pc.invert(work["guarded"]))  # what is in the place of the others may not be ours
            claims.claim(destination, order.run_id, free["output"])
            for rows in rows_of(order, plan.model, work, bounds, ledger):
                ledger.add(rows)
                bar.update(len(rows))
                held.check()
                # those that failed before say nothing of this run, and must not keep it from the others
                if reason := breaker.add([row for row in rows if row["reason"] != RETRY]):
                    raise _Broken(reason)
    finally:
        ledger.flush()
    held.check()
    claims.release(destination, plan.order.run_id)


def _staffed(order: Order, work: pa.Table, config: WhitenConfig) -> tuple[Order, tuple[int, int]]:
    """The order for workers of a size that suits the connected cluster, and the fewest and the most of them."""
    pool = sizing.connected(config.cpus_per_worker, config.gpus_per_worker)
    given = given_cluster(config.address)
    if given:
        preflight.check(order, work["key"][0].as_py())
    least, most = pool.bounds(config.workers, math.ceil(len(work) / GROUP_ROWS))
    # a machine of our own grows no nodes
    return replace(order, cpus=pool.cpus, gpus=pool.gpus, metered=bool(given)), (least, most if given else least)


def _engine(config: WhitenConfig) -> AbstractContextManager[None]:
    """Ray for a run; a cluster of our own is as large as the machine, or as the workers that were asked for."""
    asked = (config.workers or 1) * (config.cpus_per_worker or 1)
    return engine(config.address, cpus=max(asked, available_cpus()), verbose=config.verbose)


def _refuse_names(plan: Plan, ledger: Ledger) -> pa.Table:
    """Rows for photos whose names can't be outputs; the rest of the work is returned."""
    reasons = [roots.unsafe_reason(key) for key in plan.work["key"].to_pylist()]
    good = pa.array([reason is None for reason in reasons])
    refused = plan.work.filter(pc.invert(good)).to_pylist()
    for row, reason in zip(refused, filter(None, reasons), strict=True):
        ledger.add([plan.order.failed(row, "unsafe_name", f"{row['key']!r}: {reason}")])
    return plan.work.filter(good)


def _close(plan: Plan, config: WhitenConfig, ledger: Ledger, ended: str, seconds: float) -> dict[str, Any]:
    """The run's record, written to `runs/RUN.json`; its beginning goes to `--summary-json`."""
    order = plan.order
    summary = {
        "processed": ledger.processed,
        **{status: ledger.counts[status] for status in ("ok", "review", "failed", "gone")},
        "held": ledger.held,
        "unchanged": plan.unchanged,
        "reasons": dict(ledger.reasons),
        "storage_retries": ledger.retries,
        **({"checks": ledger.checks(order.look.checks)} if order.look.checks else {}),
        "seconds": round(seconds, 2),
        "photos_per_second": round(ledger.processed / seconds, 2) if seconds else 0.0,
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
        "options": config.chosen(),
        "others": plan.others,
    }
    # a run that did not come to its end has a story of its own to tell, perhaps that the destination is full
    with nullcontext() if ended == "done" else suppress(GlassegError):
        runs.write(order.destination, order.run_id, record)
        if config.summary_json:
            _write_summary(config, summary)
    return record


def _check_summary(config: WhitenConfig) -> None:
    """A wrong `--summary-json` is better known now than in the morning; what another run wrote there stays."""
    path = str(config.summary_json)
    if re.fullmatch(r"s3://[^/]*/?|s3://.*/", path):
        raise GlassegError(f"--summary-json {path} names no object: give s3://BUCKET/NAME", 2)
    try:
        if path.startswith("s3://"):
            above, _, name = path.rpartition("/")
            roots.open_root(above, endpoint_url=config.endpoint_url).exists(name)
        else:
            Path(path).open("ab").close()
    except OSError as error:
        raise GlassegError(f"--summary-json {path} can't be written: {error.strerror}") from error


def _write_summary(config: WhitenConfig, summary: dict[str, Any]) -> None:
    """Write `--summary-json`, a path or s3://."""
    path, data = str(config.summary_json), json.dumps(summary, indent=2).encode() + b"\n"
    try:
        if path.startswith("s3://"):
            above, _, name = path.rpartition("/")
            roots.open_root(above, endpoint_url=config.endpoint_url).write(name, data)
        else:
            Path(path).write_bytes(data)
    except (OSError, PhotoError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise GlassegError(f"--summary-json {path} can't be written: {reason}") from error
