"""What people see of a run: lines, progress, tables. Words go to stderr, data to stdout."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol

import click

from glasseg.errors import GlassegError
from glasseg.storage.credentials import without_credentials
from glasseg.storage.keys import shown

PLAIN_SECONDS = 10.0
"""Time between plain progress lines, where there is no terminal."""

RATE_SECONDS = 2.0
"""No rate is shown before it was measured for so long: two batches at the same moment would make it thousands."""


class Bar(Protocol):
    """What moves as photos are done."""

    def update(self, n: int) -> object: ...


_fields: ContextVar[dict[str, Any] | None] = ContextVar("fields", default=None)
"""Fields that every line of a log in JSON has; None while lines are for people."""

_output: ContextVar[str] = ContextVar("output", default="")
"""The output of a run that lines are about; "" where there is only one."""


@contextmanager
def log_json(wanted: bool) -> Iterator[None]:
    """Make `say` write lines of JSON within the block, including an error that ends the block."""
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


def lines_are_json() -> bool:
    """Whether `say` writes objects for programs instead of lines for people."""
    return _fields.get() is not None


def bind(**fields: Any) -> None:
    """Add these fields to all further lines of a log in JSON."""
    if (bound := _fields.get()) is not None:
        bound.update(fields)


@contextmanager
def about(output: str) -> Iterator[None]:
    """Begin every line within the block with the output that it is about; "" for none. Objects have it as `output`."""
    token = _output.set(output)
    try:
        yield
    finally:
        _output.reset(token)


def heading() -> str:
    """What a line begins with within `about`."""
    return f"{_output.get()}: " if _output.get() else ""


def say(line: str = "", **facts: Any) -> None:
    """One line for people, in which no name moves the cursor; within `log_json`, an object.

    That has `time`, `level`, `message` and the `facts`.
    """
    bound, line = _fields.get(), without_credentials(line)
    if bound is None:
        click.echo(shown(heading() + line), err=True)
    elif line.strip():
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        named = {"output": _output.get()} if _output.get() else {}
        entry = {"time": now, "level": "info", **bound, **named, "message": line.strip(), **facts}
        click.echo(json.dumps(entry, default=str), err=True)


@contextmanager
def progress(total: int, what: str, done: int = 0, unit: str = "photos") -> Iterator[Bar]:
    """A progress bar with photos/s and the time left; plain lines where there is no terminal.

    `done`: how many of the `total` needed no work, which say nothing about the rate. `unit`: what is counted.
    """
    if sys.stderr.isatty() and not lines_are_json():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, unit=f" {unit}", desc=what, smoothing=0.1, dynamic_ncols=True) as bar:
            yield bar
    else:
        yield _PlainBar(total, done, unit)


class _PlainBar:
    """Progress as plain lines, for logs. The rate leaves out the first photos, which waited for Ray to start."""

    def __init__(self, total: int, done: int, unit: str) -> None:
        self._total, self._done, self._first, self._unit = total, done, done, unit
        self._began = self._said = 0.0

    def update(self, n: int) -> None:
        self._done += n
        now = time.monotonic()
        if not self._began:
            self._began, self._first = now, self._done
        if now - self._said >= PLAIN_SECONDS or self._done == self._total:
            say(f"{self._done} of {self._total} {self._unit}{self._rate(now)}", done=self._done, total=self._total)
            self._said = now

    def _rate(self, now: float) -> str:
        measured = now - self._began
        rate = (self._done - self._first) / measured if measured >= RATE_SECONDS else 0.0
        return f", {rate:.1f} {self._unit}/s, {(self._total - self._done) / rate:.0f} s left" if rate else ""


def columns(heads: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as text. `heads` gives each column's heading and the format of its values, such as ",.1f".

    A column without a format holds words, to the left; one with a format is to the right, None and NaN are a dash.
    """
    lines = [tuple(map(shown, heads)), *(tuple(map(_cell, row, heads.values())) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [">" if how else "<" for how in heads.values()]
    padded = (
        [f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)] for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _cell(value: Any, how: str) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "–" if missing else shown(format(value, how))
