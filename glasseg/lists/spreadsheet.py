"""CSV for spreadsheets: opens in Excel with its letters right, and no cell of it is taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

from glasseg.storage.keys import printable

# What spreadsheets take for the beginning of a formula, or skip before looking for one; in East Asian settings the
# wide forms count too. An apostrophe before it is text that somebody wrote, and is guarded to tell it from ours.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def write(header: Iterable[str], rows: Iterable[Iterable[str | int]]) -> bytes:
    """A csv file (RFC 4180, utf-8 with the mark that Excel needs) of guarded texts; bytes that are no UTF-8 escaped."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\r\n")
    for row in (header, *rows):
        writer.writerow(guarded(printable(cell)) if isinstance(cell, str) else cell for cell in row)
    return sink.getvalue().encode("utf-8-sig")


def guarded(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet could take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given to make `text`; a text that it can't have made stays as it is."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
