"""Lists of photos as people keep them: which column names the photos, and what is in the others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from glasseg.errors import GlassegError
from glasseg.formats import PHOTO_EXTENSIONS
from glasseg.lists.spreadsheet import is_list, rows

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


@dataclass(frozen=True)
class NamedRow:
    """A row that names a photo: its number as in `rows`, the name, and the other columns that have a value.

    `may_be_header`: whether the name is the only cell of the first row, which may as well be the column's header.
    """

    number: int
    name: str
    others: dict[str, str] = field(default_factory=dict)
    may_be_header: bool = False


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
    if PurePosixPath(name).suffix.lower() == ".txt":
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
