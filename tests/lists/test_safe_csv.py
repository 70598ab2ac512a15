"""CSV that spreadsheets open without running anything."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.lists import reader, safe_csv

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1"]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00")) | st.sampled_from(FORMULAS)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe_csv.guarded(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "'", "'a.jpg", "front-view.jpg", "12", "ä.jpg"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert safe_csv.guarded(text) == text == safe_csv.unguarded(text)


@given(TEXTS)
def test_guarding_can_be_undone_for_every_text(text: str) -> None:
    assert safe_csv.unguarded(safe_csv.guarded(text)) == text


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_a_csv_reader_gets_every_cell_and_none_of_them_is_a_formula(rows: list[tuple[str, str]]) -> None:
    data = safe_csv.write(["name", "reason"], rows)
    read = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert [[safe_csv.unguarded(cell) for cell in row] for row in read] == [["name", "reason"], *map(list, rows)]
    assert not [cell for row in read for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@given(st.lists(TEXTS.map(str.strip).filter(bool), max_size=5))
def test_our_lists_of_photos_read_it_back(names: list[str]) -> None:
    rows = reader.read("l.csv", safe_csv.write(["name", "n"], [(name, 1) for name in names]))
    assert [safe_csv.unguarded(row["name"]) for row in rows] == names


def test_it_is_written_as_excel_and_rfc_4180_want_it() -> None:
    rows = [(-3, 'a "b", c'), (4, "\udcff.jpg")]
    written = '\ufeffrow,name\r\n-3,"a ""b"", c"\r\n4,\\xff.jpg\r\n'
    assert safe_csv.write(["row", "name"], rows) == written.encode()
