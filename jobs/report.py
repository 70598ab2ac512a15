"""What people see of a run: the first line, the progress, the closing summary. Words go to stderr, data to stdout."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from glasseg.config import WhitenConfig
from jobs.ledger import Ledger

if TYPE_CHECKING:
    from jobs.whiten import Plan

PLAIN_SECONDS = 10.0
"""Without a terminal, a plain progress line this often."""

RATE_SECONDS = 2.0
"""No rate before it was measured for so long: batches that come at the same moment would make it thousands."""


class Bar(Protocol):
    """What moves as photos are done."""

    def update(self, n: int) -> object: ...


def say(line: str = "") -> None:
    """One line for people."""
    click.echo(line, err=True)


def say_plan(plan: Plan, config: WhitenConfig) -> None:
    """What will be done: how many photos, which model, where."""
    order, n = plan.order, len(plan.work)
    notes = {
        "up to date": plan.unchanged,
        "left for later (--limit)": plan.found - plan.unchanged - n,
        "other files skipped": plan.others,
    }
    beside = "".join(f", {count} {what}" for what, count in notes.items() if count)
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    where = "this machine" if address == "local" else address
    say(f"Whitening {n} photo{'s' * (n != 1)} of {order.source.uri}{beside}")
    say(f"  to {order.destination.uri} with model {order.model_id} on {where}")


@contextmanager
def progress(total: int, what: str) -> Iterator[Bar]:
    """A progress bar with photos/s and the time left; plain lines where there is no terminal."""
    if sys.stderr.isatty():
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
            say(f"{self._done} of {self._total} photos{self._rate(now)}")
            self._said = now

    def _rate(self, now: float) -> str:
        measured = now - self._began
        rate = (self._done - self._first) / measured if measured >= RATE_SECONDS else 0.0
        return f", {rate:.1f} photos/s, {(self._total - self._done) / rate:.0f} s left" if rate else ""


def say_summary(plan: Plan, ledger: Ledger, summary: dict[str, Any], ended: str) -> None:
    """How it went, the first few photos to look at, and where the manifest is; one line of it on stdout."""
    for row in ledger.examples():
        say(f"  {row['status']:<7} {row['key']}: {row['error_code']}: {row['error']}")
    flagged = ledger.counts["failed"] + ledger.counts["review"]
    if flagged > len(ledger.examples()):
        say(f"  … and {flagged - len(ledger.examples())} more in the manifest")
    for name, counts in summary.get("checks", {}).items():
        if not counts["pass"] + counts["fail"]:
            continue
        most = next(iter(counts["broken"].items()), None)
        why = f"; most often: {most[0]} ({most[1]})" if most else ""
        say(f"  {name}: {counts['pass']} of {counts['pass'] + counts['fail']} pass{why}")
    if not plan.work:
        say("Nothing to do: every photo is up to date.")
    if ledger.processed:
        say(f"Manifest: {summary['manifest']}")
    if ended == "interrupted":
        say("Interrupted: the rows so far are kept, the same command goes on from there.")
    click.echo(
        f"ok {summary['ok']}, review {summary['review']}, failed {summary['failed']} "
        f"in {summary['seconds']:.1f} s ({summary['photos_per_second']:.1f} photos/s)"
    )
