"""`glasseg bench bookkeeping`: what it costs to find which photos of a generated catalog need work.

The rows of earlier runs are in a real manifest on the disk; the listing is generated, since the time of a real one
depends on the disk or the server. Memory is the most that this process had at any moment.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import clashes, gone, manifest, pending, schema, state
from glasseg.catalog.pending import Wanted
from glasseg.storage import listing
from glasseg.storage.folder import Folder
from glasseg.storage.naming import EXACT
from glasseg.storage.roots import Root
from jobs.destination.status import overview
from jobs.terminal import columns, say

SOURCE = "s3://shop/raw"
CHUNK = 250_000
"""Rows of a part after a compaction."""
_NEW, _CHANGED, _GONE = 412, 9, 3
_WANTED = Wanted("compact-0", "0", max_pixels=10**8)


def bookkeeping(photos: int, nights: int) -> dict[str, Any]:
    """Seconds and bytes of each step for `photos` photos, each done in `nights` runs; what `--json` prints."""
    with tempfile.TemporaryDirectory(prefix="glasseg-bench-") as folder:
        say(f"writing a manifest of {photos:,} photos, {nights} row{'s' * (nights != 1)} each")
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # so that its memory does not count
            apart.submit(write, folder, photos, nights).result()
        return measure(Folder(Path(folder).resolve()), photos)


def write(folder: str, photos: int, nights: int) -> None:
    """Write the manifest of a catalog as `nights` runs over all of it leave it."""
    root = Folder(Path(folder).resolve())
    for night in range(1, nights + 1):
        for number, start in enumerate(range(0, photos, CHUNK)):
            key = f"{manifest.MANIFEST}run{night}/part-{number:05d}.parquet"
            manifest.write_table(root, key, _rows(start, min(start + CHUNK, photos), night))


def measure(root: Root, photos: int) -> dict[str, Any]:
    """Time the steps of a run's plan, and `glasseg status`."""
    timed: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        say(name)
        began = time.perf_counter()
        yield
        timed[name] = round(time.perf_counter() - began, 2)

    with step("what is known of every photo"):
        read = state.read(root, SOURCE)
        known, places = read.photos, read.places
        del read
    listed, there = _listing(photos), _keys(_GONE, photos - 1)
    with step("photos and their outputs"):
        found, _ = pending.photos(listed, "keep")
        del listed
    with step("what exists in the destination"):
        found = clashes.with_clashes(found, EXACT, folders=True)
        found = pending.with_existing(found, there, places)
        del there
    with step("the difference"):
        reasons = pending.difference(found, known, _WANTED)["reason"].value_counts().to_pylist()
    with step("what is gone"):
        left = len(gone.photos(found, known, delete=False))
    plan = round(sum(timed.values()), 2)
    peak = _peak()
    del found, known, places
    with step("glasseg status"):
        overview(root)
    return {
        "photos": photos,
        "reasons": {one["values"]: one["counts"] for one in reasons} | {"gone": left},
        "seconds": timed,
        "plan_s": plan,
        "plan_peak_bytes": peak,
        "peak_bytes": _peak(),
    }


def _listing(photos: int) -> pa.Table:
    """Three photos of the catalog are gone from it, nine have changed, 412 are new."""
    keys = pa.chunked_array([*_keys(_GONE, photos).chunks, *_keys(photos, photos + _NEW).chunks])
    changed = pa.array([f"{n:032x}" for n in range(_CHANGED)])
    etags = [changed, *_etags(_GONE + _CHANGED, photos).chunks, *_etags(photos, photos + _NEW).chunks]
    sizes = pa.array(np.full(len(keys), 10**6))
    return pa.table({"key": keys, "size": sizes, "etag": pa.chunked_array(etags)}).cast(listing.SCHEMA)


def _chunked(start: int, stop: int, text: Callable[[int], str]) -> pa.ChunkedArray:
    parts = (range(first, min(first + CHUNK, stop)) for first in range(start, stop, CHUNK))
    return pa.chunked_array([pa.array(map(text, part), pa.string()) for part in parts], pa.string())


def _keys(start: int, stop: int) -> pa.ChunkedArray:
    return _chunked(start, stop, lambda n: f"brand-{n % 97:02d}/sku-{n:09d}/front-{n % 5}.jpg")


def _etags(start: int, stop: int) -> pa.ChunkedArray:
    return _chunked(start, stop, lambda n: f"{n * 0x9E3779B97F4A7C15 & (1 << 128) - 1:032x}")


def _rows(start: int, stop: int, night: int) -> pa.Table:
    """The rows of some photos from one night, with values of a typical size."""
    keys, n = _keys(start, stop), stop - start
    random = np.random.default_rng(night)
    words = {"status": "ok", "reason": "model", "model_id": "compact-0", "options_id": "0", "run_id": f"run{night}"}
    columns: dict[str, Any] = {name: pa.repeat(word, n) for name, word in words.items()}
    columns |= {"key": keys, "output_key": keys, "source_etag": _etags(start, stop)}
    columns["source_uri"] = pc.binary_join_element_wise(SOURCE, keys, "/")
    columns["output_uri"] = pc.binary_join_element_wise("s3://shop/white", keys, "/")
    for name, top in (("mask_coverage", 0.3), ("confidence", 1.0), ("quality", 1.0), ("background_exact", 1.0)):
        columns[name] = random.random(n) * top
    for name in ("read_ms", "segment_ms", "write_ms"):
        columns[name] = random.random(n, dtype=np.float32) * 100
    columns |= {"width": np.full(n, 1600), "height": np.full(n, 1200), "published": np.ones(n, bool)}
    columns |= {"run_seq": np.full(n, night), "schema_version": np.full(n, schema.SCHEMA_VERSION)}
    columns["finished_at"] = np.full(n, np.datetime64("2026-01-31T02:15:00", "us"))
    arrays = [columns.get(field.name, pa.nulls(n, field.type)) for field in schema.SCHEMA]
    return pa.table(arrays, names=schema.SCHEMA.names).cast(schema.SCHEMA)


def _peak() -> int:
    """The most memory that this process had, in bytes: macOS reports bytes, Linux kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in result["reasons"].items())
    steps = {**result["seconds"], "plan of a run, without listings": result["plan_s"]}
    seconds = columns({"step": "", "seconds": ",.1f"}, steps.items())
    memory = f"largest memory of the plan: {result['plan_peak_bytes'] / 2**30:.2f} GiB"
    return f"{result['photos']:,} photos: {reasons}\n\n{seconds}\n\n{memory}"
