"""The runs into a destination: their names and the records that they leave, `_glasseg/runs/RUN.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import records
from glasseg.storage.roots import Root

RUNS: Final = "_glasseg/runs/"
THREADS: Final = 16
"""Records that are read at the same time."""


def new_id(now: datetime | None = None) -> str:
    """A name for a run that sorts by time, such as 20260131T021500.123Z."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def write(root: Root, run_id: str, record: Mapping[str, Any]) -> None:
    """Write the record of one run."""
    records.store(root, f"{RUNS}{run_id}.json", json.dumps(record, indent=2, default=str).encode() + b"\n")


def read(root: Root, run_id: str) -> dict[str, Any]:
    """The record of one run, with at least `run_seq`. Raises GlassegError, naming it, when it is none."""
    key = f"{RUNS}{run_id}.json"
    with records.refused(root, key):
        record: dict[str, Any] = json.loads(root.read(key)[0])
        int(record["run_seq"])
        return record


def names(root: Root) -> list[str]:
    """The names of all runs that left a record, as they sort."""
    return [key.removeprefix(RUNS).removesuffix(".json") for key in records.keys(root, RUNS, ".json")]


def next_seq(root: Root, known: pa.ChunkedArray, before: int = 0) -> int:
    """One more than any run so far had: by the rows that are `known`, the records, and `before`."""
    last = max((int(record["run_seq"]) for record in latest(root, 1)), default=0)
    return 1 + max(pc.max(known).as_py() or 0, last, before)


def latest(root: Root, count: int | None = None) -> list[dict[str, Any]]:
    """The records of the last `count` runs, or of all, the newest first. Raises GlassegError for a file that is none.

    Their numbers say which are the last: a run whose clock was wrong has a name that sorts elsewhere.
    """
    known = names(root)
    with ThreadPoolExecutor(THREADS) as pool:
        found = [{**one, "run_id": name} for name, one in zip(known, pool.map(partial(read, root), known), strict=True)]
    return sorted(found, key=lambda one: (int(one["run_seq"]), one["run_id"]), reverse=True)[:count]
