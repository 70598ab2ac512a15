"""Lists of photos as people keep them."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listfiles import book, parquet, saved, with_sheet, xlsx

from glasseg.errors import GlassegError
from glasseg.lists import reader, spreadsheet


@pytest.mark.parametrize(
    "text", ["image,sku\na b.jpg,12\n,\n", "\ufeffimage;sku\r\na b.jpg;12\r\n", "image\tsku\na b.jpg\t12"]
)
def test_csv_of_every_spreadsheet(text: str) -> None:
    assert reader.read("L.CSV", text.encode()) == [{"image": "a b.jpg", "sku": "12"}]


def test_excel_numbers_are_text_and_formulas_are_not_evaluated() -> None:
    data = xlsx(
        ("image", "sku", None, "n"), ("a.jpg", 12.0, "unnamed", "=1+1"), (None, None, None, None), (" b.jpg ", 1.5)
    )
    assert reader.read("l.xlsx", data) == [
        {"image": "a.jpg", "sku": "12", "n": ""},
        {"image": "b.jpg", "sku": "1.5", "n": ""},
    ]


def test_parquet() -> None:
    assert reader.read("l.parquet", parquet(image=["a.jpg", None], n=[1, 2])) == [
        {"image": "a.jpg", "n": "1"},
        {"image": "", "n": "2"},
    ]


def test_a_short_row_is_filled_up() -> None:
    assert reader.read("l.csv", b"image,mask,split\na.jpg\n") == [{"image": "a.jpg", "mask": "", "split": ""}]


@pytest.mark.parametrize(
    "data", [b"\n\nImage ,MASK\na.jpg,m.png\n", xlsx((None,), ("Image ", "MASK"), ("a.jpg", "m.png"))]
)
def test_the_header_is_the_first_row_that_is_not_empty_in_any_case(data: bytes) -> None:
    name = "l.csv" if data.startswith(b"\n") else "l.xlsx"
    assert reader.read(name, data) == [{"image": "a.jpg", "mask": "m.png"}]


def test_commas_quotes_and_lines_within_quotes_are_part_of_a_value() -> None:
    assert reader.read("l.csv", b'image,n\n"a, ""b"".jpg","1\n2"\n') == [{"image": 'a, "b".jpg', "n": "1\n2"}]


def test_pandas_keeps_an_empty_cell_as_nan() -> None:
    assert reader.read("l.parquet", parquet(image=["a", "b"], n=[float("nan"), 7.0])) == [
        {"image": "a", "n": ""},
        {"image": "b", "n": "7"},
    ]


def test_the_first_sheet_counts_if_no_other_lists_photos() -> None:
    made = book(("image",), ("a.jpg",))
    made.create_sheet("notes").append(("b.jpg",))
    assert reader.read("l.xlsx", saved(made)) == [{"image": "a.jpg"}]


def test_a_sheet_is_read_whole_whatever_size_it_claims() -> None:
    data = with_sheet(
        xlsx(("image", "n"), ("a.jpg", 1), ("b.jpg", 2)), b'<dimension ref="A1:B3"', b'<dimension ref="A1"'
    )
    assert reader.read("l.xlsx", data) == [{"image": "a.jpg", "n": "1"}, {"image": "b.jpg", "n": "2"}]


def test_a_formulas_last_value_counts() -> None:
    data = with_sheet(xlsx(("image", "n"), ("a.jpg", "=1+1")), b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
    assert reader.read("l.xlsx", data) == [{"image": "a.jpg", "n": "2"}]


GOOD = {"l.xlsx": xlsx(("image", "n"), ("a.jpg", 1)), "l.parquet": parquet(image=["a.jpg"] * 3, n=[1, 2, 3])}


@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_a_damaged_list_is_read_or_refused_in_one_line(name: str, hits: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(GOOD[name])
    for place, value in hits:
        data[int(place * len(data))] = value
    for damaged in (bytes(data), bytes(data[: int(kept * len(data))])):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # words of a library below are nothing for our users
            try:
                reader.read(name, damaged)
            except GlassegError as error:
                assert str(error).startswith(name) and "\n" not in str(error)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='\x00\r\n,;\t"')), min_size=1, max_size=5))
def test_any_text_survives_except_for_the_spaces_around_it(names: list[str]) -> None:
    data = "image,n\n" + "".join(f'"{name}",1\n' for name in names)
    assert [row["image"] for row in reader.read("l.csv", data.encode())] == [name.strip() for name in names]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("l.txt", b"image", "is not a list"),
        ("l.csv", b"", "has no header"),
        ("l.csv", b",,\n,\n", "has no header"),
        ("l.csv", b"image,Image\na,b\n", "two columns called image"),
        ("l.csv", b'image\n"a.jpg', "can.t be read as csv"),
        ("l.csv", b"\xff\xfe\x00", "is not csv in utf-8"),
        ("l.xlsx", b"no workbook", "can.t be read as a workbook"),
        ("l.xlsx", b"", "can.t be read as a workbook"),
        ("l.xls", b"", "is not a list"),
        ("l.parquet", b"no parquet", "can.t be read as parquet"),
    ],
)
def test_a_broken_list_is_named(name: str, data: bytes, words: str) -> None:
    with pytest.raises(GlassegError, match=words) as caught:
        reader.read(name, data)
    assert str(caught.value).startswith(name)


def test_what_counts_as_a_list() -> None:
    assert spreadsheet.is_list("a/b.XLSX") and spreadsheet.is_list("x.csv") and not spreadsheet.is_list("a.jpg")


def numbered(name: str, data: bytes) -> list[tuple[int, list[str]]]:
    (sheet,) = spreadsheet.sheets(name, data)
    return [(row.number, row.cells) for row in sheet.rows]


def test_rows_have_the_numbers_that_a_spreadsheet_shows() -> None:
    data = xlsx(("image", "n"), (None, None), ("a.jpg", 1))
    assert numbered("l.xlsx", data) == [(1, ["image", "n"]), (3, ["a.jpg", "1"])]
    assert numbered("l.csv", b'\nimage\n"a\nb"\nc') == [(2, ["image"]), (3, ["a\nb"]), (4, ["c"])]
    assert numbered("l.txt", b"a.jpg\r\n\r\nb.jpg\r\n") == [(1, ["a.jpg"]), (3, ["b.jpg"])]
    assert numbered("l.parquet", parquet(image=["a"])) == [(0, ["image"]), (1, ["a"])]
    assert numbered("l.csv", b"sep=;\r\nimage;n\r\na.jpg;1\r\n") == [(1, ["image", "n"]), (2, ["a.jpg", "1"])]


def test_a_damaged_row_far_below_is_refused_as_the_whole_workbook() -> None:
    data = with_sheet(xlsx(("image",), ("a.jpg",), ("b.jpg",)), b'<row r="3"', b'<row r="3" <')
    with pytest.raises(GlassegError, match=r"l.xlsx can.t be read as a workbook"):
        reader.read("l.xlsx", data)


def test_a_text_file_is_not_a_list_of_labelled_photos() -> None:
    assert not spreadsheet.is_list("names.txt")


@pytest.mark.parametrize(("cached", "text"), [(b"<v>7</v>", "7"), (b"<v/>", ""), (b"", "")])
def test_a_formula_gives_the_value_of_its_last_saving_and_is_never_evaluated(cached: bytes, text: str) -> None:
    data = with_sheet(xlsx(("image", "n"), ("a.jpg", "=1+1")), b"<f>1+1</f><v />", b"<f>1+1</f>" + cached)
    assert reader.read("l.xlsx", data) == [{"image": "a.jpg", "n": text}]
