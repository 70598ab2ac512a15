"""What people see of a run: the first line, the progress, the closing summary. Words go to stderr, data to stdout."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from jobs.ledger import Ledger

if TYPE_CHECKING:
    from jobs.whiten import Plan

PLAIN_SECONDS = 10.0
"""Without a terminal, a plain progress line this often."""

REASONS_SAID = {
    "new": "new",
    "changed": "changed",
    "redo": "to be redone",
    "retry": "to try again",
    "unfinished": "with a picture of an unfinished run",
    "model": "of another model",
    "options": "of other options",
    "missing": "whose picture is missing",
}
"""A reason of the manifest as people read it after a number."""

RATE_SECONDS = 2.0
"""No rate before it was measured for so long: batches that come at the same moment would make it thousands."""


class Bar(Protocol):
    """What moves as photos are done."""

    def update(self, n: int) -> object: ...


_fields: ContextVar[dict[str, Any] | None] = ContextVar("fields", default=None)
"""What every line of a log in JSON says besides; None while lines are for people."""


@contextmanager
def log_json(wanted: bool) -> Iterator[None]:
    """Make what `say` says within the block lines of JSON, an error that ends the block included."""
    if not wanted:
        yield
        return
    token = _fields.set({})
    try:
        yield
    except GlassegError as error:
        say(str(error), level="error", exit_code=error.exit_code)
        raise click.exceptions.Exit(error.exit_code) from error
    finally:
        _fields.reset(token)


def bind(**fields: Any) -> None:
    """Let all further lines of a log in JSON have these fields."""
    if (bound := _fields.get()) is not None:
        bound.update(fields)


def say(line: str = "", **facts: Any) -> None:
    """One line for people, or, within `log_json`, an object with `time`, `level`, `message` and the `facts`."""
    bound = _fields.get()
    if bound is None:
        click.echo(line, err=True)
    elif line.strip():
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"time": now, "level": "info", **bound, "message": line.strip(), **facts}
        click.echo(json.dumps(entry, default=str), err=True)


def say_plan(plan: Plan, config: WhitenConfig, doing: str = "Whitening") -> None:
    """What will be done: how many photos and why, which model, where."""
    order, n = plan.order, len(plan.work)
    why = ", ".join(
        f"{count:,} {REASONS_SAID[reason]}" for reason, count in plan.reasons.items() if reason in REASONS_SAID
    )
    notes = {
        "up to date": plan.unchanged,
        "left for later (--limit)": plan.pending - n,
        "gone from the source": len(plan.gone),
        "other files skipped": plan.others,
    }
    beside = "".join(f", {count:,} {what}" for what, count in notes.items() if count)
    unsolved = ", ".join(f"{count:,} {status}" for status, count in plan.unsolved.items())
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    where = "this machine" if address == "local" else address
    say(f"{doing} {n:,} photo{'s' * (n != 1)} of {order.source.uri}{f' ({why})' if why else ''}{beside}")
    if unsolved:
        say(f"  of those up to date: {unsolved} (see glasseg status {order.destination.uri})")
    say(f"  to {order.destination.uri} with model {order.model_id} on {where}")
    if config.gone == "delete" and not plan.whole:
        say("  nothing is deleted: only a run over the whole listing of the source tells what is gone")
    if not plan.listed:
        say(f"  {order.destination.uri} can't be listed: pictures that were removed from it by hand are not noticed")
    if plan.selection and (n := len(plan.selection.unmatched)):
        first = "; ".join(f"row {one.row}, {one.name!r}, {one.reason}" for one in plan.selection.unmatched[:3])
        say(f"  {n:,} row{'s' * (n != 1)} of {config.photos} choose{'s' * (n == 1)} no photo: {first}{', …' * (n > 3)}")


@contextmanager
def progress(total: int, what: str) -> Iterator[Bar]:
    """A progress bar with photos/s and the time left; plain lines where there is no terminal."""
    if sys.stderr.isatty() and _fields.get() is None:
        from tqdm import tqdm

        with tqdm(total=total, unit=" photos", desc=what, smoothing=0.1, dynamic_ncols=True) as bar:
            yield bar
    else:
        yield _PlainBar(total)


class _PlainBar:
    """Progress as plain lines, for logs. The rate leaves the first photos out: they waited for Ray to start."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._first = total, 0, 0
        self._began = self._said = 0.0

    def update(self, n: int) -> None:
        self._done += n
        now = time.monotonic()
        if not self._began:
            self._began, self._first = now, self._done
        if now - self._said >= PLAIN_SECONDS or self._done == self._total:
            say(f"{self._done} of {self._total} photos{self._rate(now)}", done=self._done, total=self._total)
            self._said = now

    def _rate(self, now: float) -> str:
        measured = now - self._began
        rate = (self._done - self._first) / measured if measured >= RATE_SECONDS else 0.0
        return f", {rate:.1f} photos/s, {(self._total - self._done) / rate:.0f} s left" if rate else ""


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as text: numbers to the right, words to the left, the last column as wide as it likes."""
    lines = [tuple(head), *map(tuple, rows)]
    right = [all(line[i].strip("0123456789,.") == "" for line in lines[1:]) for i in range(len(head))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def say_summary(plan: Plan, ledger: Ledger, summary: dict[str, Any], ended: str) -> None:
    """How it went, the first few photos to look at, and where the manifest is; one line of it on stdout."""
    for row in ledger.examples():
        facts = {"level": "warning"} | {name: row[name] for name in ("key", "status", "error_code")}
        say(f"  {row['status']:<7} {row['key']}: {row['error_code']}: {row['error']}", **facts)
    flagged = ledger.counts["failed"] + ledger.counts["review"]
    if flagged > len(ledger.examples()):
        say(f"  … and {flagged - len(ledger.examples())} more in the manifest")
    _say_checks(summary.get("checks", {}))
    deleted = bool(summary["gone"]) and summary["options"].get("gone") == "delete"
    if not len(plan.work) and not deleted:
        say("Nothing to do: every photo is up to date.")
    if summary["held"]:
        where = f"glasseg release {plan.order.destination.uri} {summary['run_id']}"
        say(f"  {summary['held']} held back, their older pictures stay; to publish them: {where}")
    if ledger.stale:
        whose = "whose older picture stays" if ledger.stale == 1 else "whose older pictures stay"
        say(f"  {ledger.stale} failed {whose}")
    if summary["gone"]:
        say(f"  {summary['gone']} gone from the source{', their pictures deleted' * deleted}")
    if ledger.processed:
        say(f"Manifest: {summary['manifest']}")
    if n := summary["storage_retries"]:
        say(f"The storage was slow or failed now and then: {n:,} request{'s were' if n > 1 else ' was'} repeated.")
    if ended == "interrupted":
        say("Interrupted: the rows so far are kept, the same command goes on from there.")
    if ended == "stopped" and not ledger.processed:
        return  # an error says why nothing was done
    result = (
        f"ok {summary['ok']}, review {summary['review']}, failed {summary['failed']} "
        f"in {summary['seconds']:.1f} s ({summary['photos_per_second']:.1f} photos/s)"
    )
    if _fields.get() is not None:
        say(result, summary=summary)
    click.echo(result)


def _say_checks(checks: dict[str, Any]) -> None:
    """For each marketplace how many pictures pass, and what the others break first."""
    for name, counts in checks.items():
        if not counts["pass"] + counts["fail"]:
            continue
        most = next(iter(counts["broken"].items()), None)
        why = f"; most often: {most[0]} ({most[1]})" if most else ""
        say(f"  {name}: {counts['pass']} of {counts['pass'] + counts['fail']} pass{why}")
