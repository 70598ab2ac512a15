"""Excel workbooks as people see them: what Excel hides is not read as if it were shown.

openpyxl opens the package: sheets, texts, formats. It reads the cells of a sheet either with what is hidden, merged and
linked, or at a bounded cost, so this module reads them itself.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import IO, Any, Final
from xml.etree import ElementTree

from glasseg.errors import GlassegError
from glasseg.lists import numbers
from glasseg.lists.sheet import NOTHING, Row, Sheet

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
    AttributeError,  # a part is of another kind than it should be
    RuntimeError,  # encrypted, or packed in a way that Python does not know
)

# People format a column down to its last row, the 1,048,576th: a minute of parsing for cells that hold nothing.
_EMPTY_CELL: Final = re.compile(rb'<((?:\w+:)?)c r="\w+"[^<>]*(?:/>|>(?:<\1v ?/>|<\1v></\1v>)?</\1c>)')
_EMPTY_ROW: Final = re.compile(rb'<((?:\w+:)?)row [^<>]*\br="\d+"[^<>]*(?:/>|>\s*</\1row>)')
_FILLED: Final = re.compile(rb"<(?:v|f|is)\b")
_CHUNK: Final = 1 << 16
# Line breaks of other systems are escaped in texts, and openpyxl leaves them so.
_ESCAPED_CONTROL: Final = re.compile(r"_x00[01][0-9A-Fa-f]_")
_HYPERLINK: Final = re.compile(r'HYPERLINK\(\s*"([^"]+)"', re.IGNORECASE)


def sheets(name: str, data: bytes) -> list[Sheet]:
    """The sheets of the workbook `name` that are not hidden; formulas have the value of their last saving.

    A cell merged over several rows counts in each of them that has other cells. Raises GlassegError, naming the
    workbook, when it can't be read.
    """
    try:
        with _quiet():
            return list(_visible(data))
    except _BAD_WORKBOOK as error:
        way_out = "open it in Excel and save it again as xlsx, without a password"
        raise GlassegError(f"{name} can't be read as a workbook: {way_out}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignores warnings about formats and drop-down lists that openpyxl would lose if it wrote the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _visible(data: bytes) -> Iterator[Sheet]:
    from openpyxl.reader.excel import ExcelReader  # noqa: PLC0415  (half a second that other lists need not wait for)
    from openpyxl.styles.stylesheet import apply_stylesheet  # noqa: PLC0415

    package = ExcelReader(io.BytesIO(data), data_only=True, keep_links=False)
    package.read_manifest()
    package.read_strings()
    package.read_workbook()
    apply_stylesheet(package.archive, package.wb)
    for sheet, part in package.parser.find_sheets():
        if sheet.state == "visible" and part.Type.endswith("/worksheet"):
            yield _Reader(package, part.target).read(sheet.name)


class _Filled:
    """The XML of a sheet without the cells and rows that hold nothing, as a stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def read(self, _size: int = -1) -> bytes:
        while chunk := self._stream.read(_CHUNK):
            text = self._rest + chunk
            cut = max(text.rfind(b"<row "), 0) or text.rfind(b"<")  # an element is seen whole
            self._rest = text[cut:]
            if text.startswith(b'<row r="') and not _FILLED.search(text, 0, cut):
                continue
            if filled := _EMPTY_ROW.sub(b"", _EMPTY_CELL.sub(b"", text[:cut])):
                return filled
        rest, self._rest = self._rest, b""
        return rest


class _Reader:
    """Reads one sheet of an opened package (openpyxl's `ExcelReader`)."""

    def __init__(self, package: Any, part: str) -> None:
        self._package = package
        self._part = part
        self._styles: dict[int, tuple[str, bool]] = {}  # format of numbers, and whether text is struck through
        self._rows: dict[int, Row] = {}
        self._last = 0  # row
        self._hidden_columns: set[int] = set()

    def read(self, title: str) -> Sheet:
        readers = {"row": self._row, "col": self._column, "mergeCell": self._merge, "hyperlink": self._link}
        with self._package.archive.open(self._part) as stream:
            for _, element in ElementTree.iterparse(_Filled(stream)):  # expat bounds what entities grow to
                tag = _tag(element)
                if tag in readers:
                    readers[tag](element)
                    element.clear()
        rows = sorted(self._rows.values(), key=lambda row: row.number)
        return Sheet(rows, title, frozenset(self._hidden_columns))

    def _row(self, element: Any) -> None:
        self._last = number = int(float(element.get("r") or self._last + 1))
        texts: list[str] = []
        doubts, links = {}, {}
        for cell in element:
            place = _places(cell.get("r"))[0] if cell.get("r") else len(texts)
            text, doubt, link = self._cell(cell)
            texts += [""] * (place - len(texts))
            texts.append(text)
            if doubt:
                doubts[place] = doubt
            if link:
                links[place] = link
        if doubts or any(texts):
            no_height = element.get("ht") is not None and not float(element.get("ht"))
            hidden = element.get("hidden") in {"1", "true"} or no_height
            self._rows[number] = Row(number, texts, doubts or NOTHING, links or NOTHING, hidden)

    def _column(self, element: Any) -> None:
        no_width = element.get("width") is not None and not float(element.get("width"))
        if element.get("hidden") in {"1", "true"} or no_width:
            self._hidden_columns.update(range(int(element.get("min")) - 1, int(element.get("max"))))

    def _merge(self, element: Any) -> None:
        """Repeats a merged cell in the rows below its first, in its first column: a wide title is one header."""
        first, _, last = element.get("ref").partition(":")
        (place, top), (_, bottom) = _places(first), _places(last or first)
        text = self._text(top, place)
        for number in range(top + 1, min(bottom, self._last) + 1) if text else ():
            if number in self._rows:
                row = self._rows[number]
                row.cells[place:] = [*[""] * (place - len(row.cells)), text, *row.cells[place + 1 :]]
                self._mark(number, place, self._rows[top].doubts.get(place, ""), self._rows[top].links.get(place, ""))

    def _link(self, element: Any) -> None:
        target = self._targets.get(next((value for key, value in element.items() if key.endswith("}id")), ""), "")
        place, number = _places(element.get("ref").partition(":")[0])
        if self._text(number, place):
            self._mark(number, place, "", target)

    def _text(self, number: int, place: int) -> str:
        return "".join(self._rows[number].cells[place : place + 1]) if number in self._rows else ""

    def _mark(self, number: int, place: int, doubt: str, link: str) -> None:
        row = self._rows[number]
        doubts = {**row.doubts, place: doubt} if doubt else row.doubts
        links = {**row.links, place: link} if link else row.links
        self._rows[number] = replace(row, doubts=doubts, links=links)

    @cached_property
    def _targets(self) -> dict[str, str]:
        """Where the links of the sheet lead, by their ids."""
        from openpyxl.packaging.relationship import get_dependents, get_rels_path  # noqa: PLC0415

        rels = get_rels_path(self._part)
        return {one.Id: one.Target for one in get_dependents(self._package.archive, rels)}

    def _cell(self, element: Any) -> tuple[str, str, str]:
        """The text of a cell, why it is in doubt, and where its formula leads."""
        parts = {_tag(part): part for part in element}
        formula = parts["f"].text or "" if "f" in parts else None
        link = _HYPERLINK.match(formula or "")
        code, struck = self._style(int(element.get("s") or 0))
        kind = element.get("t", "n")
        text, doubt = self._value(kind, parts, code)
        if formula is not None and not text and kind != "str":
            doubt = "holds a formula whose value was not saved: open the list in Excel and save it"
        if struck and text:
            doubt = doubt or "is struck through"
        return text, doubt, link[1] if link else ""

    def _value(self, kind: str, parts: dict[str, Any], code: str) -> tuple[str, str]:
        """The text of a cell, and why it is in doubt."""
        if kind == "inlineStr":
            from openpyxl.cell.text import Text  # noqa: PLC0415

            return _stripped(Text.from_tree(parts["is"]).content if "is" in parts else ""), ""
        value = (parts["v"].text or "") if "v" in parts else ""
        if kind == "s" and value:
            return _stripped(self._package.shared_strings[int(value)]), ""
        if kind == "n" and value.strip():
            return numbers.shown(float(value), code, self._package.wb.epoch)
        if kind == "b" and value:
            return ("TRUE" if int(value) else "FALSE"), ""
        return _stripped(value), "is an error in the sheet" if kind == "e" else ""

    def _style(self, number: int) -> tuple[str, bool]:
        if number not in self._styles:
            from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE  # noqa: PLC0415

            book = self._package.wb
            style = book._cell_styles[number]
            own = style.numFmtId - BUILTIN_FORMATS_MAX_SIZE
            code = book._number_formats[own] if own >= 0 else BUILTIN_FORMATS.get(style.numFmtId, "of another language")
            self._styles[number] = code, bool(book._fonts[style.fontId].strike)
        return self._styles[number]


def _tag(element: Any) -> str:
    return element.tag.rpartition("}")[2]


def _places(reference: str) -> tuple[int, int]:
    """The place of the column of "B7", from 0, and the number of its row."""
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - 64
    return column - 1, int(reference[len(letters) :])


def _stripped(text: str) -> str:
    return _ESCAPED_CONTROL.sub(lambda match: chr(int(match[0][2:6], 16)), text).strip()
