"""Merging parts loses no row, whenever it is killed."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifestrows import FULL, put, row

from glasseg.catalog import compaction, manifest, records, schema
from glasseg.catalog.compaction import INTENT, compact
from glasseg.errors import GlassegError
from glasseg.storage.roots import Root, open_root


@pytest.fixture
def root(folder_uri: str, monkeypatch: pytest.MonkeyPatch) -> Root:
    monkeypatch.setattr(compaction, "MOST_SMALL", 3)
    return open_root(folder_uri)


def nights(root: Root, count: int) -> list[tuple[str, int]]:
    for seq in range(1, count + 1):
        manifest.write_part(root, f"run{seq}", 0, [row("a.jpg", seq), {**FULL, **row("b.jpg", seq)}])
    return [(key, seq) for seq in range(1, count + 1) for key in ("a.jpg", "b.jpg")]


def known(root: Root) -> list[tuple[str, int]]:
    return sorted((one["key"], one["run_seq"]) for one in manifest.read(root).to_pylist())


def parts(root: Root) -> list[str]:
    return records.keys(root, manifest.MANIFEST, ".parquet")


def test_many_small_parts_become_one_with_every_row_and_column(root: Root) -> None:
    rows = nights(root, 5)
    before = manifest.read(root).to_pylist()
    assert compact(root, "run5") == 5
    assert parts(root) == ["_glasseg/manifest/run5/part-merged-00000.parquet"]
    assert known(root) == sorted(rows) and manifest.read(root).to_pylist() == before
    assert not root.exists(INTENT)
    stored = pq.ParquetFile(pa.BufferReader(root.read(parts(root)[0])[0])).schema_arrow
    assert stored.equals(schema.SCHEMA)


def test_few_parts_are_left_alone(root: Root) -> None:
    nights(root, 3)
    assert compact(root, "run3") == 0 and len(parts(root)) == 3


def test_large_parts_are_not_merged_again(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    nights(root, 5)
    monkeypatch.setattr(compaction, "LARGE", 100)
    assert compact(root, "run5") == 0 and len(parts(root)) == 5


def test_parts_are_merged_until_they_are_large(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = nights(root, 8)
    size = next(root.list(manifest.MANIFEST)).size
    monkeypatch.setattr(compaction, "LARGE", 3 * size)
    compact(root, "run8")
    assert len(parts(root)) == 3 and known(root) == sorted(rows)


def test_a_run_that_loses_its_lock_meanwhile_deletes_no_part(root: Root) -> None:
    """Its machine slept; who took the lock over has undone the merge."""
    rows = nights(root, 5)

    def check() -> None:
        if root.exists(INTENT):
            compaction.finish(root)
            raise GlassegError("lost its lock")

    with pytest.raises(GlassegError, match="lost its lock"):
        compact(root, "run5", check)
    assert known(root) == sorted(rows) and len(parts(root)) == 5


class Killed(Exception):
    """Stands for the end of the process at this very call."""


@pytest.mark.parametrize("calls", range(9))
def test_a_compaction_that_is_killed_anywhere_loses_nothing_and_is_finished_later(
    root: Root, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    rows, left = nights(root, 5), [calls]

    def mortal(method: Any) -> Any:
        def call(self: Root, *arguments: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return method(self, *arguments)

        return call

    with monkeypatch.context() as patched, pytest.raises(Killed):
        for name in ("write", "delete"):
            patched.setattr(type(root), name, mortal(getattr(type(root), name)))
        compact(root, "run5")
        raise Killed  # it took fewer calls
    assert set(known(root)) == set(rows)
    manifest.write_part(root, "run6", 0, [row("a.jpg", 6)])
    compact(root, "run6")
    assert known(root) == sorted([*rows, ("a.jpg", 6)]), "each once"
    assert not root.exists(INTENT)


def test_parts_of_a_later_version_are_left_to_it(root: Root) -> None:
    rows = nights(root, 5)
    newer = manifest.table([row("c.jpg", 6)]).append_column("from_the_future", pa.array([1]))
    put(root, "run6/part-00000.parquet", newer)
    compact(root, "run6")
    assert known(root) == sorted([*rows, ("c.jpg", 6)])
    assert "_glasseg/manifest/run6/part-00000.parquet" in parts(root)


def test_a_note_that_is_none_is_refused_naming_it(root: Root) -> None:
    root.write(INTENT, json.dumps({"merged": 3}).encode())
    with pytest.raises(GlassegError, match=r"_glasseg/compaction\.json"):
        compact(root, "run1")


@pytest.mark.parametrize("data", [b"", b"half of a parq"])
def test_a_merged_part_that_a_power_cut_left_is_made_again_from_its_parts(root: Root, data: bytes) -> None:
    rows, small = nights(root, 5), parts(root)
    target = "_glasseg/manifest/run5/part-merged-00000.parquet"
    root.write(INTENT, json.dumps({"merged": target, "parts": small}).encode())
    root.write(target, data)
    compaction.finish(root)
    assert parts(root) == small and known(root) == sorted(rows) and not root.exists(INTENT)
    assert compact(root, "run5") == 5 and known(root) == sorted(rows)


def test_a_merged_part_that_is_not_what_was_written_takes_no_other_away(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, small, write = nights(root, 5), parts(root), type(root).write

    def forgetful(self: Root, key: str, data: bytes) -> None:
        write(self, key, data[:1000] if manifest.MERGED in key else data)

    with monkeypatch.context() as patched, pytest.raises(GlassegError, match=r"part-merged-00000\.parquet.* written"):
        patched.setattr(type(root), "write", forgetful)
        compact(root, "run5")
    assert set(parts(root)) > set(small)
    compaction.finish(root)
    assert parts(root) == small and known(root) == sorted(rows)
