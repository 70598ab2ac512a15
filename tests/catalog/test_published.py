"""The pictures that stand in a destination, as a catalog is told of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifestrows import row

from glasseg.catalog import manifest, published
from glasseg.storage.roots import Folder


def picture(key: str, run_seq: int = 1, **facts: Any) -> dict[str, Any]:
    return row(key, run_seq, **{"output_key": key, "output_width": 40, "output_height": 30, **facts})


def lacking(key: str, run_seq: int, status: str, **facts: Any) -> dict[str, Any]:
    """A row without a picture of its own in the destination."""
    return row(key, run_seq, status=status, published=False, **facts)


def read(root: Folder, *fields: str, listed: Any = None) -> list[dict[str, str]]:
    return list(published.read(root, fields or published.FIELDS, listed))


def put(root: Folder, *rows: dict[str, Any]) -> None:
    for one in rows:
        manifest.write_part(root, one["run_id"], len(list(root.list())), [one])


def test_a_photo_whose_newer_picture_failed_or_is_held_is_told_with_its_older_one(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    put(root, *(picture(f"{name}.jpg", output_width=n) for n, name in enumerate("fhr", 1)))
    put(root, lacking("f.jpg", 2, "failed", error_code="unreadable"), lacking("new.jpg", 2, "failed"))
    put(root, lacking("h.jpg", 2, "review", output_key="h.jpg", output_width=99, error_code="coverage_jump"))
    put(root, picture("r.jpg", 2, status="review", error_code="uncertain_mask", output_width=50))
    told = [(one["name"], one["width"], one["status"], one["error_code"]) for one in read(root)]
    assert told == [
        ("f.jpg", "1", "failed", "unreadable"),
        ("h.jpg", "2", "held", "coverage_jump"),
        ("r.jpg", "50", "review", "uncertain_mask"),
    ]


def test_photos_that_are_gone_are_left_out_and_come_back_with_their_next_picture(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    put(root, picture("a.jpg"), picture("b.jpg"), picture("c.jpg"))
    put(root, lacking("a.jpg", 2, "gone", reason="gone"), lacking("b.jpg", 2, "gone", reason="deleted"))
    assert [one["key"] for one in read(root)] == ["c.jpg"]
    put(root, lacking("b.jpg", 3, "failed"))  # it is back, but its picture was deleted
    assert [one["key"] for one in read(root)] == ["c.jpg"]
    put(root, picture("b.jpg", 4))
    assert [one["key"] for one in read(root)] == ["b.jpg", "c.jpg"]


def test_a_picture_in_whose_place_another_was_put_is_not_told(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    put(root, picture("a.tif", output_key="a.png"), picture("b.tif", output_key="b.png"))
    put(root, picture("a.png", 2), lacking("a.tif", 2, "failed", error_code="same_name"))
    put(root, picture("b.tif", 2, output_key="b.webp"))
    assert [(one["key"], one["path"]) for one in read(root)] == [("a.png", "a.png"), ("b.tif", "b.webp")]


def test_a_lists_columns_stay_until_a_list_has_others(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    put(root, picture("a.jpg", 1, list_columns=[("sku", "00123"), ("alt text", "old"), ("name", "Aviator")]))
    put(root, picture("a.jpg", 2), lacking("a.jpg", 3, "failed", list_columns=[("alt text", "new")]))
    [one] = read(root)
    assert (one["sku"], one["alt"], one["list.name"], one["name"]) == ("00123", "new", "Aviator", "a.jpg")
    [one] = read(root, listed={"a.jpg": {"sku": "9", "name": "Pilot"}})
    assert (one["sku"], one["alt"], one["list.name"]) == ("9", "new", "Pilot")
    assert published.list_columns(root) == {"sku", "alt text", "name"}


def test_an_address_of_a_picture_on_a_disk_is_one(tmp_path: Path) -> None:
    put(Folder(tmp_path), picture("a b/ü#.jpg"))
    [one] = read(Folder(tmp_path))
    assert one["url"] == f"file://{tmp_path}/a%20b/%C3%BC%23.jpg" and (one["name"], one["path"]) == (
        "ü#.jpg",
        "a b/ü#.jpg",
    )


def test_parts_of_older_versions_have_empty_cells(tmp_path: Path) -> None:
    put(Folder(tmp_path), row("a.jpg", output_key="a.jpg"))
    [one] = read(Folder(tmp_path))
    assert one["width"] == one["quality"] == one["sku"] == ""


@settings(max_examples=40)
@given(st.data())
def test_every_picture_that_stands_is_told_once_in_the_order_of_keys(data: st.DataObject) -> None:
    """Against a destination in which pictures are really put, whatever the size of the sorted files."""
    stands: dict[str, tuple[str, int]] = {}
    status: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "_SORTED", data.draw(st.integers(0, 5)))
        patch.setattr(published, "_BATCH", data.draw(st.integers(1, 3)))
        root = Folder(Path(folder).resolve())
        for seq in range(1, data.draw(st.integers(1, 4)) + 1):
            for key in data.draw(st.lists(st.sampled_from(["ä", "b", "b/c", "b-c", "Z"]), unique=True)):
                kind = data.draw(st.sampled_from(["ok", "review", "failed", "gone", "deleted"]))
                if kind in {"ok", "review"}:
                    one, stands[key] = picture(key, seq, status=kind, output_width=seq), (key, seq)
                elif kind == "deleted":
                    one = lacking(key, seq, "gone", reason="deleted")
                    stands.pop(key, None)
                else:
                    one = lacking(key, seq, kind, reason=kind if kind == "gone" else "new")
                status[key] = one["status"]
                put(root, one)
                if data.draw(st.booleans()):  # a compaction that was killed leaves rows twice
                    manifest.write_part(root, "twice", len(list(root.list())), [one])
        there = sorted(key for key in stands if status[key] != "gone")
        told = [(one["key"], int(one["width"]), one["status"]) for one in read(root)]
        assert told == [(key, stands[key][1], status[key]) for key in there]
