"""Csv and txt as programs of all kinds write them."""

from __future__ import annotations

import pytest
from listfiles import parquet, xlsx

from glasseg.errors import GlassegError
from glasseg.lists import reader, selection

KEYS = ["x.jpg", "y.jpg", "12345.jpg", "a, b.jpg"]


def chosen(text: str | bytes, name: str = "l.csv") -> dict[str, dict[str, str]]:
    data = text.encode() if isinstance(text, str) else text
    return selection.select(name, data, KEYS, "s3://shop/raw").chosen


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nSKU;Photo\r\nS1;x.jpg\r\n",
        "\ufeffsep=;\r\nSKU;Photo\r\nS1;x.jpg\r\n",
        "SEP=,\nSKU,Photo\nS1,x.jpg",
        '"sep=|"\nSKU|Photo\nS1|x.jpg',
        "sep=\t\nSKU\tPhoto\nS1\tx.jpg",
        "SKU|Photo\nS1|x.jpg",
        "SKU;Photo\rS1;x.jpg\r",
        "SKU;Photo;;;\nS1;x.jpg;;;\n;;;;\n",
        "SKU,Photo\nS1,x.jpg,,\n",
        "# exported by PIM 2026-11-28\nSKU,Photo\nS1,x.jpg\n",
        "# exported by PIM, for the shop, 2026\nSKU,Photo\nS1,x.jpg\n",
        "Spring 2026;\n;\nSKU;Photo\nS1;x.jpg\n",
        "Export\n\nof today\nSKU;Photo\nS1;x.jpg\n",
        "Photos\nSKU,Photo\nS1,x.jpg\n",
        "\u200bSKU,\u200ePhoto\u200e\nS1,x.jpg",
    ],
)
def test_csv_in_every_dialect(text: str) -> None:
    assert chosen(text) == {"x.jpg": {"sku": "S1"}}


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ('"Photo (front, back, side)";SKU\r\nx.jpg;S1\r\n', {"sku": "S1"}),
        ("Photo (front, back, side);SKU\nx.jpg;S1\ny.jpg;S2", {"sku": "S1"}),
        ("Photo;Price, EUR\nx.jpg;1,5\ny.jpg;2,5\n", {"price, eur": "1,5"}),
        ("Photo;Text\nx.jpg;nice, round, red\ny.jpg;thin, blue, red\n", {"text": "nice, round, red"}),
        ("photo,note\nx.jpg,a;b\ny.jpg,c;d\n", {"note": "a;b"}),
        ("#,Photo,SKU\n1,x.jpg,S1\n", {"#": "1", "sku": "S1"}),
        ("#photo\tsku\nx.jpg\tS1\n", {"sku": "S1"}),
        ('photo,"size\n(mm)"\nx.jpg,5\n', {"size (mm)": "5"}),
        ('photo,size\nx.jpg,12" wide\n', {"size": '12" wide'}),
        ('photo,sku\n="x.jpg",="00123"\n', {"sku": "00123"}),
        ('photo;sku\n"=""x.jpg""";"=""00123"""\n', {"sku": "00123"}),
    ],
)
def test_what_delimits_is_told_from_what_is_text(text: str, others: dict[str, str]) -> None:
    assert chosen(text)["x.jpg"] == others


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.txt"])
def test_unicode_in_every_encoding(name: str, encoding: str) -> None:
    text = "x.jpg\r\ny.jpg\r\n" if name == "l.txt" else "Photo\tSKU\r\nx.jpg\tä\r\ny.jpg\tö\r\n"
    assert list(chosen(text.encode(encoding), name)) == ["x.jpg", "y.jpg"]


def test_unicode_with_its_mark_in_big_endian() -> None:
    assert chosen(b"\xfe\xff" + "Photo\tSKU\r\nx.jpg\tä".encode("utf-16-be")) == {"x.jpg": {"sku": "ä"}}


WEB = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("l.csv", "photo\nä.jpg".encode("cp1252"), r"l.csv is not csv in utf-8 \(row 2\): .*CSV UTF-8"),
        ("l.txt", "x.jpg\nä.jpg".encode("cp1252"), r"l.txt is not text in utf-8 \(row 2\)"),
        ("l.txt", b"x.jpg\nPhoto\tSKU", "several columns in row 2: rename it so that it ends in .tsv"),
        ("l.csv", b'photo,n\nx.jpg,1\n"y" z.jpg,2\n', "l.csv can't be read as csv: row 3: .*: see to its quotes"),
        ("l.csv", b'photo,n\nx.jpg,"1\ny.jpg,2\n', "l.csv can't be read as csv: row 2: .*: see to its quotes"),
        ("l.csv", b"photo,n\nx.jpg,1\na, b.jpg,2\n", "has 2 columns, and row 3 has more cells: .*quotes"),
        ("l.csv", b"photo\nx.jpg\na, b.jpg\n", "has 1 column, and row 3 has more cells: .*quotes"),
        ("l.csv", xlsx(("photo",), ("x.jpg",)), r"is a workbook \(xlsx\): rename it so that it ends in .xlsx"),
        ("l.txt", xlsx(("photo",), ("x.jpg",)), r"is a workbook \(xlsx\): rename it so that it ends in .xlsx"),
        ("l.xlsx", b"photo,sku\nx.jpg,S1\n", "it is text: rename it so that it ends in .csv"),
        ("l.csv", parquet(photo=["x.jpg"]), "is parquet: rename it so that it ends in .parquet"),
        ("l.xlsx", parquet(photo=["x.jpg"]), "is parquet: rename it so that it ends in .parquet"),
        ("l.parquet", xlsx(("photo",), ("x.jpg",)), "is a workbook"),
        ("l.csv", WEB, r"is a web page \(HTML\): open it in Excel"),
        ("l.xlsx", b"\xef\xbb\xbf\n<html xmlns:x=''><table>", r"is a web page \(HTML\)"),
        (
            "l.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
            r"is an old workbook \(xls\): save it as xlsx or csv",
        ),
        (
            "l.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "is protected with a password: save it without one",
        ),
        ("l.txt", b"{\\rtf1\\ansi x.jpg}", r"is formatted text \(RTF\): save it as plain text"),
        ("l.csv", b"\x1f\x8b\x08\x00", r"is packed \(gzip\): unpack it"),
        ("l.csv", b"%PDF-1.7", "is a PDF"),
        ("l.csv", b'[{"photo": "x.jpg"}]', "is JSON"),
        ("l.csv", b"sep=;\r\n", "l.csv is empty"),
        ("l.csv", b"Photo;SKU\r\n;\r\n", "no row below its header"),
    ],
)
def test_what_is_no_such_list_is_named_with_the_way_out(name: str, data: bytes, words: str) -> None:
    with pytest.raises(GlassegError, match=words) as caught:
        selection.select(name, data, KEYS, "s3://shop/raw")
    assert str(caught.value).startswith(name) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["xls", "xlsb", "ods", "numbers", "gsheet", "csv.gz", "docx"])
def test_a_list_of_another_kind_is_refused_with_the_way_out(suffix: str) -> None:
    with pytest.raises(GlassegError, match=r"is not a list of photos: .*save it as xlsx or csv"):
        selection.fetch(f"l.{suffix}")


def test_bytes_in_parquet_are_text() -> None:
    assert chosen(parquet(photo=[b"x.jpg", None], n=[1, 2]), "l.parquet") == {"x.jpg": {"n": "1"}}


def test_a_list_of_labelled_photos_is_read_in_the_same_way() -> None:
    assert reader.read("l.csv", b"sep=;\n# ours\nimage;mask\na.jpg;m.png\n") == [{"image": "a.jpg", "mask": "m.png"}]
