"""Lists of photos as people keep them: csv, xlsx or parquet, read as rows of text."""

from __future__ import annotations

import csv
import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from glasseg.errors import GlassegError

LIST_SUFFIXES: Final = (".csv", ".xlsx", ".parquet")
"""What the name of a list ends with, lower case."""

# What openpyxl and the zip and XML readers below it raise for a workbook that is damaged, protected or none at all,
# found by truncating and corrupting workbooks.
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
    """Whether a file of that name is read as a list."""
    return _suffix(name) in LIST_SUFFIXES


def read(name: str, data: bytes) -> list[dict[str, str]]:
    """The rows below the header of the list `name`, by column in lower case; every value as stripped text.

    A value that is missing is "". Of a workbook the first sheet counts, with the values that its formulas had when it
    was saved. Empty rows and columns without a name are left out. Raises GlassegError, naming the list, for a file that
    is none, has no header, or has two columns of one name.
    """
    readers = {".csv": _csv, ".xlsx": _xlsx, ".parquet": _parquet}
    if not is_list(name):
        raise GlassegError(f"{name} is no list of photos: a list is csv, xlsx or parquet")
    rows = ([_text(value) for value in row] for row in readers[_suffix(name)](name, data))
    filled = (row for row in rows if any(row))
    columns = [column.lower() for column in next(filled, [])]
    named = [column for column in columns if column]
    if not named:
        raise GlassegError(f"{name} has no header: its first row must name the columns")
    twice = next((column for column in named if named.count(column) > 1), None)
    if twice:
        raise GlassegError(f"{name} has two columns called {twice}: rename or remove one")
    missing = [""] * len(columns)
    table = (dict(zip(columns, row + missing, strict=False)) for row in filled)
    return [{column: row[column] for column in named} for row in table]


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
        raise GlassegError(f"{name} is no csv file in utf-8: save it as such, or as xlsx ({error.reason})") from error
    except csv.Error as error:
        raise GlassegError(f"{name} is no csv file that can be read: {error}") from error


def _xlsx(name: str, data: bytes) -> Iterator[Iterable[Any]]:
    import openpyxl  # noqa: PLC0415  (half a second that other lists need not wait for)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats and drop-down lists that openpyxl would lose if it wrote the file
        try:
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write a wrong size, and openpyxl would cut the sheet to it
            rows = list(sheet.iter_rows(values_only=True))
        except _BAD_WORKBOOK as error:
            way_out = "open it in Excel and save it again as xlsx, without a password"
            raise GlassegError(f"{name} is no workbook that can be read: {way_out}") from error
    yield from rows


def _parquet(name: str, data: bytes) -> Iterator[Iterable[Any]]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.ParquetFile(io.BytesIO(data)).read(use_threads=False)
        columns = [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise GlassegError(f"{name} is no parquet file that can be read: {reason}") from error
    yield table.column_names
    yield from zip(*columns, strict=True)
