"""Files of lists as tables of text: csv, xlsx (Excel), parquet, and txt with one name per line."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import Any, Final

from glasseg.errors import GlassegError
from glasseg.lists import delimited, workbook
from glasseg.lists.sheet import Row, Sheet

_TEXT_SUFFIXES: Final = (".csv", ".tsv")
_WORKBOOK_SUFFIXES: Final = (".xlsx", ".xlsm")

LIST_SUFFIXES: Final = (*_TEXT_SUFFIXES, *_WORKBOOK_SUFFIXES, ".parquet")
"""What the name of a list with columns ends in, in lower case."""


NAME_SUFFIXES: Final = (*LIST_SUFFIXES, ".txt")
"""What the name of a list of photo names ends in. A txt has one name per line and no columns."""

_SAVE_AS: Final = "save it as xlsx or csv"
# How files of other kinds begin, what they are, and the way out.
_SIGNATURES: Final = {
    b"%PDF": ("a PDF", _SAVE_AS),
    b"{\\rtf": ("formatted text (RTF)", "save it as plain text"),
    b"\x1f\x8b": ("packed (gzip)", "unpack it"),
    b"<html": ("a web page (HTML)", f"open it in Excel and {_SAVE_AS}"),
    b"<!doctype": ("a web page (HTML)", f"open it in Excel and {_SAVE_AS}"),
    b"<table": ("a web page (HTML)", f"open it in Excel and {_SAVE_AS}"),
    b'{"': ("JSON", _SAVE_AS),
    b"[{": ("JSON", _SAVE_AS),
    b"<?xml": ("XML", f"open it in Excel and {_SAVE_AS}"),
}
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = b"PK\x03\x04"
_WORKBOOK: Final = "xl/workbook.xml"
_STRICT: Final = b"http://purl.oclc.org/ooxml/spreadsheetml/main"  # Excel can save so; openpyxl finds nothing in it
# What tells the kinds of zip files apart, by a part that each has.
_PACKED: Final = {
    _WORKBOOK: ("a workbook (xlsx)", "rename it so that it ends in .xlsx"),
    "xl/workbook.bin": ("a binary workbook (xlsb)", _SAVE_AS),
    "content.xml": ("an OpenDocument file (ods)", _SAVE_AS),
    "Index/Document.iwa": ("an Apple Numbers file", _SAVE_AS),
    "word/document.xml": ("a Word document", _SAVE_AS),
}


def is_list(name: str) -> bool:
    """Whether a file of this name is read as a list with columns."""
    return _suffix(name) in LIST_SUFFIXES


def is_delimited(name: str) -> bool:
    """Whether a file of this name is csv, where a comma too many shifts the cells behind it."""
    return _suffix(name) in _TEXT_SUFFIXES


def sheets(name: str, data: bytes) -> list[Sheet]:
    """The tables in the list `name`: all sheets of a workbook that are not hidden, or the only one.

    A header is a row like any. Rows are numbered from 1 as in a spreadsheet, including empty ones; the column names of
    a parquet file are row 0. Rows may differ in length. Raises GlassegError, naming the list, when it can't be read or
    is something else than its name says.
    """
    suffix = _suffix(name)
    if suffix not in NAME_SUFFIXES:
        raise GlassegError(f"{name} is not a list of photos: a list is csv, xlsx, txt or parquet")
    _refuse_others(name, data)
    if suffix in _WORKBOOK_SUFFIXES:
        return workbook.sheets(name, data)
    readers = {".parquet": _parquet, ".txt": delimited.names}
    return [readers.get(suffix, delimited.sheet)(name, data)]


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _refuse_others(name: str, data: bytes) -> None:
    """Raises GlassegError for a file that is another kind than its name says."""
    kind, way_out = _kind(data)
    expected = {".parquet": "parquet"} | dict.fromkeys(_WORKBOOK_SUFFIXES, "a workbook (xlsx)")
    wanted = expected.get(_suffix(name), "")
    if kind and kind != wanted:
        raise GlassegError(f"{name} is {kind}: {way_out}")
    if not kind and wanted.startswith("a workbook") and data and b"\x00" not in data:
        raise GlassegError(f"{name} can't be read as a workbook, it is text: rename it so that it ends in .csv")


def _kind(data: bytes) -> tuple[str, str]:
    """What a file is by its content, and what to do if it should be a list; "" for text, and what is damaged."""
    if data.startswith(_ZIP):
        return _packed(data)
    if data.startswith(_OLD_OFFICE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            return "protected with a password", "save it without one"
        return "an old workbook (xls)", _SAVE_AS
    if data.startswith(b"PAR1"):
        return "parquet", "rename it so that it ends in .parquet"
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((what for mark, what in _SIGNATURES.items() if start.startswith(mark.lower())), ("", ""))


def _packed(data: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = set(archive.namelist())
            if _WORKBOOK in parts and _STRICT in archive.read(_WORKBOOK):
                return "a workbook in strict Open XML", "save it in Excel as an ordinary workbook (xlsx), or as csv"
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):  # its reader says so
        return "", ""
    return next((what for part, what in _PACKED.items() if part in parts), ("", ""))


def _text(value: Any) -> str:
    """A value of a parquet file as stripped text; pandas keeps an empty cell as nan, and some keep texts as bytes."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return (value.decode("utf-8") if isinstance(value, bytes) else str(value)).strip()


def _parquet(name: str, data: bytes) -> Sheet:
    import pyarrow as pa  # noqa: PLC0415

    from glasseg.storage import parquet  # noqa: PLC0415

    try:
        table = parquet.read(data)
        columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise GlassegError(f"{name} can't be read as parquet: {reason}") from error
    rows = [Row(0, [_text(one) for one in table.column_names])]
    rows.extend(Row(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1))
    return Sheet([row for row in rows if any(row.cells)])
