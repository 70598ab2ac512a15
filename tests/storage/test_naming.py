"""Which names are one file in a place, found out by trying."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from foldingdisk import FoldingPath

from glasseg.storage.naming import EXACT, Naming, guessed, probed
from glasseg.storage.roots import Bucket, Folder

ALL = Naming(case=True, sharp_s=True, form=True, ends=True)


def column(*names: str) -> pa.ChunkedArray:
    return pa.chunked_array([names], pa.string())


def test_what_a_disk_ignores_is_tried_and_nothing_is_left(tmp_path: Path) -> None:
    assert probed(Folder(FoldingPath(tmp_path))) == ALL
    assert guessed(Folder(FoldingPath(tmp_path))).case, "our folder is there now, in any case"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_this_disk_and_a_bucket_ignore_nothing(tmp_path: Path) -> None:
    bucket = Bucket("nowhere", endpoint_url="http://127.0.0.1:9")
    assert {guessed(Folder(tmp_path / "new" / "er")), guessed(bucket), probed(bucket)} == {EXACT}
    if not (tmp_path.with_name(tmp_path.name.swapcase())).exists():  # on a Mac it does
        assert probed(Folder(tmp_path)) == EXACT


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("case", "Front.JPG", "front.jpg"),
        ("case", "ÉTÉ/Ж.jpg", "été/ж.jpg"),
        ("case", "ΟΔΟΣ.jpg", "οδος.jpg"),
        ("sharp_s", "straße.jpg", "strasse.jpg"),
        ("sharp_s", "proﬁl.jpg", "profil.jpg"),
        ("form", "\u00e9.jpg", "e\u0301.jpg"),
        ("form", "\ud55c.jpg", "\u1112\u1161\u11ab.jpg"),
        ("ends", "a. /b.jpg", "a/b.jpg"),
        ("ends", "b.jpg.", "b.jpg"),
    ],
)
def test_names_are_compared_as_the_disk_does(field: str, one: str, other: str) -> None:
    naming = replace(EXACT, **{field: True})
    assert naming.among(column("x.jpg", one), column(other)).to_pylist() == [False, True]
    assert naming.index(column(one, "x.jpg"), column("y.jpg", other)).to_pylist() == [1, None]
    assert EXACT.among(column(one), column(other)).to_pylist() == [False]


def test_names_that_differ_in_more_than_a_disk_ignores_stay_apart() -> None:
    names = column("a.jpg", "á.jpg", "a .jpg", "a/b.jpg", "ab.jpg", ".a.jpg", "a.jpeg", "masse.jpg", "maße.jpg")
    assert len(set(Naming(case=True, form=True, ends=True).folded(names).to_pylist())) == len(names)
