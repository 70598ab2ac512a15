"""Runs have names that sort by time, and records that are found again."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from manifestrows import NOW

from glasseg.catalog import runs
from glasseg.errors import GlassegError
from glasseg.storage.roots import Folder, open_root


def test_names_of_runs_sort_by_time() -> None:
    times = [NOW + timedelta(milliseconds=7 * i**3) for i in range(40)]
    names = [runs.new_id(time) for time in times]
    assert names == sorted(names) and names[0] == "20260131T021500.123Z"
    assert runs.new_id() > names[0]


def test_a_run_is_recorded_as_json(folder_uri: str) -> None:
    root = open_root(folder_uri)
    runs.write(root, "run1", {"run_seq": 1, "finished_at": NOW, "source": "/in/é"})
    record = json.loads(root.read("_glasseg/runs/run1.json")[0])
    assert record == {"run_seq": 1, "finished_at": str(NOW), "source": "/in/é"}
    assert runs.read(root, "run1") == record


def test_the_latest_runs_come_first(folder_uri: str) -> None:
    root = open_root(folder_uri)
    assert runs.latest(root, 3) == []
    for seq in (1, 2, 3, 4):
        runs.write(root, f"run{seq}", {"run_seq": seq})
    root.write("_glasseg/runs/._run9.json", b"left by macOS")
    assert [one["run_id"] for one in runs.latest(root, 3)] == ["run4", "run3", "run2"]
    assert runs.names(root) == ["run1", "run2", "run3", "run4"]


def test_the_latest_run_is_told_by_its_number_whatever_its_clock_said(folder_uri: str) -> None:
    root = open_root(folder_uri)
    names = ["20260101T0", "20260102T0", "19700101T0", "20270104T0", "20260105T0", "20260106T0"]
    for seq, name in enumerate(names, 1):  # the third night's clock was not set, the fourth's a year ahead
        runs.write(root, name, {"run_seq": seq})
    assert [one["run_id"] for one in runs.latest(root)] == names[::-1]
    assert [one["run_id"] for one in runs.latest(root, 3)] == names[:-4:-1]
    assert runs.next_seq(root, pa.chunked_array([], pa.int64())) == 7


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"run_seq": null}', b'{"run_seq": "x"}', b"\xff"])
def test_a_run_record_that_is_none_is_refused_naming_it(tmp_path: Path, text: bytes) -> None:
    root = Folder(tmp_path)
    root.write("_glasseg/runs/mine.json", text)
    with pytest.raises(GlassegError, match=r"_glasseg/runs/mine\.json"):
        runs.latest(root, 1)
