"""The manifest keeps its schema, its order of runs, and its distance from files that are none."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg import manifest
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import Folder, Root, open_root

NOW = datetime(2026, 1, 31, 2, 15, 0, 123456, UTC)
REQUIRED = [
    "key", "source_uri", "status", "reason", "model_id", "options_id", "run_id", "run_seq", "published", "finished_at",
]  # fmt: skip


@pytest.fixture
def root(root_uri: str) -> Root:
    return open_root(root_uri)


def row(key: str = "a.jpg", run_seq: int = 1, **facts: Any) -> dict[str, Any]:
    """A row with the required columns."""
    return {
        "key": key,
        "source_uri": f"/in/{key}",
        "status": "ok",
        "reason": "new",
        "model_id": "compact-0",
        "options_id": "0",
        "run_id": f"run{run_seq}",
        "run_seq": run_seq,
        "published": True,
        "finished_at": NOW,
        **facts,
    }


FULL = row(
    output_uri="/out/a.jpg",
    mask_uri="/out/m.png",
    error_code="uncertain_mask",
    error="words",
    warnings=["one", "two"],
    source_etag="3-4",
    source_bytes=5_000_000_000,
    width=1600,
    height=1200,
    mask_coverage=0.125,
    bbox_x0=1,
    bbox_y0=2,
    bbox_x1=30,
    bbox_y1=40,
    confidence=0.75,
    replaced_run_id="run0",
    read_ms=1.5,
    segment_ms=2.5,
    write_ms=3.5,
)


def put(root: Root, key: str, table: pa.Table) -> str:
    """Writes a parquet file of any kind among the manifest's parts."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    root.write(manifest.MANIFEST + key, buffer.getvalue())
    return key


def test_a_part_on_the_disk_has_exactly_the_schema(root: Root) -> None:
    key = manifest.write_part(root, "run1", 3, [row()])
    assert key == "_glasseg/manifest/run1/part-00003.parquet"
    stored = pq.ParquetFile(io.BytesIO(root.read(key)[0])).schema_arrow
    assert stored.equals(manifest.SCHEMA)
    assert [field.name for field in stored if not field.nullable] == [*REQUIRED, "schema_version"]
    assert stored.field("finished_at").type == pa.timestamp("us", tz="UTC")


def test_what_was_written_is_read(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [FULL])
    [read] = manifest.read(root).to_pylist()
    assert read == {**dict.fromkeys(manifest.SCHEMA.names), **FULL, "schema_version": manifest.SCHEMA_VERSION}


def test_columns_that_a_row_lacks_are_null(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row(), FULL])
    assert manifest.read(root)["warnings"].to_pylist() == [None, ["one", "two"]]
    assert manifest.read(root).schema.names == manifest.SCHEMA.names


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
    assert manifest.read(root).num_rows == 0 and manifest.state(root) == {}
    assert manifest.read(root).schema.names == manifest.SCHEMA.names


def test_an_old_part_without_newer_columns_reads_with_null(root: Root) -> None:
    manifest.write_part(root, "run2", 0, [{**FULL, "run_seq": 2}])
    put(root, "run1/part-00000.parquet", manifest.table([FULL]).drop_columns(["confidence", "warnings", "published"]))
    old, new = manifest.read(root).to_pylist()
    assert (old["confidence"], old["warnings"], old["published"]) == (None, None, None)
    assert old["mask_coverage"] == 0.125 and new["confidence"] == 0.75
    assert manifest.read(root, ["confidence"])["confidence"].to_pylist() == [None, 0.75]


def test_a_newer_part_with_more_columns_and_another_order_is_read(root: Root) -> None:
    table = manifest.table([FULL]).append_column("from_the_future", pa.array([1]))
    put(root, "run1/part-00000.parquet", table.select(sorted(table.schema.names)))
    [read] = manifest.read(root).to_pylist()
    assert read == {**dict.fromkeys(manifest.SCHEMA.names), **FULL, "schema_version": manifest.SCHEMA_VERSION}


SINCE_2 = {
    *("output_width", "output_height", "output_bytes", "fill"),
    *("background_exact", "background_deviation", "ring_exact"),
    *(f"check_{name}" for name in ("amazon", "google", "zalando", "ebay")),
}


def test_parts_of_the_first_release_are_read_and_count(root: Root) -> None:
    old = manifest.table([FULL]).drop_columns(sorted(SINCE_2))
    put(root, "run1/part-00000.parquet", old)
    manifest.write_part(root, "run2", 0, [row("b.jpg", run_seq=2, fill=0.8, check_amazon="pass")])
    first, second = manifest.read(root).to_pylist()
    assert {first[name] for name in SINCE_2} == {None} and (second["fill"], second["check_amazon"]) == (0.8, "pass")
    assert set(manifest.state(root)) == {"a.jpg", "b.jpg"}


FOREIGN = {
    "no identity": pa.table({"name": ["a"], "price": [3]}),
    "half of it": pa.table({"key": ["a"], "status": ["ok"]}),
    "nulls": manifest.table([row()]).drop_columns(["key"]).append_column("key", pa.nulls(1, pa.string())),
    "wrong types": manifest.table([row()]).drop_columns(["run_seq"]).append_column("run_seq", pa.array(["one"])),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("columns", [None, manifest.STATE_COLUMNS, ["confidence"]])
def test_a_foreign_parquet_file_is_refused_naming_it(tmp_path: Path, kind: str, columns: list[str] | None) -> None:
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
        manifest.state(root)


def test_files_that_macos_leaves_beside_ours_are_no_records(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row()])
    for key in ("manifest/run1/._part-00000.parquet", "runs/._run1.json", "claims/._run1.parquet"):
        root.write(f"_glasseg/{key}", b"\x00\x05\x16\x07")
    assert manifest.state(root).keys() == {"a.jpg"} and manifest.claimed(root) == set()
    assert manifest.next_run_seq(root, {}) == 1


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_state_of_a_photo_is_its_row_with_the_highest_run_seq(data: st.DataObject) -> None:
    """Whatever the clock said: names of runs and times are shuffled against `run_seq`."""
    count = data.draw(st.integers(1, 5))
    names = data.draw(st.permutations([f"2026010{i}T000000.000Z" for i in range(count)]))
    hours = data.draw(st.permutations(range(count)))
    expected: dict[str, tuple[int, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Folder(Path(folder).resolve())
        for seq, (name, hour) in enumerate(zip(names, hours, strict=True), 1):
            keys = data.draw(st.lists(st.sampled_from("abcd"), unique=True))
            rows = [
                row(key, seq, run_id=name, status=data.draw(st.sampled_from(manifest.STATUSES)),
                    finished_at=NOW + timedelta(hours=hour))
                for key in keys
            ]  # fmt: skip
            parts = [rows[:1], rows[1:]] if data.draw(st.booleans()) else [rows]
            for number, part in enumerate(parts):
                manifest.write_part(root, name, number, part)
            expected |= {one["key"]: (seq, one["status"]) for one in rows}
        state = manifest.state(root)
        assert {key: (one["run_seq"], one["status"]) for key, one in state.items()} == expected
        assert manifest.next_run_seq(root, state) == max((seq for seq, _ in expected.values()), default=0) + 1
        for one in state.values():
            assert tuple(one) == manifest.STATE_COLUMNS


def test_the_next_run_counts_runs_without_rows(root: Root) -> None:
    assert manifest.next_run_seq(root, {}) == 1
    manifest.write_part(root, "run4", 0, [row(run_seq=4)])
    assert manifest.next_run_seq(root, manifest.state(root)) == 5
    manifest.write_run(root, "run9", {"run_seq": 9, "processed": 0})
    manifest.write_run(root, "run7", {"run_seq": 7, "processed": 0})
    assert manifest.next_run_seq(root, manifest.state(root)) == 10


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"run_seq": null}', b'{"run_seq": "x"}', b"\xff"])
def test_a_run_record_that_is_none_is_refused_naming_it(tmp_path: Path, text: bytes) -> None:
    root = Folder(tmp_path)
    root.write("_glasseg/runs/mine.json", text)
    with pytest.raises(GlassegError, match=r"_glasseg/runs/mine\.json"):
        manifest.next_run_seq(root, {})


def test_a_run_is_recorded_as_json(root: Root) -> None:
    manifest.write_run(root, "run1", {"run_seq": 1, "finished_at": NOW, "source": "/in/é"})
    record = json.loads(root.read("_glasseg/runs/run1.json")[0])
    assert record == {"run_seq": 1, "finished_at": str(NOW), "source": "/in/é"}


def test_claims_last_until_they_are_released(root: Root) -> None:
    assert manifest.claimed(root) == set()
    manifest.claim(root, "run1", ["a.jpg", "two words/é.png"])
    manifest.claim(root, "run2", ["b.jpg", "a.jpg"])
    manifest.claim(root, "run3", [])
    assert manifest.claimed(root) == {"a.jpg", "two words/é.png", "b.jpg"}
    for _ in range(2):
        manifest.release(root)
        assert manifest.claimed(root) == set()


def test_every_picture_that_a_row_names_is_ours_wherever_the_place_was_mounted(root: Root) -> None:
    rows = [
        row("a.jpg", run_seq=1, output_uri="/old/mount/a.jpg"),
        row("deep/er/b.tif", run_seq=1, output_uri="s3://bucket/prefix/deep/er/b.png"),
    ]
    manifest.write_part(root, "run1", 0, rows)
    manifest.write_part(root, "run2", 0, [row("a.jpg", run_seq=2, status="failed", output_uri=None)])
    assert manifest.written(root) == {"a.jpg", "deep/er/b.png"}


def test_claims_that_are_none_are_refused_naming_the_file(root: Root) -> None:
    for data in (b"no parquet", b""):
        root.write("_glasseg/claims/run1.parquet", data)
        with pytest.raises(GlassegError, match=r"claims/run1\.parquet"):
            manifest.claimed(root)


def test_names_of_runs_sort_by_time() -> None:
    times = [NOW + timedelta(milliseconds=7 * i**3) for i in range(40)]
    names = [manifest.new_run_id(time) for time in times]
    assert names == sorted(names) and names[0] == "20260131T021500.123Z"
    assert manifest.new_run_id() > names[0]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by /proc")
def test_reading_starts_no_decoding_threads_that_could_abort_the_end_of_the_process(tmp_path: Path) -> None:
    """One of Arrow's that lets go of our bytes while Python ends is exit code 134, once in twenty runs."""
    root = Folder(tmp_path)
    manifest.write_part(root, "run1", 0, [row(), FULL])
    manifest.claim(root, "run2", ["a.jpg"])
    code = f"""
import os, pathlib
from glasseg import manifest
from glasseg.folder import Folder
root, threads = Folder(pathlib.Path({str(tmp_path)!r})), lambda: len(os.listdir("/proc/self/task"))
before = threads()
manifest.read(root), manifest.claimed(root)
assert threads() <= before + 1, (before, threads())  # one for input stays
"""
    subprocess.run([sys.executable, "-c", code], check=True)
