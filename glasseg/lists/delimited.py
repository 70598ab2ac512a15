"""Texts with a name per line, and csv in all its dialects."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from glasseg.errors import GlassegError
from glasseg.lists.sheet import Row, Sheet

_DELIMITERS: Final = "\t;,|"  # the more rarely a character is part of a text, the earlier
_SAMPLE: Final = 100  # rows that show what delimits
_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[;,]*(?:\r\n|\n|\r|$)', re.IGNORECASE)  # hidden by Excel, which obeys it
_FORMULA: Final = re.compile(r'\A="([^"]*)"\Z')  # how exports keep the zeros of 00123, which is what Excel then shows


def sheet(name: str, data: bytes) -> Sheet:
    """The csv `name`. Raises GlassegError, naming it, when it can't be read."""
    text = _decoded(name, data, "csv", 'save it as such ("CSV UTF-8"), or as xlsx')
    separator = _SEPARATOR.match(text)
    text = text[separator.end() :] if separator else text
    number = 0
    rows = []
    try:
        for number, cells in enumerate(_parsed(text, separator[1] if separator else _delimiter(text)), start=1):
            row = Row(number, [_FORMULA.sub(r"\1", cell.strip()) for cell in cells])
            if any(row.cells):
                rows.append(row)
    except csv.Error as error:
        way_out = "see to its quotes, or save the list as xlsx"
        raise GlassegError(f"{name} can't be read as csv: row {number + 1}: {error}: {way_out}") from error
    return Sheet(rows)


def names(name: str, data: bytes) -> Sheet:
    """The text `name`, which has a name in each line. Raises GlassegError, naming it, when it can't be read."""
    lines = re.split(r"\r\n|\n|\r", _decoded(name, data, "text", "save it as such"))
    rows = [Row(number, [line.strip()]) for number, line in enumerate(lines, start=1) if line.strip()]
    if table := next((row for row in rows if "\t" in row.cells[0]), None):
        raise GlassegError(f"{name} has several columns in row {table.number}: rename it so that it ends in .tsv")
    return Sheet(rows)


def _decoded(name: str, data: bytes, kind: str, way_out: str) -> str:
    """`data` as text: UTF-8, or the UTF-16 of Excel's "Unicode text" and of PowerShell."""
    encoding = "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in data[:2]:
        encoding = "utf-16-be" if data[:1] == b"\x00" else "utf-16-le"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise GlassegError(f"{name} is not {kind} in utf-8 (row {row}): {way_out}") from error


def _parsed(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _delimiter(text: str) -> str:
    """What delimits the cells: what splits the most of the first rows into the same number of cells."""
    return max(_DELIMITERS, key=lambda one: _alike(text, one)) if text else ","


def _alike(text: str, delimiter: str) -> int:
    """How many of the first rows have the same number of cells, more than one."""
    widths: Counter[int] = Counter()
    with suppress(csv.Error):  # there may be quotes that mean nothing with the right delimiter
        for row in islice(_parsed(text, delimiter), _SAMPLE):
            widths[len(row)] += len(row) > 1
    return max(widths.values(), default=0)
