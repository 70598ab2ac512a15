"""An S3 Inventory instead of a listing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from s3server import S3Server

from glasseg.catalog import inventory
from glasseg.errors import GlassegError
from glasseg.storage.roots import Bucket, Folder, open_root

SOURCE = Bucket("shop", "raw")
ROW = {"bucket": "shop", "key": "raw/a.jpg", "size": 7, "e_tag": "d41d"}


def file_of(*rows: dict[str, Any], without: tuple[str, ...] = (), **types: pa.DataType) -> bytes:
    """A file as AWS writes it of `rows`, each given by what differs from `ROW`; `types` by column."""
    all_types = {"bucket": pa.string(), "key": pa.string(), "size": pa.int64(), "e_tag": pa.string(), **types}
    rows = tuple({**ROW, **row} for row in rows)
    columns = [column for column in all_types if column not in without]
    table = pa.table({one: pa.array([row.get(one) for row in rows], all_types[one]) for one in columns})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def keys(*names: str) -> bytes:
    return file_of(*({"key": name} for name in names))


def manifest_of(*files: str, **other: Any) -> bytes:
    told = {"sourceBucket": "shop", "fileFormat": "Parquet", "files": [{"key": key, "size": 1} for key in files]}
    return json.dumps({**told, **other}).encode()


def stored(uri: str, **files: bytes) -> None:
    for name, data in files.items():
        open_root(uri).write(name, data)


def test_it_gives_key_size_and_etag_as_a_listing_does(root_uri: str) -> None:
    data = file_of({"key": "raw/sub/ä b%20c+d.jpg", "size": 2**40, "e_tag": '"ab-3"'}, last_modified_date=pa.int64())
    stored(root_uri, **{"i.parquet": data})
    table = inventory.listing_of(SOURCE, f"{root_uri}/i.parquet")
    assert table.schema == inventory.SCHEMA
    assert table.to_pylist() == [{"key": "sub/ä b%20c+d.jpg", "size": 2**40, "etag": "ab-3"}]


def test_only_what_stands_below_the_source_now_counts(folder_uri: str) -> None:
    types = {"version_id": pa.string(), "is_latest": pa.bool_(), "is_delete_marker": pa.bool_()}
    now = {"is_latest": True, "is_delete_marker": False}
    data = file_of(
        {"key": "raw/a.jpg", **now},
        {"key": "raw/a.jpg", "is_latest": False, "is_delete_marker": False, "e_tag": "old"},
        {"key": "raw/b.jpg", "is_latest": True, "is_delete_marker": True, "size": None, "e_tag": None},
        {"key": "raw/c.jpg", "is_latest": None, "is_delete_marker": None},
        {"key": "raw/sub/", **now, "size": 0},
        {"key": "raw", **now},
        {"key": "raw-2/d.jpg", **now},
        {"key": "raw/e.jpg", **now, "bucket": "shop-2"},
        **types,
    )
    stored(folder_uri, **{"i.parquet": data})
    table = inventory.listing_of(SOURCE, folder_uri)
    assert table["key"].to_pylist() == ["a.jpg", "c.jpg"] and table["etag"].to_pylist() == ["d41d", "d41d"]


def test_a_whole_bucket_keeps_its_keys() -> None:
    assert inventory.read(InMemory(keys("raw/a.jpg")), ["i"], "shop", "")["key"].to_pylist() == ["raw/a.jpg"]


def test_every_file_below_a_folder_counts(folder_uri: str) -> None:
    stored(folder_uri, **{"x/1.parquet": keys("raw/a.jpg"), "y/2.PARQUET": keys("raw/b.jpg"), "y/note.txt": b"no"})
    assert inventory.listing_of(SOURCE, folder_uri)["key"].to_pylist() == ["a.jpg", "b.jpg"]


def test_the_manifest_of_a_day_says_which_files_are_its(folder_uri: str) -> None:
    root = open_root(folder_uri)
    above = f"{root.prefix}/" if isinstance(root, Bucket) else "reports/shop/all/"
    stored(folder_uri, **{"data/1.parquet": keys("raw/old.jpg"), "data/2.parquet": keys("raw/a.jpg")})
    stored(folder_uri, **{"2026-01-02T00-00Z/manifest.json": manifest_of(f"{above}data/2.parquet")})
    table = inventory.listing_of(SOURCE, f"{folder_uri}/2026-01-02T00-00Z/manifest.json")
    assert table["key"].to_pylist() == ["a.jpg"]


def test_files_beside_a_copied_manifest_are_found(tmp_path: Any) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest_of("reports/shop/all/data/2.parquet"))
    (tmp_path / "2.parquet").write_bytes(keys("raw/a.jpg"))
    assert inventory.listing_of(SOURCE, str(tmp_path / "manifest.json")).num_rows == 1


def test_an_inventory_that_was_copied_to_another_place_of_a_bucket_is_found(s3: S3Server) -> None:
    uri = f"s3://{s3.bucket}/copied-inventory"
    stored(uri, **{"data/2.parquet": keys("raw/a.jpg"), "day/manifest.json": manifest_of("reports/all/data/2.parquet")})
    assert inventory.listing_of(SOURCE, f"{uri}/day/manifest.json").num_rows == 1


class InMemory:
    """A root whose every file has the same bytes."""

    uri = "s3://inventories"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def uri_of(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def read(self, key: str) -> tuple[bytes, str]:
        return self.data, ""


@pytest.mark.parametrize(
    "types",
    [
        {"bucket": pa.dictionary(pa.int32(), pa.string()), "key": pa.large_string()},
        {"key": pa.binary(), "e_tag": pa.binary(), "size": pa.int32()},
    ],
)
def test_other_writers_types_are_understood(types: dict[str, pa.DataType]) -> None:
    table = inventory.read(InMemory(file_of({}, **types)), ["i"], "shop", "raw")
    assert table.to_pylist() == [{"key": "a.jpg", "size": 7, "etag": "d41d"}]


@given(st.lists(st.text(st.characters(codec="utf-8")).map(lambda text: text + "."), min_size=1, unique=True))
def test_every_key_comes_back_as_it_is(names: list[str]) -> None:
    data = keys(*(f"ä/{name}" for name in names), "other/a.jpg")
    assert inventory.read(InMemory(data), ["i"], "shop", "ä")["key"].to_pylist() == names


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (file_of({}, without=("e_tag",)), "lacks the column e_tag: add size and ETag"),
        (file_of({}, without=("size", "e_tag")), "lacks the column size and e_tag"),
        (file_of({}, without=("bucket",)), "lacks the column bucket: is it one"),
        (file_of({}, {"key": "raw/b.jpg", "e_tag": None}), "has no e_tag for raw/b.jpg"),
        (file_of({}, {"key": "raw/b.jpg", "e_tag": ""}), "has no e_tag for raw/b.jpg"),
        (file_of({"size": None}), "has no size for raw/a.jpg"),
        (file_of({}, {"size": 8}), "lists a.jpg of s3://shop/raw twice.*manifest.json"),
        (file_of({"bucket": "other"}), "lists nothing of s3://shop/raw, it is of other"),
        (file_of({"key": "white/a.jpg"}), "lists nothing of s3://shop/raw, it has other folders"),
        (file_of(), "lists nothing"),
        (b"no parquet", "not a readable parquet file of an inventory"),
        (b"", "not a readable parquet file of an inventory"),
        (keys("raw/a.jpg")[:-20], "not a readable parquet file of an inventory"),
        (file_of({"size": "seven"}, size=pa.string()), "not a readable parquet file of an inventory"),
    ],
)
def test_an_inventory_that_cant_be_used_is_refused_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(GlassegError, match=words) as caught:
        inventory.read(InMemory(data), ["i.parquet"], "shop", "raw")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (manifest_of("x.csv.gz", fileFormat="CSV"), "is CSV: set its output format to Apache Parquet"),
        (manifest_of("x.parquet", sourceBucket="other"), "is of the bucket other, not of shop"),
        (manifest_of("gone.parquet"), "can't read the inventory file"),
        (manifest_of(), "lists nothing"),
        (manifest_of(files=[{"size": 1}]), "is not the manifest of an S3 Inventory"),
        (manifest_of(files=3), "is not the manifest of an S3 Inventory"),
        (b"[]", "is not the manifest of an S3 Inventory"),
        (b"\xff", "is not the manifest of an S3 Inventory"),
    ],
)
def test_a_manifest_that_cant_be_used_is_refused_in_one_line(folder_uri: str, data: bytes, words: str) -> None:
    stored(folder_uri, **{"manifest.json": data})
    with pytest.raises(GlassegError, match=words) as caught:
        inventory.listing_of(SOURCE, f"{folder_uri}/manifest.json")
    assert "\n" not in str(caught.value)


def test_a_place_without_an_inventory_is_named(new_uri: Callable[[], str]) -> None:
    uri = new_uri()
    stored(uri, **{"list.csv": b"key\n"})
    for place, words in ((uri, "no .parquet files in"), (f"{uri}/list.csv", "is not an S3 Inventory")):
        with pytest.raises(GlassegError, match=words) as caught:
            inventory.listing_of(SOURCE, place)
        assert place in str(caught.value)
    with pytest.raises(GlassegError):
        inventory.listing_of(SOURCE, f"{uri}/gone.parquet")


def test_a_folder_has_no_inventory(tmp_path: Any) -> None:
    with pytest.raises(GlassegError, match="is a folder: leave out --listing"):
        inventory.listing_of(Folder(tmp_path), str(tmp_path))
