"""`glasseg whiten`: pending photos → actors that hold the model → manifest rows → parquet, by Ray Data."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from glasseg import catalog, manifest, modelfolder, storage
from glasseg.catalog import Pending
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.framing import Framing
from glasseg.keys import printable
from glasseg.look import Look, colour_of, contradiction
from glasseg.modelfolder import ModelFolder
from glasseg.storage import Root
from jobs import report, rescue
from jobs.engine import available_cpus, engine, room
from jobs.ledger import Ledger
from jobs.worker import PENDING, Order, Whitener

EXIT_FLAGGED = 3
BATCH_ROWS = 32
"""Photos per Ray task: about two seconds of work on a core, and the most that a lost worker costs."""
LOST_BATCHES = 100
"""A run that loses more batches than this to dying workers stops: it is the machines then, not a photo."""


@dataclass(frozen=True)
class Plan:
    """What a run is going to do, found out before Ray starts."""

    order: Order
    model: ModelFolder
    work: list[Pending]
    found: int
    unchanged: int
    others: int


def whiten(source_uri: str, destination_uri: str, config: WhitenConfig) -> int:
    """Whiten the pending photos of a folder, an S3 prefix or one photo into a destination; the exit code.

    Raises GlassegError when it can't run or has to stop; then, and on KeyboardInterrupt, the rows so far are kept.
    """
    plan = make_plan(source_uri, destination_uri, config)
    report.say_plan(plan, config)
    ledger, started = Ledger(plan.order.destination, plan.order.run_id), time.monotonic()
    ended = "stopped"
    try:
        if plan.work:
            _work(plan, config, ledger)
        ended = "done"
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    finally:
        summary = _close(plan, config, ledger, ended, time.monotonic() - started)
        report.say_summary(plan, ledger, summary, ended)
    return EXIT_FLAGGED if ledger.too_many_flagged(config.max_flagged) else 0


def make_plan(source_uri: str, destination_uri: str, config: WhitenConfig) -> Plan:
    """Everything that can be refused is refused here, before any work: nested places, files in the way, no model."""
    look = look_of(config)
    if config.summary_json:
        _write_summary(config.summary_json, {})  # a wrong path is better known now than in the morning
    storage.refuse_nested(source_uri, destination_uri)
    source, names = storage.open_source(source_uri, endpoint_url=config.endpoint_url)
    destination = storage.open_root(destination_uri, endpoint_url=config.endpoint_url)
    model = modelfolder.load(config.model, endpoint_url=config.endpoint_url)
    found, others = catalog.photos(_listing(source, names), config.format, look.colour is None)
    if not found:
        raise GlassegError(f"no photos in {source_uri} ({others} other files): is it the right place?")
    storage.check_writable(destination)
    state, outputs = manifest.state(destination), catalog.outputs_of(destination)
    pending = catalog.pending(
        found,
        state,
        outputs,
        model_id=model.spec.model_id,
        options_id=config.options_id,
        max_pixels=config.max_pixels,
    )
    work = pending[: config.limit]
    if not config.overwrite:
        ours = manifest.written(destination) | manifest.claimed(destination)
        catalog.refuse_foreign((p.photo.output for p in work), outputs, ours, destination.uri)
    order = Order(
        source=source,
        destination=destination,
        run_id=manifest.new_run_id(),
        run_seq=manifest.next_run_seq(destination, state),
        model_id=model.spec.model_id,
        options_id=config.options_id,
        mask=config.mask,
        quality=config.quality,
        max_pixels=config.max_pixels,
        cpus=config.cpus_per_worker,
        gpus=config.gpus_per_worker,
        look=look,
    )
    return Plan(order, model, work, len(found), len(found) - len(pending), others)


def look_of(config: WhitenConfig) -> Look:
    """The look that the options ask for. Raises GlassegError, as wrong usage, when they contradict each other."""
    try:
        framing = Framing(config.frame, config.fill, config.size, config.straighten, config.max_upscale)
        colour_of(config.background)
    except ValueError as error:
        raise GlassegError(str(error), 2) from error
    look = Look(config.background, config.lenses, config.shadow, framing, config.check)
    if reason := contradiction(look, config.format, config.quality):
        raise GlassegError(reason, 2)
    return look


def _listing(source: Root, names: list[str] | None) -> Iterator[storage.Entry]:
    """The source's listing, or only the entries called `names`."""
    if names is None:
        return source.list()
    return (entry for name in names for entry in source.list(name) if entry.key == name)


def _work(plan: Plan, config: WhitenConfig, ledger: Ledger) -> None:
    """Run the plan through Ray; on any way out, what is known is flushed."""
    work = _refuse_names(plan, ledger)
    try:
        report.say("Starting Ray and the workers …")
        with _engine(config), report.progress(len(work), "whiten") as bar:
            manifest.claim(plan.order.destination, plan.order.run_id, [p.photo.output for p in work])
            for rows in stream(plan.order, plan.model, work, config):
                ledger.add(rows)
                bar.update(len(rows))
            lost = [p for p in work if p.photo.entry.key not in ledger.keys]
            for redone in rescue.redo(plan.order, plan.model, _tables(lost, 1)):
                for rows in _checked(redone):
                    ledger.add(rows)
                    bar.update(len(rows))
    finally:
        ledger.flush()
    if plan.found - plan.unchanged == len(plan.work):  # not with --limit: a killed run's pictures may be left
        manifest.release(plan.order.destination)


def _engine(config: WhitenConfig) -> AbstractContextManager[None]:
    """Ray for a run; a cluster of our own is as large as the machine, or as the workers that were asked for."""
    asked = (config.workers or 1) * config.cpus_per_worker
    return engine(config.address, cpus=max(asked, available_cpus()), verbose=config.verbose)


def _refuse_names(plan: Plan, ledger: Ledger) -> list[Pending]:
    """Rows for photos whose names can't be outputs; the rest is returned."""
    good = []
    for pending, row in zip(plan.work, _rows(plan.work), strict=True):
        if reason := storage.unsafe_reason(pending.photo.entry.key):
            ledger.add([plan.order.failed(row, "unsafe_name", f"{row['key']!r}: {reason}")])
        else:
            good.append(pending)
    return good


def stream(
    order: Order, model: ModelFolder, work: Sequence[Pending], config: WhitenConfig
) -> Iterator[list[dict[str, Any]]]:
    """Manifest rows of `work`, batch by batch as they are done. Batches whose worker died give none.

    Raises GlassegError when a worker says that the run has to stop. Ray must be connected.
    """
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext
    from ray.util.annotations import RayDeprecationWarning

    if not work:
        return
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.memory_usage_poll_interval_s = None  # else every worker walks its own memory map once a second
    context.max_errored_blocks = LOST_BATCHES  # those photos are redone one by one
    most = room(config.cpus_per_worker, config.gpus_per_worker)
    workers = config.workers or min(most, math.ceil(len(work) / BATCH_ROWS))  # a worker takes seconds to start
    # few photos: smaller tasks, so that every worker gets some; whole network batches all the same
    rows = min(BATCH_ROWS, max(8, math.ceil(len(work) / workers / 8) * 8))
    with warnings.catch_warnings():
        # the one way to bound retries; Ray will rename it in 2.64, which pyproject.toml excludes
        warnings.simplefilter("ignore", RayDeprecationWarning)
        rows_out = ray.data.from_arrow(_tables(work, rows)).map_batches(
            Whitener,
            fn_constructor_args=(order, model),
            batch_format="pyarrow",
            batch_size=rows,
            zero_copy_batch=True,
            compute=ActorPoolStrategy(size=min(workers, math.ceil(len(work) / rows)), max_tasks_in_flight_per_actor=2),
            num_cpus=config.cpus_per_worker,
            num_gpus=config.gpus_per_worker,
            ray_remote_args_fn=lambda: {"max_restarts": LOST_BATCHES, "max_task_retries": 0},
        )
    try:
        for batch in rows_out.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from _checked(batch.to_pylist())
    except ray.exceptions.RayActorError as error:
        if "creation task" in str(error):  # the model could not be set up: a bug, and its traceback is in the error
            raise
        raise GlassegError("the workers keep dying, out of memory perhaps: see why with --verbose") from error


def _checked(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The manifest rows among a worker's `rows`; GlassegError after them when one says that the run has to stop."""
    yield [row for row in rows if row["fatal"] is None]
    for row in rows:
        if row["fatal"] is not None:
            raise GlassegError(row["fatal"])


def _rows(work: Sequence[Pending]) -> Iterator[dict[str, Any]]:
    """Pending photos as rows of `PENDING`."""
    for pending in work:
        yield {
            "key": printable(pending.photo.entry.key),
            "output": printable(pending.photo.output),
            "etag": pending.photo.entry.etag,
            "reason": pending.reason,
            "replaced_run_id": pending.replaced_run_id,
        }


def _tables(work: Sequence[Pending], rows: int) -> list[pa.Table]:
    """Tables of `PENDING` with `rows` photos each."""
    pending = _rows(work)
    return [pa.Table.from_pylist(some, schema=PENDING) for some in iter(lambda: list(islice(pending, rows)), [])]


def _close(plan: Plan, config: WhitenConfig, ledger: Ledger, ended: str, seconds: float) -> dict[str, Any]:
    """The run's summary, written to `runs/RUN.json` and to `--summary-json`."""
    order = plan.order
    summary = {
        "processed": ledger.processed,
        **{status: ledger.counts[status] for status in ("ok", "review", "failed")},
        "unchanged": plan.unchanged,
        **({"checks": ledger.checks(order.look.checks)} if order.look.checks else {}),
        "seconds": round(seconds, 2),
        "photos_per_second": round(ledger.processed / seconds, 2) if seconds else 0.0,
        "manifest": order.destination.uri_of(f"{manifest.MANIFEST}{order.run_id}/"),
        "run_id": order.run_id,
    }
    record = {
        **summary,
        "run_seq": order.run_seq,
        "ended": ended,
        "finished_at": datetime.now(UTC).isoformat(),
        "source": order.source.uri,
        "model_id": order.model_id,
        "options_id": order.options_id,
        "options": config.chosen(),
        "reasons": dict(ledger.reasons),
        "others": plan.others,
    }
    # a run that did not come to its end has a story of its own to tell, perhaps that the destination is full
    with nullcontext() if ended == "done" else suppress(GlassegError):
        manifest.write_run(order.destination, order.run_id, record)
        if config.summary_json:
            _write_summary(config.summary_json, summary)
    return summary


def _write_summary(path: str, summary: dict[str, Any]) -> None:
    try:
        Path(path).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise GlassegError(f"--summary-json {path} can't be written: {error.strerror}") from error
