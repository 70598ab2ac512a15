"""Damaged files of every format through the whole job: a row for each, no hang, no worker that swells."""

from __future__ import annotations

import resource
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from corpus import bombs, mutations, samples

from glasseg.catalog import manifest
from glasseg.config import WhitenConfig
from glasseg.errors import FAILURE_CODES
from glasseg.storage.roots import Folder
from jobs.whiten import run as job
from jobs.whiten.executor import on_ray
from jobs.whiten.worker import Whitener

pytestmark = pytest.mark.usefixtures("ray_session")

MOST_MEMORY = 1.5e9
FAULTS = {"internal_error", "worker_died", "timeout", "out_of_memory"}


def weighing(notes: Path) -> type[Whitener]:
    """A Whitener whose process notes its peak memory after every batch."""

    class Weighing(Whitener):
        def __call__(self, batch: pa.Table) -> pa.Table:
            rows = super().__call__(batch)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            (notes / f"{id(batch)}-{peak}").touch()
            return rows

    return Weighing


def whitened(files: list[tuple[str, bytes]], tmp_path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The rows of a run over files, by key, and the largest memory of a worker in bytes."""
    source, notes = tmp_path / "in", tmp_path / "notes"
    source.mkdir()
    notes.mkdir()
    for name, data in files:
        (source / name).write_bytes(data)
    # the breaker would stop a catalog in which so many can't be read
    config = WhitenConfig(max_flagged=1.0, stop_above=1.0, max_pixels=4_000_000)
    job.whiten(str(source), str(tmp_path / "out"), config, executor=partial(on_ray, worker=weighing(notes)))
    rows = manifest.read(Folder(tmp_path / "out")).to_pylist()
    assert len(rows) == len(files), "one row per file"
    return {row["key"]: row for row in rows}, max(int(note.name.split("-")[1]) for note in notes.iterdir())


@pytest.mark.slow
def test_500_damaged_files_are_500_rows(tmp_path: Path) -> None:
    files = [(f"{number:03}-{name}", data) for number, (name, data) in enumerate(mutations(4, 500))]
    rows, memory = whitened(files, tmp_path)
    codes = {row["error_code"] for row in rows.values() if row["status"] == "failed"}
    assert codes <= set(FAILURE_CODES) - FAULTS
    assert not any("\n" in (row["error"] or "") for row in rows.values())
    assert 50 < sum(row["status"] != "failed" for row in rows.values()) < 450, "some can be read, some can't"
    assert memory < MOST_MEMORY


def test_bombs_of_every_format_are_rows_and_good_files_beside_them_are_done(tmp_path: Path) -> None:
    good = [(sample.name, sample.data) for sample in samples()[::12]]
    bad = [(f"{number}-{name}", data) for number, (name, data) in enumerate(bombs())]
    rows, memory = whitened([*bad, *good], tmp_path)
    assert {rows[name]["error_code"] for name, _ in bad} <= {"too_large", "unreadable", "too_small"}
    assert all(rows[name]["status"] in {"ok", "review"} for name, _ in good)
    assert memory < MOST_MEMORY
