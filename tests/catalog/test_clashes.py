"""Which photos have no place of their own for their pictures, and which of them owns what stands there."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from glasseg.catalog import clashes, pending
from glasseg.storage import listing
from glasseg.storage.naming import EXACT, Naming
from glasseg.storage.roots import Entry

ANY_CASE = Naming(case=True)


def clashing(*keys: str, format: Any = "keep", naming: Naming = EXACT, **how: bool) -> dict[str, str]:
    """The photos that clash, with why."""
    found, _ = pending.photos(listing.table(Entry(key, 1, "1-1") for key in keys), format)
    rows = clashes.with_clashes(found, naming, **{"folders": True, **how}).to_pylist()
    return {row["key"]: row["clash"] for row in rows if row["clash"]}


@pytest.mark.parametrize(
    ("names", "format", "output"),
    [(["x/a.tif", "x/a.png"], "keep", "x/a.png"), (["a.jpg", "a.webp", "b.jpg"], "png", "a.png")],
)
def test_two_photos_for_one_output_clash_and_each_names_the_other(names: list[str], format: str, output: str) -> None:
    found = clashing(*names, format=format)
    assert list(found) == names[:2]
    assert all(name in why for why in found.values() for name in (*names[:2], output, "--format"))


def test_the_same_name_in_other_folders_is_no_clash() -> None:
    assert not clashing("a.jpg", "x/a.jpg", "a.png", "A.jpg", "x/a/a.jpg", "a/jpg/a.png", "b.jpg.old/a.jpg")


def test_a_file_can_not_have_the_name_of_a_folder_but_in_a_bucket() -> None:
    keys = ("a.jpg", "a.jpg/inner.jpg", "a.jpg/deep/er.jpg", "b/c.PNG", "b/c.PNG/d.jpg", "e.jpg")
    assert set(clashing(*keys)) == {*keys} - {"e.jpg"}
    assert not clashing(*keys, folders=False)
    assert "a.jpg/" in clashing(*keys)["a.jpg"]


def test_masks_have_folders_too() -> None:
    keys = ("a.jpg", "a.jpg.png/inner.jpg", "b.jpg")
    assert not clashing(*keys) and not clashing(*keys, masks=True, folders=False)
    assert set(clashing(*keys, masks=True)) == {"a.jpg", "a.jpg.png/inner.jpg"}


def test_case_and_format_clash_together() -> None:
    keys = ("Sku.jpg", "sku.png", "SKU.tif", "b.jpg", "A.jpg/x.png", "a.png")
    assert set(clashing(*keys, format="jpeg", naming=ANY_CASE)) == {*keys} - {"b.jpg"}
    assert not clashing(*keys, format="jpeg")


def test_what_stands_there_is_the_picture_of_the_last_photo_that_was_written_there() -> None:
    """As versions left it that knew no clashes: both rows were ok, and one of the pictures was lost.

    The clock of the run that wrote before the last one was ahead.
    """
    found, _ = pending.photos(listing.table(Entry(key, 1, "1-1") for key in ("A.jpg", "a.jpg", "b.jpg")), "keep")
    found = clashes.with_clashes(found, ANY_CASE, folders=True)
    names, run_ids = ["b.jpg", "a.jpg", "A.jpg"], ["run9", "run9", "run2"]
    columns = {"output_key": names, "key": names, "run_seq": [1, 1, 2]}
    places = pa.table({**columns, "run_id": pa.array(run_ids).dictionary_encode()})
    there = pa.chunked_array([["a.jpg", "B.jpg"]])
    assert pending.with_existing(found, there, places, ANY_CASE)["exists"].to_pylist() == [True, False, True]
