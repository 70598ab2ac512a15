"""Lists of photos as people keep them: which column names the photos, and what is in the others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from glasseg.errors import GlassegError
from glasseg.lists import spreadsheet
from glasseg.lists.sheet import Row, Sheet
from glasseg.lists.spelling import is_photo_name, visible, without_marks

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


_MOST_TITLES: Final = 20  # rows above a header that say what the list is
_SAMPLE: Final = 1_000  # values that show what is in a column


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row that names a photo: its number as in the list, the name, and the other columns that have a value.

    `may_be_header`: whether the name is the only cell of the first row, which may as well be the column's header.
    `doubt`: why the name may not be what the person meant, as the end of a sentence about the row, or "". `link`: where
    a click on the name leads. `columns`: the names of all other columns.
    """

    number: int
    name: str
    others: dict[str, str] = field(default_factory=dict)
    may_be_header: bool = False
    doubt: str = ""
    link: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    """A sheet from its header on: the column names, "" for a column without one, and the rows below them."""

    header: Row
    columns: list[str]
    rows: list[Row]
    hidden_columns: frozenset[int]

    @property
    def named(self) -> list[str]:
        return [column for column in self.columns if column]

    @property
    def shown(self) -> list[int]:
        """The places of the columns that have a name and are not hidden."""
        return [place for place, one in enumerate(self.columns) if one and place not in self.hidden_columns]


def read(name: str, data: bytes) -> list[dict[str, str]]:
    """The rows below the header of the list `name`, by column in lower case; every value is stripped text.

    A missing value is "". Of a workbook, the only sheet that lists photos is read, or its first one, with the values
    that its formulas had when it was saved. Empty rows and columns without a name are left out. Raises GlassegError,
    naming the list, for a file that is not a list, has no header, hides rows, or has two columns with the same name.
    """
    if not spreadsheet.is_list(name):
        raise GlassegError(f"{name} is not a list of photos: a list is csv, xlsx or parquet")
    table = _table(name, _sheet(name, data))
    if hidden := next((row for row in table.rows if row.hidden), None):
        raise GlassegError(f"{name} hides row {hidden.number}: show it or delete it")
    missing = [""] * len(table.columns)
    rows = (dict(zip(table.columns, row.cells + missing, strict=False)) for row in table.rows)
    return [{column: row[column] for column in table.named} for row in rows]


def named_rows(name: str, data: bytes, column: str | None = None) -> list[NamedRow]:
    """The rows of the list `name`, which may be a txt, with the photo names in them.

    The names are in `column` (case-insensitive); None takes the only column, one with a known name, or the only one
    in which most values name photos. A list with one column needs no header. Raises GlassegError, naming the list,
    when it can't be read, is empty, or when its column is missing or ambiguous.
    """
    sheet = _sheet(name, data)
    if not sheet.rows:
        raise GlassegError(f"{name} is empty: it must name the photos")
    if PurePosixPath(name).suffix.lower() == ".txt":
        if column is not None:
            raise GlassegError(f"{name} has no columns, only names: leave out --column, or save the list as csv")
        return [NamedRow(row.number, row.cells[0]) for row in sheet.rows]
    table = _table(name, sheet)
    header, named = table.header, table.named
    above = next((cell for cell in header.cells if is_photo_name(cell)), None)
    if above and len(named) > 1:
        raise GlassegError(
            f"{name} has no header, its first row names {visible(above)}: add a row above it that names the columns"
        )
    place = _place(name, table, column)
    # People who leave out the extensions leave out the header as well.
    as_name = len(named) == 1 and column is None and header.number > 0 and not _is_known(named[0])
    columns = tuple(one for one in named if one != table.columns[place])
    found = [_named(header, place, {}, columns, may_be_header=not above)] if as_name else []
    for row in table.rows:
        cells = dict(zip(table.columns, row.cells, strict=False))
        others = {one: cells[one] for one in columns if cells.get(one)}
        found.append(_named(row, place, others, columns))
    if not found:
        raise GlassegError(f"{name} has no row below its header: it must name the photos")
    return found


def _named(
    row: Row, place: int, others: dict[str, str], columns: tuple[str, ...], *, may_be_header: bool = False
) -> NamedRow:
    name = row.cells[place] if place < len(row.cells) else ""
    doubt = "is hidden in the sheet: show it or delete it" if row.hidden else row.doubts.get(place, "")
    return NamedRow(row.number, name, others, may_be_header, doubt, row.links.get(place, ""), columns)


# ---- the sheet, and its header ----


def _sheet(name: str, data: bytes) -> Sheet:
    """The only sheet of a list that names photos; the first, if none does. Raises GlassegError for several."""
    filled = [sheet for sheet in spreadsheet.sheets(name, data) if sheet.rows]
    lists = [sheet for sheet in filled if _lists_photos(name, sheet)] if len(filled) > 1 else filled
    if len(lists) > 1:
        titles = ", ".join(visible(sheet.title) for sheet in lists)
        raise GlassegError(f"{name} has {len(lists)} sheets that may name the photos, {titles}: hide all but one")
    return next(iter(lists or filled), Sheet([]))


def _lists_photos(name: str, sheet: Sheet) -> bool:
    rows = _from_header(sheet.rows)
    if len(rows) < 2:
        return False
    known = any(_plain(cell) in _SURE for cell in rows[0].cells)
    return known or any(_names_photos(place, rows[1:]) for place in range(len(rows[0].cells)))


def _table(name: str, sheet: Sheet) -> _Table:
    """`sheet` by its header. Raises GlassegError, naming the list, when it has none, or two columns that are equal."""
    rows = _from_header(sheet.rows)
    header = rows[0] if rows else Row(1, [])
    columns = [_header(cell) for cell in header.cells]
    named = [column for column in columns if column]
    if not named:
        raise GlassegError(f"{name} has no header: its first row must name the columns")
    twice = next((column for column in named if named.count(column) > 1), None)
    if twice:
        raise GlassegError(f"{name} has two columns called {visible(twice)}: rename or remove one")
    wide = next((row for row in rows if any(row.cells[len(columns) :])), None)
    if wide and spreadsheet.is_delimited(name):
        raise GlassegError(
            f"{name} has {len(columns)} column{'s' * (len(columns) > 1)}, and row {wide.number} has more cells: "
            "put texts with the delimiter in them in quotes, or save the list as xlsx"
        )
    return _Table(header, columns, rows[1:], sheet.hidden_columns)


def _from_header(rows: list[Row]) -> list[Row]:
    """`rows` without the titles and comments above the header of a list of several columns."""
    for place, row in enumerate(rows[: _MOST_TITLES + 1]):
        below = rows[place + 1 : place + 1 + _SAMPLE]
        if not row.hidden and not _is_title(row, below):
            table = 2 * sum(len(one.filled()) > 1 for one in below) > len(below)
            is_header = table and len(row.filled()) > 1 and not any(map(is_photo_name, row.cells))
            return rows[place:] if is_header else rows
    return rows


def _is_title(row: Row, below: list[Row]) -> bool:
    """Whether a row says what the list is; a known heading does if there are others next to one like it below."""
    filled = row.filled()
    if len(filled) == 1 and below and len(below[0].filled()) > 1 and any(map(_is_known, below[0].cells)):
        return not is_photo_name(filled[0])
    if any(_is_known(cell) or is_photo_name(cell) for cell in filled):
        return False
    return len(filled) == 1 or filled[0].startswith("#")


# ---- the column with the names ----


def _place(name: str, table: _Table, wanted: str | None) -> int:
    """The place of the column with the names: `wanted`, the only one, one with a known name, or the only one that
    lists photos.

    A `wanted` column must exist, even in a list that has only one. It may be hidden, others not. Raises GlassegError.
    """
    columns = table.columns
    if wanted is not None:
        if _header(wanted) in table.named:
            return columns.index(_header(wanted))
        _refuse_rows_above(name, table, {_plain(wanted)})
        raise GlassegError(f"{name} has no column {wanted}: its columns are {', '.join(map(visible, table.named))}")
    if len(table.named) == 1:
        return columns.index(table.named[0])
    photos = [place for place in table.shown if _names_photos(place, table.rows)]
    plain = {_plain(columns[place]): place for place in reversed(table.shown)}
    sure = [plain[one] for one in _SURE if one in plain]
    likely = [plain[one] for one in _LIKELY if one in plain]
    found = [*(one for one in sure if one in photos), *sure, *(one for one in likely if one in photos)]
    if not found and len(photos) < 2:
        found = [*photos, *likely]
    rivals = [one for one in photos if found and _is_rival(table, one, found[0])]
    if found and not rivals:
        return found[0]
    if not photos:
        _refuse_rows_above(name, table, set(_SURE))
    may_be = [visible(columns[place]) for place in ([found[0], *rivals] if found else photos)]
    which = f"{' or '.join(may_be)} may be it" if may_be else f"its columns are {', '.join(map(visible, table.named))}"
    raise GlassegError(f"can't tell which column of {name} names the photos: {which}; choose it with --column")


def _refuse_rows_above(name: str, table: _Table, headings: set[str]) -> None:
    """Raises GlassegError when one of the first rows below the header has one of `headings`."""
    rows = table.rows[:_MOST_TITLES]
    if header := next((row for row in rows if any(_plain(cell) in headings for cell in row.filled())), None):
        raise GlassegError(f"row {header.number} of {name} looks like its header: delete the rows above it")


def _is_rival(table: _Table, place: int, chosen: int) -> bool:
    """Whether a column names other photos than the chosen one, and is called like one that does."""
    called = re.sub(r"\d", "", _plain(table.columns[place]))
    return place != chosen and called in _SURE and any(_file(row, place) != _file(row, chosen) for row in table.rows)


def _file(row: Row, place: int) -> str:
    """The file name in a cell, without folder, extension and case."""
    path = row.cells[place] if place < len(row.cells) else ""
    return path.replace("\\", "/").rpartition("/")[2].partition(".")[0].lower()


def _header(cell: str) -> str:
    return " ".join(without_marks(cell).lower().split())


def _is_known(header: str) -> bool:
    return _plain(header) in (*_SURE, *_LIKELY)


def _plain(column: str) -> str:
    return re.sub(r"[\W_]", "", column.lower())


def _names_photos(place: int, rows: list[Row]) -> bool:
    values = [row.cells[place] for row in rows if place < len(row.cells) and row.cells[place]]
    values = values[:: len(values) // _SAMPLE + 1]
    return 2 * sum(map(is_photo_name, values)) > len(values)
