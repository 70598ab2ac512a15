"""Lists of photos as people keep them: csv, xlsx or parquet, read as rows of text; also txt with one name per line."""

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
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

from glasseg.errors import GlassegError
from glasseg.formats import PHOTO_EXTENSIONS

LIST_SUFFIXES: Final = (".csv", ".xlsx", ".parquet")
"""What the name of a list with columns ends in, in lower case."""

NAME_SUFFIXES: Final = (*LIST_SUFFIXES, ".txt")
"""What the name of a list of photo names ends in. A txt has one name per line and no columns: `read` refuses it."""

# Headers of columns that hold names, without spaces and punctuation, the surest first. The likely ones often mean
# something else: they count if their values look like photos, or if those of no other column do.
_SURE: Final = (
    *("photo", "photos", "filename", "file", "image", "images", "picture", "photoname", "photofile", "photofilename"),
    *("imagename", "imagefile", "imagefilename", "picturename"),
)
_LIKELY: Final = (
    *("key", "path", "filepath", "photopath", "imagepath", "uri", "sourceuri", "url", "photouri", "photourl"),
    *("imageuri", "imageurl", "imagesrc", "src", "source", "name"),
)

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


@dataclass(frozen=True)
class NamedRow:
    """A row that names a photo: its number as in `rows`, the name, and the other columns that have a value.

    `may_be_header`: whether the name is the only cell of the first row, which may as well be the column's header.
    """

    number: int
    name: str
    others: dict[str, str] = field(default_factory=dict)
    may_be_header: bool = False


def is_list(name: str) -> bool:
    """Whether a file of this name is read as a list with columns."""
    return _suffix(name) in LIST_SUFFIXES


def read(name: str, data: bytes) -> list[dict[str, str]]:
    """The rows below the header of the list `name`, by column in lower case; every value is stripped text.

    A missing value is "". Only the first sheet of a workbook is read, with the values that its formulas had when it was
    saved. Empty rows and columns without a name are left out. Raises GlassegError, naming the list, for a file that is
    not a list, has no header, or has two columns with the same name.
    """
    if not is_list(name):
        raise GlassegError(f"{name} is not a list of photos: a list is csv, xlsx or parquet")
    filled = rows(name, data)
    columns = column_names(name, next(filled, (0, []))[1])
    named = [column for column in columns if column]
    missing = [""] * len(columns)
    table = (dict(zip(columns, row + missing, strict=False)) for _, row in filled)
    return [{column: row[column] for column in named} for row in table]


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


def column_names(name: str, header: list[str]) -> list[str]:
    """The column names in the row `header` of the list `name`, in lower case, "" for a column without a name.

    Raises GlassegError, naming the list, when there are none, or two that are equal.
    """
    columns = [column.lower() for column in header]
    named = [column for column in columns if column]
    if not named:
        raise GlassegError(f"{name} has no header: its first row must name the columns")
    twice = next((column for column in named if named.count(column) > 1), None)
    if twice:
        raise GlassegError(f"{name} has two columns called {twice}: rename or remove one")
    return columns


def named_rows(name: str, data: bytes, column: str | None = None) -> list[NamedRow]:
    """The rows of the list `name`, which may be a txt, with the photo names in them.

    The names are in `column` (case-insensitive); None takes the only column, one with a known name, or the only one
    in which most values name photos. A list with one column needs no header. Raises GlassegError, naming the list,
    when it can't be read, is empty, or when its column is missing or ambiguous.
    """
    table = list(rows(name, data))
    if not table:
        raise GlassegError(f"{name} is empty: it must name the photos")
    if _suffix(name) == ".txt":
        if column is not None:
            raise GlassegError(f"{name} has no columns, only names: leave out --column, or save the list as csv")
        return [NamedRow(number, row[0]) for number, row in table]
    number, header = table[0]
    columns = column_names(name, header)
    named = [one for one in columns if one]
    above = next((cell for cell in header if _is_photo_name(cell)), None)
    if above and len(named) > 1:
        raise GlassegError(
            f"{name} has no header, its first row names {above}: add a row above it that names the columns"
        )
    place = columns.index(_column(name, columns, table[1:], column))
    # People who leave out the extensions leave out the header as well.
    as_name = len(named) == 1 and column is None and number > 0 and _plain(named[0]) not in (*_SURE, *_LIKELY)
    found = [NamedRow(number, header[place], may_be_header=not above)] if as_name else []
    for number, row in table[1:]:
        cells = dict(zip(columns, row, strict=False))
        others = {one: cells[one] for one in named if one != columns[place] and cells.get(one)}
        found.append(NamedRow(number, row[place] if place < len(row) else "", others))
    if not found:
        raise GlassegError(f"{name} has no row below its header: it must name the photos")
    return found


def from_web(name: str) -> str:
    """`name`; if it is a web address, without its query and with escapes such as %20 decoded."""
    return unquote(re.split(r"[?#]", name)[0]) if re.match(r"(?i)https?://", name) else name


def _column(name: str, columns: list[str], rows: list[tuple[int, list[str]]], wanted: str | None) -> str:
    """The column with the names: `wanted`, the only one, one with a known name, or the only one that lists photos.

    A `wanted` column must exist, even in a list that has only one.
    """
    named = [one for one in columns if one]
    if wanted is not None:
        if wanted.strip().lower() in named:
            return wanted.strip().lower()
        raise GlassegError(f"{name} has no column {wanted}: its columns are {', '.join(named)}")
    if len(named) == 1:
        return named[0]
    photos = [one for place, one in enumerate(columns) if one and _names_photos(place, rows)]
    plain = {_plain(one): one for one in reversed(named)}
    sure = [plain[one] for one in _SURE if one in plain]
    likely = [plain[one] for one in _LIKELY if one in plain]
    found = [*(one for one in sure if one in photos), *sure, *(one for one in likely if one in photos)]
    if not found and len(photos) < 2:
        found = [*photos, *likely]
    if found:
        return found[0]
    which = f"{' or '.join(photos)} may be it" if photos else f"its columns are {', '.join(named)}"
    raise GlassegError(f"can't tell which column of {name} names the photos: {which}; choose it with --column")


def _plain(column: str) -> str:
    return re.sub(r"[\W_]", "", column.lower())


def _names_photos(place: int, rows: list[tuple[int, list[str]]]) -> bool:
    values = [row[place] for _, row in rows if place < len(row) and row[place]]
    return 2 * sum(map(_is_photo_name, values)) > len(values)


def _is_photo_name(value: str) -> bool:
    return PurePosixPath(from_web(value)).suffix[1:].lower() in PHOTO_EXTENSIONS


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
