"""Which photos a list names, in whatever way people name photos."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listfiles import parquet, xlsx

from glasseg.errors import GlassegError
from glasseg.lists import reader, safe_csv, selection
from glasseg.lists.selection import Unmatched
from glasseg.storage.roots import open_root

SOURCE = "s3://shop/raw"
FOLDER = "/srv/shop/photos"
KEYS = ["a.jpg", "b.png", "2024/a.jpg", "2024/c.tif", "Front.JPG", "=x.jpg", "'=y.jpg", "é.jpg", "x/d.jpg", "y/d.jpg"]


def left(name: str, keys: list[str] = KEYS, source: str = SOURCE) -> Unmatched:
    """The report of a list's second row, which chooses no photo."""
    (only,) = selection.select("l.txt", f"{keys[0]}\n{name}".encode(), keys, source).unmatched
    assert only.row == 2 and only.name == name
    return only


def chosen(text: str, keys: list[str] = KEYS, source: str = SOURCE) -> list[str]:
    return [*selection.select("l.txt", text.encode(), keys, source).chosen]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("2024/a.jpg", "2024/a.jpg"),
        ("2024/a", "2024/a.jpg"),
        ("c.tif", "2024/c.tif"),
        ("c", "2024/c.tif"),
        ("a.jpg", "a.jpg"),  # the key, though 2024/a.jpg has that file name
        ("a", "a.jpg"),
        ("./2024/c", "2024/c.tif"),
        ("/2024/c.tif", "2024/c.tif"),
        ("2024\\c.tif", "2024/c.tif"),
        ("raw/2024/c.tif", "2024/c.tif"),
        ("s3://shop/raw/2024/a.jpg", "2024/a.jpg"),
        ("https://cdn.example.com/2024/c.tif?v=17", "2024/c.tif"),
        ("https://cdn.example.com/products/%C3%A9.jpg", "é.jpg"),
        ("C:\\Users\\Anna\\2024\\a.jpg", "2024/a.jpg"),
        ("C:\\Users\\Anna\\new\\b.png", "b.png"),
        ("front.jpg", "Front.JPG"),
        ("FRONT", "Front.JPG"),
        ("e\u0301.jpg", "é.jpg"),
        ("É", "é.jpg"),
        ("=x.jpg", "=x.jpg"),
        ("'=x.jpg", "=x.jpg"),
        ("'=y.jpg", "'=y.jpg"),
        ("''=y.jpg", "'=y.jpg"),
    ],
)
def test_a_name_finds_its_photo(name: str, key: str) -> None:
    assert chosen(name) == [key]


ODD = ["lp/a b.jpg", "lp/a+b.jpg", "lp/ä 1.jpg", "lp/c%20d.jpg", "lp/x.jpg", "lp/12345.jpg", "lp/1.0.jpg", "lp/x#2.jpg"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ('"C:\\Users\\Anna\\lp\\a b.jpg"', "lp/a b.jpg"),
        ("'/home/anna/lp/a b.jpg'", "lp/a b.jpg"),
        ("“x.jpg”", "lp/x.jpg"),
        ("<https://cdn.example.com/x.jpg>", "lp/x.jpg"),
        ('"x.jpg",', "lp/x.jpg"),
        ("x.jpg;", "lp/x.jpg"),
        ("„x.jpg“", "lp/x.jpg"),
        ("lp/a\\ b.jpg", "lp/a b.jpg"),
        ("file:///C:/Users/Anna/lp/a%20b.jpg", "lp/a b.jpg"),
        ("file://localhost/Users/anna/a%20b.jpg", "lp/a b.jpg"),
        ("file:/home/anna/lp/a%2Bb.jpg", "lp/a+b.jpg"),
        ("file://server/share/a%20b.jpg", "lp/a b.jpg"),
        ("\\\\server\\share\\lp\\x.jpg", "lp/x.jpg"),
        ("~/Pictures/x.jpg", "lp/x.jpg"),
        ("../lp/x.jpg", "lp/x.jpg"),
        ("%USERPROFILE%\\Pictures\\x.jpg", "lp/x.jpg"),
        ("a%20b.jpg", "lp/a b.jpg"),
        ("c%20d.jpg", "lp/c%20d.jpg"),
        ("s3://other/lp/c%20d.jpg", "lp/c%20d.jpg"),
        ("https://cdn.example.com/lp/a+b.jpg", "lp/a+b.jpg"),
        ("https://cdn.example.com/lp/a%20b.jpg#top", "lp/a b.jpg"),
        ("https://cdn.example.com/lp/x#2.jpg", "lp/x#2.jpg"),
        ("//cdn.example.com/lp/x.jpg?v=1", "lp/x.jpg"),
        ("cdn.example.com/lp/x.jpg?v=1", None),  # as good as a folder of that name
        ("x.jpg?width=800", "lp/x.jpg"),
        ("https://shop.s3.eu-central-1.amazonaws.com/lp/%C3%A4+1.jpg", "lp/ä 1.jpg"),
        ("https://shop.s3.amazonaws.com/lp/%C3%A4%201.jpg", "lp/ä 1.jpg"),
        ("https://s3.eu-central-1.amazonaws.com/shop/lp/x.jpg", "lp/x.jpg"),
        ("https://shop.s3.dualstack.eu-central-1.amazonaws.com/lp/x.jpg", "lp/x.jpg"),
        ("https://shop.s3.eu-central-1.amazonaws.com/lp/x.jpg?X-Amz-Signature=ab&X-Amz-Expires=60", "lp/x.jpg"),
        ("https://s3.console.aws.amazon.com/s3/object/shop?region=eu-central-1&prefix=lp/%C3%A4+1.jpg", "lp/ä 1.jpg"),
        ("https://eu-central-1.console.aws.amazon.com/s3/object/shop?prefix=lp%2Fa%2Bb.jpg&tab=x", "lp/a+b.jpg"),
        ("https://s3.console.aws.amazon.com/s3/buckets/shop/lp/x.jpg?region=eu-central-1", "lp/x.jpg"),
        ("https://shop.s3.eu-central-1.amazonaws.com/lp/a+b.jpg", None),  # S3 means a space, others do not
        ("https://shop.s3.eu-central-1.amazonaws.com/x.jpg", None),  # another place in the bucket
        ("x\u200b.jpg", "lp/x.jpg"),
        ("\u202ax.jpg\u202c", "lp/x.jpg"),
        ("\ufeffX.JPG", "lp/x.jpg"),
        ("a\u00a0b.jpg", "lp/a b.jpg"),
        ("C:\\lp\\\u200ex.jpg", "lp/x.jpg"),
        ("12345.0", "lp/12345.jpg"),
        ("12345,00", "lp/12345.jpg"),
        ("1.0", "lp/1.0.jpg"),
        ("x.jpg#2", "lp/x.jpg"),
        ("x.jpg#3.jpg", None),
        ("x#2", "lp/x#2.jpg"),
        ("x#3", None),
    ],
)
def test_a_pasted_name_finds_its_photo_or_none(name: str, key: str | None) -> None:
    keys = [*ODD, "first.jpg"]
    assert chosen(f"first.jpg\n{name}", keys, "s3://shop") == ["first.jpg", *([key] if key else [])]


def test_names_that_look_alike_are_shown_with_what_nobody_sees() -> None:
    keys = ["a.jpg", "x.jpg", "x\u200b.jpg", "y\u00a0z.jpg"]
    assert chosen("a.jpg\nx.jpg\nx\u200b.jpg\ny z.jpg", keys) == keys
    found = selection.select("l.txt", "a.jpg\nx\u200e.jpg".encode(), keys, SOURCE)
    [alike] = found.unmatched
    assert alike == Unmatched(2, "x\\u200e.jpg", "names several photos", ("x.jpg", "x\\u200b.jpg"))
    assert selection.described(alike) == r"row 2, 'x\u200e.jpg', names several photos (x.jpg, x\u200b.jpg)"
    assert rb"x\u200e.jpg,names several photos,x.jpg; x\u200b.jpg" in selection.unmatched_csv(found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("4.00638E+12", "names no photo; looks like a number whose digits a spreadsheet left out: make the cells text"),
        ("4,00638E+12", "names no photo; looks like a number whose digits a spreadsheet left out: make the cells text"),
        ("02-Jan", "names no photo; looks like a date that a spreadsheet made of a name: make the cells text"),
        ("Mrz 26", "names no photo; looks like a date that a spreadsheet made of a name: make the cells text"),
        ("#N/A", "names no photo; looks like an error of a spreadsheet: make the cells text"),
        ("x.jpg, y.jpg", "names no photo; holds several names: give each of them a row"),
        ("x.jpg|y.jpg", "names no photo; holds several names: give each of them a row"),
        ("https://s.eu/b.png, https://s.eu/Front.JPG", "names no photo; holds several names: give each of them a row"),
        ("https://s.eu/b.png?v=1,https://s.eu/Front.JPG?v=2", "names no photo; holds several names"),
        ("https://s.eu/b.png<br>https://s.eu/Front.JPG", "names no photo; holds several names"),
        ("C:\\new\\b.png and C:\\new\\Front.JPG", "names no photo; holds several names"),
        ("/f/r/Front.JPG https://s.eu/b.png", "names no photo; holds several names"),
        ('"C:\\new\\b.png" "C:\\new\\Front.JPG"', "names no photo; holds several names"),
        ("12-side", "names no photo"),
        ("00124", "names no photo"),
    ],
)
def test_what_a_spreadsheet_spoils_is_said(name: str, reason: str) -> None:
    [report] = selection.select("l.txt", f"a.jpg\n{name}".encode(), KEYS, SOURCE).unmatched
    assert report.reason.startswith(reason) and not report.candidates


@pytest.mark.parametrize(
    "name", ["https://s.eu/fetch/w_9,h_9/https://t.eu/a.jpg", "https://s.eu/m.jpg/v1/fill/a.jpg?v=2,3"]
)
def test_one_address_that_looks_like_several_is_found(name: str) -> None:
    assert chosen(name, ["lp/a.jpg", "b.jpg"]) == ["lp/a.jpg"]


@pytest.mark.parametrize("name", ["c.jpg, d.jpg", f"{FOLDER}/lp/c.jpg, d.jpg", "lp\\c.jpg, d"])
def test_one_name_that_looks_like_several_is_found(name: str) -> None:
    assert chosen(name, ["lp/c.jpg, d.jpg", "lp/d.jpg"], FOLDER) == ["lp/c.jpg, d.jpg"]


def test_lost_zeros_are_shown_and_not_guessed() -> None:
    keys = ["a.jpg", "00123.jpg", "0123.jpg"]
    assert (
        left("123", keys).reason
        == left("123.0", keys).reason
        == "names no photo; others differ in leading zeros or punctuation"
    )
    assert left("123.png", keys).candidates == ("00123.jpg", "0123.jpg")


@pytest.mark.parametrize("name", ["AB–1  front", "ＡＢ-1 front.jpg", "ab_1_front", "- AB-1 front.jpg"])
def test_a_name_that_looks_nearly_like_a_photos_is_shown_with_it(name: str) -> None:
    report = left(name, ["a.jpg", "x/AB-1 front.jpg"])
    assert report.reason == "names no photo; others differ in leading zeros or punctuation"
    assert report.candidates == ("x/AB-1 front.jpg",)


def test_a_signature_is_not_shown() -> None:
    name = "https://shop.s3.amazonaws.com/raw/gone.jpg?X-Amz-Signature=secret"
    found = selection.select("l.txt", f"a.jpg\n{name}".encode(), KEYS, SOURCE)
    assert found.unmatched[0].name == "https://shop.s3.amazonaws.com/raw/gone.jpg?…"
    with pytest.raises(GlassegError) as caught:
        selection.select("l.txt", name.encode(), KEYS, SOURCE)
    assert "secret" not in str(caught.value) + selection.unmatched_csv(found).decode()


@pytest.mark.parametrize(
    "text",
    [
        "photo,image\na.jpg,b.png",
        "Photo 1,Photo 2\na.jpg,b.png",
        "Photo,Photo 2\na.jpg,b.png\nb.png,a.jpg",
    ],
)
def test_two_columns_that_name_different_photos_are_refused(text: str) -> None:
    with pytest.raises(GlassegError, match=r"photo.* or .*may be it; choose it with --column"):
        selection.select("l.csv", text.encode(), KEYS, SOURCE)


def test_two_columns_that_name_the_same_photos_are_one() -> None:
    assert list(selection.select("l.csv", b"photo,file\nc,2024/c.tif\nb,b.png", KEYS, SOURCE).chosen) == [
        "2024/c.tif",
        "b.png",
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("/srv/shop/photos/2024/a.jpg", "2024/a.jpg"),
        ("file:///srv/shop/photos/2024/a.jpg", "2024/a.jpg"),
        ("photos/2024/a", "2024/a.jpg"),
        ("/srv/shop/photos/2024/A", "2024/a.jpg"),
        ("/Volumes/Photos/2024/c.tif", "2024/c.tif"),
    ],
)
def test_a_path_finds_its_photo_in_a_folder(name: str, key: str) -> None:
    assert chosen(name, source=FOLDER) == [key]


def test_the_exact_spelling_wins_over_all_others() -> None:
    keys = ["a.jpg", "A.jpg", "e\u0301.jpg", "é.jpg", "s.jpg", "s", "s.jpg.png"]
    for key in keys:
        assert chosen(key, keys) == [key]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("2023/a.jpg", SOURCE),  # a photo of another folder, whatever its name
        ("s3://shop/raw/c.tif", SOURCE),  # its place is told, and it isn't there
        ("/srv/shop/photos/c", FOLDER),
        ("s3://shop/white/b.png", SOURCE),
        ("/srv/shop/white/b.png", FOLDER),
        ("b.tif", SOURCE),
        ("2024/a.png", SOURCE),
    ],
)
def test_another_file_of_that_name_is_not_taken_but_shown(name: str, source: str) -> None:
    report = left(name, source=source)
    assert report.reason == "names no photo; others differ in folder or extension" and report.candidates


def test_a_name_of_several_photos_is_reported_with_them() -> None:
    assert left("d.jpg") == Unmatched(2, "d.jpg", "names several photos", ("x/d.jpg", "y/d.jpg"))
    keys = ["a.jpg", *(f"{n}/d.jpg" for n in range(9))]
    assert left("D", keys) == Unmatched(
        2, "D", "names several photos, more than are shown", ("0/d.jpg", "1/d.jpg", "2/d.jpg")
    )
    assert left("B", ["a.jpg", "b.jpg", "b.png"]).candidates == ("b.jpg", "b.png")


@pytest.mark.parametrize("name", ["gone.jpg", "/", "./", "2024/", "https://cdn.example.com/", "\\", ".", "'"])
def test_a_name_of_no_photo_is_reported(name: str) -> None:
    found = selection.select("l.txt", f"b\n1/2/3/4/5/b.jpg\n{name}".encode(), KEYS, SOURCE)
    assert list(found.chosen) == ["b.png"]
    assert found.unmatched[-1] == Unmatched(3, name, "names no photo")


def test_the_first_row_of_a_photo_counts() -> None:
    found = selection.select("l.csv", b"photo,sku\nb,2\na.jpg,1\n\nB.PNG,3\n", KEYS, SOURCE)
    assert list(found.chosen.items()) == [("b.png", {"sku": "2"}), ("a.jpg", {"sku": "1"})]
    assert found.repeated == [Unmatched(5, "B.PNG", "names the photo of row 2 again", ("b.png",))]
    assert not found.unmatched


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_other_columns_travel_with_their_photo(suffix: str) -> None:
    rows = [("SKU", "Photo", "Collection"), ("12", "a.jpg", ""), ("", "b.png", "Sun, 2026"), ("13", "", "")]
    columns: dict[str, list[str]] = {head: list(cells) for head, *cells in zip(*rows, strict=True)}
    files = {
        "csv": "\r\n".join(";".join(row) for row in rows).encode(),
        "xlsx": xlsx(*rows),
        "parquet": parquet(**columns),
    }
    found = selection.select(f"l.{suffix}", files[suffix], KEYS, SOURCE)
    assert found.chosen == {"a.jpg": {"sku": "12"}, "b.png": {"collection": "Sun, 2026"}}
    assert found.unmatched == [Unmatched(3 if suffix == "parquet" else 4, "", "has no name")]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("image,mask,n\na.jpg,a_mask.png,1", None),
        ("photo,image\n1,a.jpg", None),
        ("Name,File Name\nAviator,a.jpg", None),
        ("name,datei\nAviator,a.jpg\nRound,b.png", None),
        ("key,source_uri\na.jpg,s3://shop/raw/a.jpg", None),
        ("sku,name\n12,a", None),
        ("Handle,Image Src\nx,https://cdn.example.com/a.jpg?v=1", None),
        ("front,back\nb.png,a.jpg", "BACK"),
        ("photo,back\nb.png,a.jpg", " back "),
    ],
)
def test_the_column_of_the_names_is_found(text: str, column: str | None) -> None:
    assert "a.jpg" in selection.select("l.csv", text.encode(), KEYS, SOURCE, column).chosen


@pytest.mark.parametrize("name", ["l.csv", "l.xlsx", "l.txt"])
@pytest.mark.parametrize("cells", [("b.png", "a.jpg"), ("b", "a")])
def test_a_list_of_one_column_needs_no_header(name: str, cells: tuple[str, ...]) -> None:
    data = xlsx(*((cell,) for cell in cells)) if name == "l.xlsx" else "\n".join(cells).encode()
    assert list(selection.select(name, data, KEYS, SOURCE).chosen) == ["b.png", "a.jpg"]


@pytest.mark.parametrize("header", ["sku", "image", "Modell"])
def test_a_list_of_one_column_may_have_any_header(header: str) -> None:
    found = selection.select("l.csv", f"{header}\na\n".encode(), [*KEYS, "image.jpg"], SOURCE)
    assert list(found.chosen) == ["a.jpg"] and not found.unmatched


def test_a_text_file_has_one_name_per_line() -> None:
    data = "\ufeffa.jpg\r\n\r\n  b.png \n2024/c.tif\rgone, or not.jpg".encode()
    found = selection.select("l.TXT", data, KEYS, SOURCE)
    assert list(found.chosen) == ["a.jpg", "b.png", "2024/c.tif"] and [one.row for one in found.unmatched] == [5]


def test_the_report_is_a_csv_that_injects_no_formulas() -> None:
    found = selection.select("l.csv", b"photo\na.jpg\n=HYPERLINK()\nd.jpg\na\n", KEYS, SOURCE)
    assert reader.read("u.csv", selection.unmatched_csv(found)) == [
        {"row": "3", "name": "'=HYPERLINK()", "reason": "names no photo", "candidates": ""},
        {"row": "4", "name": "d.jpg", "reason": "names several photos", "candidates": "x/d.jpg; y/d.jpg"},
        {"row": "5", "name": "a", "reason": "names the photo of row 2 again", "candidates": "a.jpg"},
    ]


def test_the_report_can_be_the_next_list() -> None:
    found = selection.select("l.csv", b"photo\na.jpg\n=late.jpg\n", KEYS, SOURCE)
    again = selection.select("u.csv", selection.unmatched_csv(found), [*KEYS, "=late.jpg"], SOURCE)
    assert list(again.chosen) == ["=late.jpg"]


def test_names_on_a_disk_that_are_not_utf8_can_be_shown() -> None:
    keys = ["a.jpg", "x/d\udcff.jpg", "y/d\udcff.jpg", "z/e.jpg", "\udcff/e.jpg"]
    found = selection.select("l.txt", b"a.jpg\ne.jpg", keys, FOLDER)
    assert found.unmatched[0].candidates == ("z/e.jpg", "\\xff/e.jpg")
    assert b"xff/e.jpg" in selection.unmatched_csv(found)


LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="/\\:")
NAMES = st.text(LETTERS, min_size=1).map(str.strip).filter(lambda name: name not in {"", ".", ".."})
PHOTOS = st.builds(
    lambda path, suffix: "/".join(path) + suffix,
    st.lists(NAMES, min_size=1, max_size=3),
    st.sampled_from([".jpg", ".PNG", ".tiff"]),
).filter(lambda key: safe_csv.guarded(key) == key)
SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda key: f"./{key}",
    lambda key: f"/{key}",
    lambda key: f"{FOLDER}/{key}",
    lambda key: f"file://{FOLDER}/{key}",
    lambda key: f"photos/{key}",
    lambda key: key.replace("/", "\\"),
    lambda key: f"{FOLDER}/{key}".replace("/", "\\"),
    lambda key: unicodedata.normalize("NFD", key),
    lambda key: unicodedata.normalize("NFC", key),
    lambda key: key.rpartition(".")[0],
    lambda key: key.upper() if key.upper().casefold() == key.casefold() else key,  # not so for the Turkish ı
    lambda key: key.rpartition("/")[2],
]


def plain(key: str) -> str:
    """What two keys must not share if every spelling is to tell them apart."""
    return unicodedata.normalize("NFD", key.rpartition("/")[2].rpartition(".")[0]).upper().casefold().strip()


@settings(max_examples=60)
@given(st.lists(PHOTOS, min_size=1, max_size=6, unique_by=plain), st.data())
def test_a_list_of_all_photos_in_any_spelling_selects_exactly_them(keys: list[str], data: st.DataObject) -> None:
    spelled = [data.draw(st.sampled_from(SPELLINGS))(key) for key in keys]
    found = selection.select("l.txt", "\n".join(spelled).encode(), pa.chunked_array([keys[:1], keys[1:]]), FOLDER)
    assert list(found.chosen) == keys and not found.unmatched and not found.repeated


def test_a_million_photos_take_seconds() -> None:
    keys = pa.chunked_array([[f"sku{n // 8}/view-{n % 8}.jpg" for n in range(1_000_000)]])
    text = "\n".join(f"SKU{n}\\view-3" for n in range(20_000))
    start = time.process_time()
    assert len(selection.select("l.txt", text.encode(), keys, SOURCE).chosen) == 20_000
    assert time.process_time() - start < 60


@pytest.mark.parametrize(
    ("name", "data", "column", "words"),
    [
        ("l.csv", b"", None, "l.csv is empty"),
        ("l.txt", b"\n \n", None, "l.txt is empty"),
        ("l.csv", b"photo\n", None, "has no row below its header"),
        ("l.parquet", parquet(photo=[]), None, "has no row below its header"),
        ("l.doc", b"a.jpg", None, "l.doc is not a list of photos: a list is csv, xlsx, txt or parquet"),
        ("l.txt", b"\xff\xfea", None, "l.txt is not text in utf-8"),
        ("l.xlsx", b"PK", None, "l.xlsx can.t be read as a workbook"),
        ("l.csv", b"photo,sku\na.jpg,1", "bild", "l.csv has no column bild: its columns are photo, sku"),
        ("l.txt", b"a.jpg", "photo", "l.txt has no columns.*leave out --column"),
        ("l.csv", b"a.jpg,12\nb.png,13", None, "has no header, its first row names a.jpg"),
        ("l.csv", b"front,back\na.jpg,b.png", None, "front or back may be it; choose it with --column"),
        (
            "l.csv",
            b"by;PIM\nspring;26\nSKU;Photo\n1;a",
            None,
            "row 3 of l.csv looks like its header: delete the rows above",
        ),
        ("l.csv", b"by;PIM\nspring;26\nSKU;Bild\n1;a", "bild", "row 3 of l.csv looks like its header: delete the rows"),
        ("l.csv", b"sku,price\n1,2", None, "its columns are sku, price; choose it with --column"),
        (
            "l.csv",
            b'photo\nno.jpg\n"n\no"\n',
            None,
            r"row 2, 'no.jpg', names no photo; row 3, 'n\\no', names no photo;",
        ),
        ("l.csv", b"photo\nno.jpg\n", None, "the source has a.jpg, b.png, 2024/a.jpg: is it the list of this source"),
    ],
)
def test_a_list_that_cant_be_used_is_refused_in_one_line(
    name: str, data: bytes, column: str | None, words: str
) -> None:
    with pytest.raises(GlassegError, match=words) as caught:
        selection.select(name, data, KEYS, SOURCE, column)
    assert "\n" not in str(caught.value)


def test_a_source_without_photos_is_reported() -> None:
    with pytest.raises(GlassegError, match="the source has no photos"):
        selection.select("l.txt", b"a.jpg", [], SOURCE)


def test_a_list_is_fetched_from_its_place(root_uri: str) -> None:
    open_root(root_uri).write("sub/l.txt", b"a.jpg")
    assert selection.fetch(f"{root_uri}/sub/l.txt") == b"a.jpg"


@pytest.mark.parametrize("place", ["gone.csv", "a.jpg", "", "sub.csv"])
def test_a_place_without_a_list_is_named(root_uri: str, place: str) -> None:
    open_root(root_uri).write("sub.csv/b.csv", b"photo\na.jpg")
    uri = f"{root_uri}/{place}"
    with pytest.raises(GlassegError) as caught:
        selection.fetch(uri)
    assert uri in str(caught.value) and "\n" not in str(caught.value)
