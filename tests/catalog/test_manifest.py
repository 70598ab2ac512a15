"""The manifest keeps its schema, its order of runs, and its distance from files that are none."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifestrows import FULL, NOW, put, row

from glasseg.catalog import claims, manifest, schema, state
from glasseg.catalog.schema import Row
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import Folder, Root, open_root

REQUIRED = [
    "key", "source_uri", "status", "reason", "model_id", "options_id", "run_id", "run_seq", "published", "finished_at",
]  # fmt: skip


@pytest.fixture
def root(folder_uri: str) -> Root:
    return open_root(folder_uri)


def test_a_part_on_the_disk_has_exactly_the_schema(root: Root) -> None:
    key = manifest.write_part(root, "run1", 3, [row()])
    assert key == "_glasseg/manifest/run1/part-00003.parquet"
    stored = pq.ParquetFile(io.BytesIO(root.read(key)[0])).schema_arrow
    assert stored.equals(schema.SCHEMA)
    assert [field.name for field in stored if not field.nullable] == [*REQUIRED, "schema_version"]
    assert stored.field("finished_at").type == pa.timestamp("us", tz="UTC")


def test_what_was_written_is_read(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [FULL])
    [read] = manifest.read(root).to_pylist()
    assert read == {**dict.fromkeys(schema.SCHEMA.names), **FULL, "schema_version": schema.SCHEMA_VERSION}


def test_columns_that_a_row_lacks_are_null(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row(), FULL])
    assert manifest.read(root)["warnings"].to_pylist() == [None, ["one", "two"]]
    assert manifest.read(root).schema.names == schema.SCHEMA.names


def test_a_time_of_another_zone_is_stored_in_utc(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row(finished_at=NOW.astimezone(timezone(timedelta(hours=5))))])
    [read] = manifest.read(root, ["finished_at"]).to_pylist()
    assert read["finished_at"] == NOW and read["finished_at"].utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("how", ["absent", "null"])
def test_a_row_without_a_required_column_is_refused(name: str, how: str) -> None:
    broken = {key: value for key, value in row().items() if key != name} | ({name: None} if how == "null" else {})
    with pytest.raises(pa.ArrowInvalid, match=name):
        manifest.table([broken])


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(pa.ArrowException):
        manifest.table([row(width="wide")])


def test_a_destination_without_manifest_is_empty(root: Root) -> None:
    assert manifest.read(root).num_rows == 0 and manifest.of_run(root, "x").num_rows == 0
    assert manifest.read(root).schema.names == schema.SCHEMA.names


def test_an_old_part_without_newer_columns_reads_with_null(root: Root) -> None:
    manifest.write_part(root, "run2", 0, [{**FULL, "run_seq": 2}])
    put(
        root,
        "run1/part-00000.parquet",
        manifest.table([FULL]).drop_columns(["confidence", "quality", "warnings", "published"]),
    )
    old, new = manifest.read(root).to_pylist()
    assert (old["confidence"], old["quality"], old["warnings"], old["published"]) == (None, None, None, None)
    assert old["mask_coverage"] == 0.125 and new["confidence"] == 0.75
    assert manifest.read(root, ["confidence"])["confidence"].to_pylist() == [None, 0.75]


def test_a_newer_part_with_more_columns_and_another_order_is_read(root: Root) -> None:
    table = manifest.table([FULL]).append_column("from_the_future", pa.array([1]))
    put(root, "run1/part-00000.parquet", table.select(sorted(table.schema.names)))
    [read] = manifest.read(root).to_pylist()
    assert read == {**dict.fromkeys(schema.SCHEMA.names), **FULL, "schema_version": schema.SCHEMA_VERSION}


SINCE_3 = {"output_key", "previous_coverage", "list_columns", "storage_retries"}
SINCE_2 = {
    *("output_width", "output_height", "output_bytes", "fill"),
    *("background_exact", "background_deviation", "ring_exact"),
    *(f"check_{name}" for name in ("amazon", "google", "zalando", "ebay")),
}


def test_parts_of_the_first_release_are_read_and_count(root: Root) -> None:
    old = manifest.table([FULL]).drop_columns(sorted(SINCE_2 | SINCE_3))
    put(root, "run1/part-00000.parquet", old)
    manifest.write_part(root, "run2", 0, [row("b.jpg", run_seq=2, fill=0.8, check_amazon="pass")])
    first, second = manifest.read(root).to_pylist()
    assert {first[name] for name in SINCE_2} == {None} and (second["fill"], second["check_amazon"]) == (0.8, "pass")
    assert first["output_key"] == "a.jpg", "from where the picture lay"
    assert set(state.read(root).photos["key"].to_pylist()) == {"a.jpg", "b.jpg"}


FOREIGN = {
    "no identity": pa.table({"name": ["a"], "price": [3]}),
    "half of it": pa.table({"key": ["a"], "status": ["ok"]}),
    "nulls": manifest.table([row()]).drop_columns(["key"]).append_column("key", pa.nulls(1, pa.string())),
    "wrong types": manifest.table([row()]).drop_columns(["run_seq"]).append_column("run_seq", pa.array(["one"])),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("columns", [None, state._READ, ["confidence"]])
def test_a_foreign_parquet_file_is_refused_naming_it(tmp_path: Path, kind: str, columns: Sequence[str] | None) -> None:
    if kind == "wrong types" and columns == ["confidence"]:
        return  # it says nothing wrong about this column
    root = Folder(tmp_path)
    manifest.write_part(root, "run1", 0, [row()])
    put(root, "run2/prices.parquet", FOREIGN[kind])
    with pytest.raises(GlassegError, match=rf"{tmp_path}/_glasseg/manifest/run2/prices\.parquet") as caught:
        manifest.read(root, columns)
    assert "\n" not in str(caught.value)
    assert kind != "no identity" or "no column key, status, run_seq" in str(caught.value)


def test_a_corrupt_part_is_refused_naming_it(root: Root) -> None:
    key = manifest.write_part(root, "run1", 0, [FULL] * 50)
    whole = root.read(key)[0]
    pages = slice(4, len(whole) // 4)
    damaged = whole[:4] + bytes(byte ^ 0xFF for byte in whole[pages]) + whole[pages.stop :]
    for data in (b"", b"PAR1", b"no parquet at all", whole[: len(whole) // 2], damaged):
        root.write(key, data)
        with pytest.raises(GlassegError, match=r"run1/part-00000\.parquet") as caught:
            manifest.read(root)
        assert "\n" not in str(caught.value)


def test_a_part_that_may_not_be_read_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Folder(tmp_path)
    manifest.write_part(root, "run1", 0, [row()])

    def denied(self: Folder, key: str) -> tuple[bytes, str]:
        raise PhotoError("denied", f"no permission to read {key}")

    monkeypatch.setattr(Folder, "read", denied)
    with pytest.raises(GlassegError, match=r"part-00000\.parquet"):
        manifest.read(root)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by /proc")
def test_reading_starts_no_decoding_threads_that_could_abort_the_end_of_the_process(tmp_path: Path) -> None:
    """One of Arrow's that lets go of our bytes while Python ends is exit code 134, once in twenty runs."""
    root = Folder(tmp_path)
    manifest.write_part(root, "run1", 0, [row(), FULL])
    claims.claim(root, "run2", pa.chunked_array([["a.jpg"]]))
    code = f"""
import os, pathlib
from glasseg.catalog import claims, manifest, state
from glasseg.storage.folder import Folder
root, threads = Folder(pathlib.Path({str(tmp_path)!r})), lambda: len(os.listdir("/proc/self/task"))
before = threads()
manifest.read(root), state.read(root), claims.claimed(root)
assert threads() == before, (before, threads())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_rows_of_a_run_are_found_wherever_they_were_merged_to_and_each_once(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row("a.jpg"), row("b.jpg")])
    manifest.write_part(root, "run2", 0, [row("a.jpg", run_seq=2)])
    merged = manifest.table([row("a.jpg"), row("b.jpg"), row("a.jpg", run_seq=2)])
    put(root, f"run2{manifest.MERGED}00000.parquet", merged)
    assert manifest.of_run(root, "run1")["key"].to_pylist() == ["a.jpg", "b.jpg"]
    assert manifest.of_run(root, "run2")["key"].to_pylist() == ["a.jpg"]
    assert manifest.of_run(root, "run3").num_rows == 0
    assert [one["run_seq"] for one in manifest.of_photo(root, "a.jpg")] == [1, 2]
    assert manifest.of_photo(root, "c.jpg") == []


def test_a_part_that_a_compaction_took_away_meanwhile_is_no_error(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = manifest.write_part(root, "run1", 0, [row("a.jpg")])
    manifest.write_part(root, "run1", 1, [row("b.jpg")])
    read, listed = type(root).read, []

    def merging(self: Root, key: str) -> tuple[bytes, str]:
        if key == gone and not listed:
            listed.append(key)
            put(root, f"run1{manifest.MERGED}00000.parquet", manifest.table([row("a.jpg")]))
            root.delete(gone)
        return read(self, key)

    monkeypatch.setattr(type(root), "read", merging)
    assert sorted(manifest.read(root)["key"].to_pylist()) == ["a.jpg", "b.jpg"]


def test_a_row_in_python_has_the_columns_of_the_schema_in_their_order() -> None:
    assert list(Row.__annotations__) == schema.SCHEMA.names
