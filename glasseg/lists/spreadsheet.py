"""Files of lists as rows of text: csv, xlsx (Excel), parquet, and txt with one name per line."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Final

from glasseg.errors import GlassegError

LIST_SUFFIXES: Final = (".csv", ".xlsx", ".parquet")
"""What the name of a list with columns ends in, in lower case."""


NAME_SUFFIXES: Final = (*LIST_SUFFIXES, ".txt")
"""What the name of a list of photo names ends in. A txt has one name per line and no columns."""


# What openpyxl and the zip and XML readers it uses raise for a file that is a damaged or protected workbook, or not a
# workbook at all; found by truncating and corrupting workbooks.
_BAD_WORKBOOK: Final = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    SyntaxError,  # of XML
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,  # encrypted, or packed in a way that Python does not know
)


def is_list(name: str) -> bool:
    """Whether a file of this name is read as a list with columns."""
    return _suffix(name) in LIST_SUFFIXES


def rows(name: str, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Every row of the list `name` that is not empty, as stripped text, with its number; a header is a row like any.

    Rows are numbered from 1 as in a spreadsheet, including empty ones; the column names of a parquet file are row 0.
    Rows are yielded as they are read, and may differ in length. Raises GlassegError, naming the list, when it can't be
    read.
    """
    readers = {".csv": _csv, ".xlsx": _xlsx, ".parquet": _parquet, ".txt": _txt}
    suffix = _suffix(name)
    if suffix not in readers:
        raise GlassegError(f"{name} is not a list of photos: a list is csv, xlsx, txt or parquet")
    for number, row in enumerate(readers[suffix](name, data), start=0 if suffix == ".parquet" else 1):
        texts = [_text(value) for value in row]
        if any(texts):
            yield number, texts


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _text(value: Any) -> str:
    """A cell as stripped text. Excel keeps every number as a float, and pandas an empty cell as nan."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _csv(name: str, data: bytes) -> Iterator[Iterable[Any]]:
    try:
        text = data.decode("utf-8-sig")
        header = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = max(",;\t", key=header.count)  # spreadsheets of half the world write semicolons
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except UnicodeDecodeError as error:
        raise GlassegError(f"{name} is not csv in utf-8: save it as such, or as xlsx ({error.reason})") from error
    except csv.Error as error:
        raise GlassegError(f"{name} can't be read as csv: {error}") from error


def _txt(name: str, data: bytes) -> Iterator[Iterable[Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GlassegError(f"{name} is not text in utf-8: save it as such ({error.reason})") from error
    yield from ([line] for line in re.split(r"\r\n|\n|\r", text))


def _xlsx(name: str, data: bytes) -> Iterator[Iterable[Any]]:
    try:
        with _quiet():
            cells = _first_sheet(data)
        while True:
            with _quiet():  # row by row: warnings must not stay ignored while our caller works on a row
                row = next(cells, None)
            if row is None:
                return
            yield row
    except _BAD_WORKBOOK as error:
        way_out = "open it in Excel and save it again as xlsx, without a password"
        raise GlassegError(f"{name} can't be read as a workbook: {way_out}") from error


def _first_sheet(data: bytes) -> Iterator[tuple[Any, ...]]:
    import openpyxl  # noqa: PLC0415  (half a second that the other kinds of list need not wait for)

    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True).worksheets[0]
    sheet.reset_dimensions()  # some programs write a wrong size, and openpyxl would cut the sheet to it
    return iter(sheet.iter_rows(values_only=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignores warnings about formats and drop-down lists that openpyxl would lose if it wrote the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parquet(name: str, data: bytes) -> Iterator[Iterable[Any]]:
    import pyarrow as pa  # noqa: PLC0415

    from glasseg.storage import parquet  # noqa: PLC0415

    try:
        table = parquet.read(data)
        columns = [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise GlassegError(f"{name} can't be read as parquet: {reason}") from error
    yield table.column_names
    yield from zip(*columns, strict=True)
