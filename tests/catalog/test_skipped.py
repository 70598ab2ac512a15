"""Files that are no photos are counted by kinds, first those in which there may be pictures."""

from __future__ import annotations

import pyarrow as pa
import pytest

from glasseg.catalog import skipped


def kinds(*keys: str) -> dict[str, int]:
    return skipped.kinds(pa.chunked_array([keys], pa.string()))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a.jxl", ".jxl"),
        ("deep/A.PSD", ".psd"),
        ("a.jp2", ".jp2"),
        ("a.CR2", ".cr2"),
        ("a.3fr", ".3fr"),
        ("a.b/c", "without a suffix"),
        ("4f2a9c", "without a suffix"),
        ("a.0001", "without a suffix"),
        ("end.", "without a suffix"),
        ("a. not a suffix", "without a suffix"),
        ("x.jpg?v=1", ".jpg?…"),
        ("x.JPG&size=2.1", ".jpg?…"),
        (".DS_Store", "hidden"),
        ("Thumbs.db", ".db"),
        ("._a.jpg", "._…"),
        ("b/~$a.jpg", "~$…"),
        ("b/@eaDir/a.jpg/t.jpg", "in @eaDir"),
        (".Trash-1000/a.jpg", "in .Trash-1000"),
        ("\x1b[2J.x\ny", "without a suffix"),
    ],
)
def test_a_file_is_of_a_kind(key: str, kind: str) -> None:
    assert kinds(key) == {kind: 1}


def test_kinds_that_may_hold_pictures_come_first() -> None:
    found = kinds("a.xml", "b.xml", "c.xml", "d.psd", "e.jxl", "f.jxl", "g", "@eaDir/h.jpg")
    assert list(found.items()) == [(".jxl", 2), (".psd", 1), ("in @eaDir", 1), ("without a suffix", 1), (".xml", 3)]


def test_only_a_few_kinds_are_named() -> None:
    assert kinds() == {} and skipped.described({}) == ""
    assert skipped.described({".jxl": 1200, ".psd": 1}) == "1,200 .jxl, 1 .psd"
    assert skipped.described({f".{one}": 1 for one in "abcdefgh"}).endswith("1 .f, …")
