"""Workbooks as people make them: what Excel shows is what counts."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from datetime import time as clock
from typing import Any

import openpyxl
import pytest
from listfiles import book, saved, with_sheet, xlsx
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from glasseg.errors import GlassegError
from glasseg.lists import reader, selection
from glasseg.lists.selection import Selection, Unmatched

KEYS = ["00123.jpg", "124.jpg", "4006381333931.jpg", "x.jpg", "y.jpg", "z.jpg", "SKU-0007.jpg"]


def select(data: bytes, column: str | None = None) -> Selection:
    return selection.select("l.xlsx", data, KEYS, "s3://shop/raw", column)


def formatted(value: Any, code: str) -> bytes:
    """A list with x.jpg, and below it a number in a format."""
    made = book(("Photo",), ("x.jpg",), (value,))
    made.active["A3"].number_format = code
    return saved(made)


def changed(change: Callable[[Worksheet], object]) -> bytes:
    """A list of x.jpg, y.jpg and z.jpg with something done to its sheet."""
    made = book(("Photo", "SKU"), ("x.jpg", "S1"), ("y.jpg", "S2"), ("z.jpg", "S3"))
    change(made.active)
    return saved(made)


def sheet_of(data: bytes) -> bytes:
    """The XML of a workbook's sheet."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("value", "code", "key"),
    [
        (123, "00000", "00123.jpg"),
        (123, '00000".jpg"', "00123.jpg"),
        (7, '"SKU-"0000', "SKU-0007.jpg"),
        (7, "\\S\\K\\U\\-0000", "SKU-0007.jpg"),
        (123, "[Red]00000", "00123.jpg"),
        (123, "00000;[Red]-00000", "00123.jpg"),
        (124, "General", "124.jpg"),
        (124, "@", "124.jpg"),
        (124, "0", "124.jpg"),
        (124.0, "0", "124.jpg"),
        (4006381333931, "General", "4006381333931.jpg"),
        (4006381333931, "0", "4006381333931.jpg"),
        ("00123", "@", "00123.jpg"),
    ],
)
def test_a_number_names_the_photo_that_excel_shows(value: Any, code: str, key: str) -> None:
    assert list(select(formatted(value, code)).chosen) == ["x.jpg", key]


@pytest.mark.parametrize(
    ("value", "code", "name", "reason", "candidates"),
    [
        (124, "00000", "00124", "names no photo; others differ in leading zeros or punctuation", ["124.jpg"]),
        (123, "General", "123", "names no photo; others differ in leading zeros or punctuation", ["00123.jpg"]),
        (124, "0.00", "124", r"holds 124, which Excel shows in the format 0\.00", ["124.jpg"]),
        (124, "#,##0", "124", "holds 124, which Excel shows in the format #,##0", ["124.jpg"]),
        (124, "000-000", "124", "holds 124, which Excel shows in the format 000-000", ["124.jpg"]),
        (124, ";;;", "124", "holds 124, which Excel shows in the format ;;;", ["124.jpg"]),
        (124.4, "0", "124.4", "holds 124.4, which Excel shows in the format 0:", []),
        (4006381333931123, "0", "4006381333931123", "is a number of which Excel keeps 15 digits", []),
        (date(2026, 2, 1), "d-mmm", "2026-02-01 00:00:00", "is a date to Excel", []),
        (clock(12, 4), "h:mm", "12:04:00", "is a date to Excel", []),
        (timedelta(hours=30), "[h]:mm", "1 day, 6:00:00", "is a date to Excel", []),
        ("#N/A", "General", "#N/A", "is an error in the sheet", []),
    ],
)
def test_a_number_in_doubt_is_reported_with_what_it_may_mean(
    value: Any, code: str, name: str, reason: str, candidates: list[str]
) -> None:
    found = select(formatted(value, code))
    assert list(found.chosen) == ["x.jpg"]
    [left] = found.unmatched
    assert (left.row, left.name, list(left.candidates)) == (3, name, candidates)
    assert left.reason.startswith(reason.replace("\\", ""))


def test_other_columns_are_as_excel_shows_them() -> None:
    made = book(("Photo", "SKU", "Price", "New"), ("x.jpg", 123, 12.5, True), ("y.jpg", 0.1 + 0.2, 1e15, False))
    made.active["B2"].number_format, made.active["C2"].number_format = "00000", "#,##0.00 €"
    assert select(saved(made)).chosen == {
        "x.jpg": {"sku": "00123", "price": "12.5", "new": "TRUE"},
        "y.jpg": {"sku": "0.3", "price": "1000000000000000", "new": "FALSE"},
    }


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_is_not_read(state: str) -> None:
    made = book(("photo", "version"), ("y.jpg", 3))
    made.active.sheet_state = state
    shown = made.create_sheet("Photos")
    shown.append(("Photo",))
    shown.append(("x.jpg",))
    assert list(select(saved(made)).chosen) == ["x.jpg"]


def test_a_cover_sheet_is_not_the_list() -> None:
    made = book(("How to fill in",), ("One photo per row",), ("Photo", "the name of its file"))
    for row in (("Picture no.", "SKU"), ("x.jpg", "S1"), ("y.jpg", "S2")):
        made.create_sheet("Photos").append(row) if len(made.worksheets) < 2 else made.worksheets[1].append(row)
    assert select(saved(made)).chosen == {"x.jpg": {"sku": "S1"}, "y.jpg": {"sku": "S2"}}


def test_two_sheets_of_photos_are_refused_by_name() -> None:
    made = book(("Photo",), ("x.jpg",))
    made.active.title = "May"
    june = made.create_sheet("June")
    june.append(("Photo",))
    june.append(("y.jpg",))
    with pytest.raises(GlassegError, match="2 sheets that may name the photos, May, June: hide all but one"):
        select(saved(made))
    june.sheet_state = "hidden"
    assert list(select(saved(made)).chosen) == ["x.jpg"]


@pytest.mark.parametrize("attribute", [b'hidden="1"', b'hidden="true"', b'ht="0" customHeight="1"'])
def test_a_hidden_row_is_reported_and_not_taken(attribute: bytes) -> None:
    data = with_sheet(changed(repr), b'<row r="3"', b'<row r="3" ' + attribute)
    found = select(data)
    assert list(found.chosen) == ["x.jpg", "z.jpg"]
    assert found.unmatched == [Unmatched(3, "y.jpg", "is hidden in the sheet: show it or delete it", ("y.jpg",))]
    with pytest.raises(GlassegError, match="hides row 3: show it or delete it"):
        reader.read("l.xlsx", data)


def test_a_row_that_is_struck_through_is_reported_and_not_taken() -> None:
    def strike(sheet: Worksheet) -> None:
        sheet["A3"].font = Font(strike=True)

    found = select(changed(strike))
    assert list(found.chosen) == ["x.jpg", "z.jpg"]
    assert found.unmatched == [Unmatched(3, "y.jpg", "is struck through", ("y.jpg",))]


@pytest.mark.parametrize("attribute", [b'hidden="1"', b'width="0" customWidth="1"'])
def test_a_hidden_column_is_only_taken_when_asked_for(attribute: bytes) -> None:
    shown = xlsx(("Photo", "File", "SKU"), ("y.jpg", "x.jpg", "S1"))
    columns = b'<cols><col min="1" max="1" %s/></cols><sheetData>' % attribute
    data = with_sheet(shown, b"<sheetData>", columns)
    assert select(data).chosen == {"x.jpg": {"photo": "y.jpg", "sku": "S1"}}
    assert list(select(data, "photo").chosen) == ["y.jpg"]


def test_a_merged_cell_counts_in_all_its_rows() -> None:
    def merge(sheet: Worksheet) -> None:
        sheet.merge_cells("B2:B3")
        sheet.merge_cells("A8:B9")

    found = select(with_sheet(changed(merge), b"A8:B9", b"A8:B1048576"))
    assert found.chosen == {"x.jpg": {"sku": "S1"}, "y.jpg": {"sku": "S1"}, "z.jpg": {"sku": "S3"}}


def test_titles_above_the_header_are_no_rows_of_the_list() -> None:
    made = book(
        ("Spring 2026", None, None), (None, None), ("SKU", "Photo", "Price"), ("S1", "x.jpg", 3), ("S2", "q", 4)
    )
    made.active.merge_cells("A1:C1")
    found = select(saved(made))
    assert found.chosen == {"x.jpg": {"sku": "S1", "price": "3"}}
    assert [(one.row, one.name) for one in found.unmatched] == [(5, "q")]


def test_names_without_a_header_are_no_titles() -> None:
    found = select(xlsx(("x",), ("y",), ("z", "look twice")))
    assert list(found.chosen) == ["x.jpg", "y.jpg", "z.jpg"]


def test_a_link_is_shown_when_the_text_names_no_photo() -> None:
    def link(sheet: Worksheet) -> None:
        sheet["A2"], sheet["A3"] = "Front view", "y.jpg"
        sheet["A2"].hyperlink = "https://cdn.example.com/p/x.jpg"
        sheet["A3"].hyperlink = "https://cdn.example.com/p/x.jpg"
        sheet["A5"] = '=HYPERLINK("https://cdn.example.com/x.jpg","open")'

    found = select(changed(link))
    assert list(found.chosen) == ["y.jpg", "z.jpg"]
    unsaved = "holds a formula whose value was not saved: open the list in Excel and save it"
    assert found.unmatched == [
        Unmatched(2, "Front view", "names no photo; its link leads to another name", ("x.jpg",)),
        Unmatched(5, "", unsaved, ("x.jpg",)),
    ]


def test_a_formula_without_a_saved_value_is_reported_and_one_that_gives_nothing_is_not() -> None:
    def formulas(sheet: Worksheet) -> None:
        sheet["A3"] = "=1+1"

    found = select(changed(formulas))
    assert list(found.chosen) == ["x.jpg", "z.jpg"] and found.unmatched[0].reason.startswith("holds a formula")
    nothing = with_sheet(changed(formulas), b'<c r="A3"><f>1+1</f><v /></c>', b'<c r="A3" t="str"><f>""</f><v></v></c>')
    assert select(nothing).unmatched == [Unmatched(3, "", "has no name")]


def test_line_breaks_that_other_systems_leave_in_a_name_do_not_count() -> None:
    assert list(select(xlsx(("Photo", "n"), ("x.jpg_x000D_\n", 1), ("\u00a0y.jpg\u00a0", 2))).chosen) == [
        "x.jpg",
        "y.jpg",
    ]


def test_the_epoch_of_a_mac_is_kept() -> None:
    made = book(("Photo", "Day"), ("x.jpg", date(2026, 2, 1)))
    made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert select(saved(made)).chosen == {"x.jpg": {"day": "2026-02-01 00:00:00"}}


@pytest.mark.parametrize(
    "row",
    [
        b'<row r="%d" spans="1:3" ht="15"><c r="A%d" s="0"/><c r="B%d" s="0"/><c r="C%d" s="0"></c></row>',
        b'<row r="%d" hidden="1"/>',
    ],
)
def test_a_sheet_formatted_to_its_last_row_takes_seconds(row: bytes) -> None:
    empty = b"".join(row.replace(b"%d", b"%d" % number) for number in range(5, 200_000))
    last = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>z.jpg</t></is></c></row></sheetData>'
    data = with_sheet(xlsx(("Photo",), ("x.jpg",), (None,), ("y.jpg",)), b"</sheetData>", empty + last)
    start = time.process_time()
    found = select(data)
    assert time.process_time() - start < 2
    assert list(found.chosen) == ["x.jpg", "y.jpg", "z.jpg"] and not found.unmatched


def test_rows_and_cells_without_an_address_are_counted() -> None:
    data = xlsx(("Photo", 1), (None, None), ("x.jpg", 2), ("q", 3))
    xml = sheet_of(data)
    bare = re.sub(rb'(<(?:row|c)) r="\w+"', rb"\1", xml).replace(b"<row><c t", b"<row/><row><c t", 2)
    assert xml.count(b" r=") > 5 and b" r=" not in bare
    found = select(with_sheet(data, xml, bare))
    assert found.chosen == {"x.jpg": {"1": "2"}} and found.unmatched[0].row == 6


def test_another_program_may_name_the_elements_of_a_sheet_otherwise() -> None:
    data = xlsx(("Photo", "n"), ("x.jpg", 1), ("y.jpg", 2))
    xml = sheet_of(data)
    prefixed = re.sub(rb"<(/?)(\w)", rb"<\1x:\2", xml).replace(b"xmlns=", b"xmlns:x=")
    assert select(with_sheet(data, xml, prefixed)).chosen == {"x.jpg": {"n": "1"}, "y.jpg": {"n": "2"}}


def test_strict_open_xml_is_named_with_the_way_out() -> None:
    ours = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    strict = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx(("Photo",), ("x.jpg",)))) as before, zipfile.ZipFile(sink, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(ours, strict))
    with pytest.raises(GlassegError, match=r"l.xlsx is a workbook in strict Open XML: save it in Excel as an ordinary"):
        select(sink.getvalue())
