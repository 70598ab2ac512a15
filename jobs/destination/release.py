"""`glasseg release`: pictures that a run held back take the place of those that it kept."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import lock, manifest, runs, state
from glasseg.catalog.lock import Lock
from glasseg.catalog.manifest import mask_key
from glasseg.catalog.schema import Reason, Row, Status
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.keys import printable
from glasseg.storage.roots import Root, delete_if_allowed, open_root
from jobs.terminal import say

THREADS = 16


def release(destination_uri: str, run_id: str, keys: Sequence[str], *, endpoint_url: str | None) -> None:
    """Publish what `run_id` held back of `keys`, or all of it, as a run of its own; each gets a row with status ok.

    Photos that a later run did again are left out. Raises GlassegError for a run or a key that held nothing back, after
    the others for pictures that can't be published, and with exit code 4 when another run works there.
    """
    root = open_root(destination_uri, endpoint_url=endpoint_url)
    lock.refuse_if_taken(root)
    rows = _held(root, run_id, keys)
    own_id, started = runs.new_id(), time.monotonic()
    with lock.taken(root, own_id) as own_lock:
        known = state.read(root).photos
        run_seq = runs.next_seq(root, known["run_seq"], own_lock.last_run_seq)
        own_lock.note(run_seq)
        standing = _standing(known, rows, run_id)
        wanted = [row for row in rows if row["key"] in standing]
        faults = _publish_all(root, run_id, wanted, own_lock)
        done = [row for row in wanted if row["key"] not in faults]
        if done:
            new = [_row(root, row, own_id, run_seq, standing[row["key"]]) for row in done]
            manifest.write_part(root, own_id, 0, new)
        record = _record(root, own_id, run_seq, released=run_id, photos=len(done))
        runs.write(root, own_id, {**record, "seconds": round(time.monotonic() - started, 2)})
        for row in rows:
            if row["key"] not in faults:  # those that were done again are of no use any more
                _forget(root, run_id, str(row["output_key"]))
    _tell(rows, standing, faults, run_id)


def _tell(rows: list[Row], standing: Collection[str], faults: dict[str, str], run_id: str) -> None:
    for row in rows:
        if row["key"] not in standing:
            say(f"  left out  {row['key']}: it was released before, or a later run did it again")
    for key, fault in faults.items():
        say(f"  failed    {key}: {fault}")
    released = len(standing) - len(faults)
    say(f"Released {released} of {len(rows)} pictures that run {run_id} held back.")
    if faults:
        raise GlassegError(f"{len(faults)} pictures can't be released: the held file is gone, or its place takes none")


def _held(root: Root, run_id: str, keys: Sequence[str]) -> list[Row]:
    """The rows of the run whose pictures it held back, of `keys` or all."""
    of_run = manifest.of_run(root, run_id)
    review = pc.and_not(pc.equal(of_run["status"], "review"), of_run["published"])
    rows = of_run.filter(review).to_pylist()
    if not rows:
        raise GlassegError(f"run {run_id} holds nothing back in {root.uri}: see glasseg status {root.uri}")
    by_key = {row["key"]: row for row in rows}
    if unknown := [key for key in keys if printable(key) not in by_key]:
        raise GlassegError(f"run {run_id} holds no picture of {unknown[0]!r} back: the first is {rows[0]['key']!r}")
    return [by_key[printable(key)] for key in dict.fromkeys(keys)] if keys else rows


def _standing(known: pa.Table, rows: Sequence[Row], run_id: str) -> dict[str, str | None]:
    """By key, of the photos that no later run did again: the run whose picture stands there."""
    mine = known.filter(pc.is_in(known["key"], value_set=pa.array([row["key"] for row in rows], pa.string())))
    return {one["key"]: one["standing_run_id"] for one in mine.to_pylist() if one["run_id"] == run_id and one["held"]}


def _publish_all(root: Root, run_id: str, rows: list[Row], own_lock: Lock) -> dict[str, str]:
    """Put held pictures where they belong; by key what kept some from it."""
    faults = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for row, fault in zip(rows, pool.map(partial(_publish, root, run_id), rows), strict=True):
            own_lock.check()
            if fault:
                faults[row["key"]] = fault
    return faults


def _publish(root: Root, run_id: str, row: Row) -> str | None:
    """Copy a held picture, and its mask before it, to where they belong; what kept it from that, in words."""
    folder, output = manifest.held_folder(run_id), str(row["output_key"])
    try:
        picture = root.read(folder + output)[0]
        if row["mask_uri"]:
            root.write(mask_key(output), root.read(folder + mask_key(output))[0])
        root.write(output, picture)
        return None
    except PhotoError as error:
        return str(error)


def _forget(root: Root, run_id: str, output: str) -> None:
    folder = manifest.held_folder(run_id)
    try:
        for key in (mask_key(output), output):
            delete_if_allowed(root, folder + key)
    except PhotoError as error:
        raise GlassegError(f"a picture that was released can't be deleted: {error}") from error


def _row(root: Root, held: Row, run_id: str, run_seq: int, replaced: str | None) -> Row:
    """The row of a released photo: the row of its work, published by this run and reviewed."""
    output = str(held["output_key"])
    return {
        **held,
        "status": Status.OK,
        "reason": Reason.RELEASED,
        "error_code": None,
        "error": None,
        "warnings": [*(held["warnings"] or []), f"released from {held['run_id']}: {held['error_code']}"],
        "output_uri": printable(root.uri_of(output)),
        "mask_uri": printable(root.uri_of(mask_key(output))) if held["mask_uri"] else None,
        "run_id": run_id,
        "run_seq": run_seq,
        "published": True,
        "replaced_run_id": replaced,
        "finished_at": datetime.now(UTC),
    }


def _record(root: Root, run_id: str, run_seq: int, *, released: str, photos: int) -> dict[str, Any]:
    """The run's record; the destination's source is still that of its last run, wherever the held photos came from."""
    last = next(iter(runs.latest(root, 1)), {})
    return {
        "run_id": run_id,
        "run_seq": run_seq,
        "ended": "done",
        "released_run": released,
        "ok": photos,
        "reasons": {"released": photos},
        "finished_at": datetime.now(UTC).isoformat(),
        **({"source": last["source"]} if "source" in last else {}),
    }
