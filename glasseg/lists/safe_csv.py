"""CSV for spreadsheets: Excel shows every letter right, and takes no cell for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from itertools import chain
from typing import Final, TextIO

from glasseg.storage.keys import printable

# What spreadsheets take for the beginning of a formula, or skip before looking for one; in East Asian locales the
# full-width forms count too. Text that already begins with apostrophes is guarded as well, to distinguish it from ours.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def write(header: Iterable[str], rows: Iterable[Iterable[str | int]]) -> bytes:
    """A csv file (RFC 4180, UTF-8 with the byte order mark that Excel needs) of guarded, printable texts."""
    sink = io.StringIO(newline="")
    write_to(sink, header, rows)
    return sink.getvalue().encode("utf-8-sig")


def write_to(sink: TextIO, header: Iterable[str], rows: Iterable[Iterable[str | int]]) -> None:
    """Write what `write` returns, row by row, to a sink that leaves line ends as they are."""
    writer = csv.writer(sink, lineterminator="\r\n")
    for row in chain([header], rows):
        writer.writerow(guarded(printable(cell)) if isinstance(cell, str) else cell for cell in row)


def guarded(text: str) -> str:
    """`text` with an apostrophe before it if a spreadsheet could take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text from which `guarded` made `text`; any other text stays as it is."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
