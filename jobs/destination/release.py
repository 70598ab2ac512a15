"""`glasseg release`: pictures that a run held back take the place of those that it kept."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims, compaction, destinations, lock, manifest, pending, pictures, runs, state
from glasseg.catalog.lock import Lock
from glasseg.catalog.manifest import mask_key
from glasseg.catalog.schema import Reason, Row, Status
from glasseg.catalog.writer import Writer
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import naming
from glasseg.storage.keys import printable
from glasseg.storage.naming import Naming
from glasseg.storage.roots import Root, delete_if_allowed, open_root
from jobs.terminal import say

THREADS = 16
BATCH = 500
"""Pictures that are published before their rows are stored: as many as a kill may leave without."""


def release(destination_uri: str, run_id: str, keys: Sequence[str], *, endpoint_url: str | None) -> None:
    """Publish what `run_id` held back of `keys`, or all of it, as a run of its own; each gets a row with status ok.

    Photos that a later run did again are left out. Raises GlassegError for a run or a key that held nothing back, after
    the others for pictures that can't be published, and with exit code 4 when another run works there.
    """
    root = open_root(destination_uri, endpoint_url=endpoint_url)
    lock.refuse_if_taken(root)
    rows = _held(root, run_id, keys)
    own_id = runs.new_id()
    with lock.taken(root, own_id) as own_lock:
        compaction.finish(root)
        known = state.read(root)
        run_seq = runs.next_seq(root, known.photos["run_seq"], own_lock.last_run_seq)
        own_lock.note(run_seq)
        standing = _standing(known.photos, rows, run_id)
        run = Release(root, run_id, own_id, run_seq, standing)
        left = [row for row in rows if row["key"] in standing]
        faults = _overtaken(known.places, left, naming.guessed(root))
        faults |= run.work([row for row in left if row["key"] not in faults], own_lock)
        for row in rows:
            if row["key"] not in faults:  # those that were done again are of no use any more
                _forget(root, row)
    _tell(rows, standing, faults, run_id)


@dataclass(frozen=True)
class Release:
    """One run of `glasseg release`."""

    root: Root
    released: str
    """The run that held the pictures back."""
    run_id: str
    run_seq: int
    standing: Mapping[str, str | None]
    """By key: the run whose picture stands there."""

    def work(self, held: list[Row], own_lock: Lock) -> dict[str, str]:
        """Claim the places of held pictures, publish these, and store their rows; by key what kept some from it.

        On any way out there is a record, and a row for each picture that was published.
        """
        writer, started, ended = Writer(self.root, self.run_id, seconds=30.0), time.monotonic(), "stopped"
        faults: dict[str, str] = {}
        try:
            outputs = pa.chunked_array([[row["output_key"] for row in held]], pa.string())
            claims.claim(self.root, self.run_id, outputs, self.run_seq)
            for start in range(0, len(held), BATCH):
                faults |= self._publish(held[start : start + BATCH], writer, own_lock)
            ended = "done"
        except KeyboardInterrupt:
            ended = "interrupted"
            say(f"Interrupted: released {writer.tally.processed} of {len(held)} pictures; the same command goes on")
            raise
        finally:
            with nullcontext() if ended == "done" else suppress(GlassegError):  # else there is an error to report
                record = _record(self, ended, writer.tally.processed, time.monotonic() - started)
                runs.write(self.root, self.run_id, record)
        claims.drop(self.root, self.run_id)
        return faults

    def _publish(self, held: list[Row], writer: Writer, own_lock: Lock) -> dict[str, str]:
        """Publish some pictures at once; those that are in their places get rows also when this is interrupted."""
        faults: dict[str, str] = {}
        published: list[Row] = []

        def publish(row: Row) -> None:
            if fault := _publish(self.root, self.released, row):
                faults[row["key"]] = fault
            else:
                published.append(row)

        pool = ThreadPoolExecutor(THREADS)
        try:
            for done in [pool.submit(publish, row) for row in held]:
                done.result()
                own_lock.check()
        finally:
            pool.shutdown(cancel_futures=True)
            rows = [_row(self, row) for row in published]
            self.root.sync(key for row in rows for key in manifest.files_of(row))
            writer.add(rows)
            writer.flush()
        return faults


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
        why = f"run {run_id} holds nothing back in {root.uri}: see glasseg status {root.uri}"
        raise destinations.stranger(root, why)
    by_key = {row["key"]: row for row in rows}
    if unknown := [key for key in keys if printable(key) not in by_key]:
        raise GlassegError(f"run {run_id} holds no picture of {unknown[0]!r} back: the first is {rows[0]['key']!r}")
    return [by_key[printable(key)] for key in dict.fromkeys(keys)] if keys else rows


def _standing(known: pa.Table, rows: Sequence[Row], run_id: str) -> dict[str, str | None]:
    """By key, of the photos that no later run did again: the run whose picture stands there."""
    mine = known.filter(pc.is_in(known["key"], value_set=pa.array([row["key"] for row in rows], pa.string())))
    return {one["key"]: one["standing_run_id"] for one in mine.to_pylist() if one["run_id"] == run_id and one["held"]}


def _overtaken(places: pa.Table, rows: Sequence[Row], ignored: Naming) -> dict[str, str]:
    """By key, the photos in whose places pictures of others were put since: of one with another suffix, say."""
    outputs = pa.chunked_array([[row["output_key"] for row in rows]], pa.string())
    there = pending.standing_at(places, outputs, ignored)
    last = there.take(ignored.index(outputs, there["output_key"])).select(["key", "run_seq"]).to_pylist()
    return {
        row["key"]: f"the picture of {now['key']} has its place now"
        for row, now in zip(rows, last, strict=True)
        if now["key"] not in {None, row["key"]} and now["run_seq"] > row["run_seq"]
    }


def _publish(root: Root, run_id: str, row: Row) -> str | None:
    """Copy a held picture and its mask to where they belong; what kept them from that, in words."""
    folder, output = manifest.held_folder(run_id), str(row["output_key"])
    try:
        mask = root.read(folder + mask_key(output))[0] if row["mask_uri"] else None
        picture = root.read(folder + output)[0]
        if not picture:
            return f"{root.uri_of(folder + output)} is empty"
        pictures.put(root, output, picture, mask)
        return None
    except PhotoError as error:
        return str(error)


def _forget(root: Root, held: Row) -> None:
    try:
        for key in manifest.files_of(held):
            delete_if_allowed(root, key)
    except PhotoError as error:
        raise GlassegError(f"a picture that was released can't be deleted: {error}") from error


def _row(release: Release, held: Row) -> Row:
    """The row of a released photo: the row of its work, published by this run and reviewed."""
    output, root = str(held["output_key"]), release.root
    return {
        **held,
        "status": Status.OK,
        "reason": Reason.RELEASED,
        "error_code": None,
        "error": None,
        "warnings": [*(held["warnings"] or []), f"released from {held['run_id']}: {held['error_code']}"],
        "output_uri": printable(root.uri_of(output)),
        "mask_uri": printable(root.uri_of(mask_key(output))) if held["mask_uri"] else None,
        "run_id": release.run_id,
        "run_seq": release.run_seq,
        "published": True,
        "replaced_run_id": release.standing[held["key"]],
        "finished_at": datetime.now(UTC),
    }


def _record(release: Release, ended: str, photos: int, seconds: float) -> dict[str, Any]:
    """The run's record; the destination's source is still that of its last run, wherever the held photos came from."""
    last = next(iter(runs.latest(release.root, 1)), {})
    return {
        "run_id": release.run_id,
        "run_seq": release.run_seq,
        "ended": ended,
        "released_run": release.released,
        "ok": photos,
        "seconds": round(seconds, 2),
        "reasons": {"released": photos},
        "finished_at": datetime.now(UTC).isoformat(),
        **({"source": last["source"]} if "source" in last else {}),
    }
