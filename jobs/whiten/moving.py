"""Pictures are moved to their new names, before the work of a run, as a run of their own.

A picture is copied, then its row is stored, then its old place is freed. A run that is killed in between leaves a copy
under one of its names: claimed before its row is there, and after that freed by the next run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims, manifest, records, runs
from glasseg.catalog.lock import Lock
from glasseg.catalog.manifest import mask_key
from glasseg.catalog.schema import NUMBERED, SCHEMA, Reason
from glasseg.errors import GlassegError, PhotoError
from glasseg.lists import safe_csv
from glasseg.storage.keys import TMP_PREFIX, printable
from glasseg.storage.naming import Naming
from glasseg.storage.roots import Root, delete_if_allowed, unsafe_reason
from jobs import terminal
from jobs.whiten.order import Order
from jobs.whiten.renaming import Renamed, Renaming, list_key

THREADS: Final = 16
BATCH: Final = 500
"""Pictures that are copied before their rows are stored."""


def perform(order: Order, planned: Renaming, naming: Naming, own_lock: Lock) -> Renamed:
    """Free what a killed run left, and move the pictures; on any way out there is a record.

    A picture that can't be moved stays where it is. Raises GlassegError when the destination takes no more writes.
    """
    root = order.destination
    _free(root, list(planned.leftovers))
    if not len(planned.moves):
        return Renamed()
    if count := len(planned.renamed):
        terminal.say(f"Renaming {count:,} picture{'s' * (count != 1)} …")
    with terminal.progress(len(planned.moves), "rename") as bar:
        mover = _Mover(root, planned, naming, own_lock, bar)
        started, ended = time.monotonic(), "stopped"
        try:
            claims.claim(root, planned.run_id, planned.renamed["new"], planned.run_seq)
            mover.move_all()
            claims.drop(root, planned.run_id)
            ended = "done"
        except KeyboardInterrupt:
            ended = "interrupted"
            raise
        finally:
            with nullcontext() if ended == "done" else suppress(GlassegError):  # else there is an error to report
                runs.write(root, planned.run_id, _record(order, planned, mover, ended, time.monotonic() - started))
                _store_list(order, planned, mover)
    return Renamed(mover.count, mover.faults, tuple(mover.stuck))


class _Mover:
    """Moves pictures, and counts them."""

    def __init__(self, root: Root, planned: Renaming, naming: Naming, own_lock: Lock, bar: terminal.Bar) -> None:
        self.count = 0
        self.done = np.zeros(len(planned.moves), bool)
        self.faults: dict[str, str] = {}
        self.stuck: list[str] = []
        self._root, self._planned, self._naming, self._lock, self._bar = root, planned, naming, own_lock, bar
        self._parts = 0

    def move_all(self) -> None:
        """Move everything, what can move at once as its row is read."""
        todo, waiting = self._planned.moves, []
        with ThreadPoolExecutor(THREADS) as pool:
            for rows, some in _with_rows(self._root, todo, self._planned.run_id):
                free = pc.and_(pc.equal(some["level"], 0), pc.less(some["cycle"], 0))
                self._move_some(rows.filter(free), some.filter(free), pool)
                waiting.append((rows.filter(pc.invert(free)), some.filter(pc.invert(free))))
            rows, later = (pa.concat_tables(tables) for tables in zip(*waiting, strict=True))
            for level in range(1, 1 + (pc.max(later["level"]).as_py() or 0)):
                now = pc.and_(pc.equal(later["level"], level), pc.less(later["cycle"], 0))
                self._move_some(rows.filter(now), later.filter(now), pool)
            for cycle in sorted(set(later["cycle"].to_pylist()) - {-1}):
                now = pc.equal(later["cycle"], cycle)
                self._exchange(rows.filter(now), later.filter(now), pool)

    def _move_some(self, rows: pa.Table, some: pa.Table, pool: ThreadPoolExecutor) -> None:
        for start in range(0, len(some), BATCH):
            self._lock.check()
            now = some.slice(start, BATCH)
            held = self._naming.among(now["new"], pa.array(self.stuck, pa.string())).to_pylist()
            asked = zip(
                now["old"].to_pylist(), now["new"].to_pylist(), _masks(rows.slice(start, BATCH)), held, strict=True
            )
            ended = list(pool.map(lambda one: _copied(self._root, *one), asked))
            self._store(rows.slice(start, BATCH), now, ended)

    def _exchange(self, rows: pa.Table, some: pa.Table, pool: ThreadPoolExecutor) -> None:
        """Move pictures of which each has the place of another: all are copied aside before the first is replaced."""
        self._lock.check()
        root, olds, news = self._root, some["old"].to_pylist(), some["new"].to_pylist()
        asides = [f"{TMP_PREFIX}{self._planned.run_id}-{place}" for place in some["place"].to_pylist()]
        try:
            masked = list(pool.map(lambda *one: _put_aside(root, *one), olds, asides, _masks(rows)))
        except PhotoError as error:
            self._store(rows, some, [str(error)] * len(some))
            return
        try:
            ended: list[str | bool] = list(pool.map(lambda *one: _put_back(root, *one), asides, news, masked))
        except PhotoError as error:  # others of them are in their new places: their photos are done again
            raise GlassegError(f"a picture can't be renamed: {error}: run again when that is mended") from error
        self._store(rows, some, ended, free=False)
        list(pool.map(lambda key: delete_if_allowed(root, key), [*asides, *map(_mask_aside, asides)]))

    def _store(self, rows: pa.Table, some: pa.Table, ended: list[str | bool], *, free: bool = True) -> None:
        """Store the rows of pictures that are in their new places, and free the old ones. `ended`: as of `_copied`."""
        self._bar.update(len(some))
        moved = pa.array([not isinstance(one, str) for one in ended], pa.bool_())
        for key, old, why in zip(some["key"].to_pylist(), some["old"].to_pylist(), ended, strict=True):
            if isinstance(why, str):
                self.faults[key] = why
                self.stuck.append(old)
        masked = pa.array([one for one in ended if not isinstance(one, str)], pa.bool_())
        rows, some = rows.filter(moved), some.filter(moved)
        if not len(rows):
            return
        away = some.filter(pc.not_equal(some["old"], some["new"]))
        self._root.sync(key for new in away["new"].to_pylist() for key in _files(new))
        made = _rows_after(self._root, self._planned, rows, some, masked)
        key = f"{manifest.MANIFEST}{self._planned.run_id}/part-{self._parts:05d}.parquet"
        manifest.write_table(self._root, key, made)
        self._parts += 1
        self.count += len(away)
        self.done[away["place"].to_numpy()] = True
        if free:
            _free(self._root, away["old"].to_pylist())


def _with_rows(root: Root, todo: pa.Table, run_id: str) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The last rows of the photos, and their moves in the same order, part by part of the manifest."""
    todo = todo.append_column("place", pa.array(np.arange(len(todo))))
    yield manifest.wanted(SCHEMA.names).empty_table(), todo.slice(0, 0)
    came = np.zeros(len(todo), bool)
    own = f"{manifest.MANIFEST}{run_id}/"
    for part in manifest.parts(root, SCHEMA.names, lambda key: not key.startswith(own)):
        known = pc.index_in(part["key"], value_set=todo["key"])
        last = pc.fill_null(pc.equal(todo["row"].take(known), part["run_seq"]), False)
        place = known.filter(last).to_numpy().astype(np.int64)
        fresh = np.zeros(len(place), bool)
        fresh[np.unique(place, return_index=True)[1]] = True  # a killed compaction leaves rows twice
        fresh &= ~came[place]
        came[place] = True
        yield part.filter(last).filter(pa.array(fresh)), todo.take(pa.array(place[fresh]))


def _masks(rows: pa.Table) -> list[bool]:
    return list(pc.is_valid(rows["mask_uri"]).to_pylist())


def _copied(root: Root, old: str, new: str, has_mask: bool, held: bool) -> str | bool:
    """Copy a picture, and its mask before it; whether it has one now, or in words what kept it from that."""
    if held:
        return f"{root.uri_of(new)} is the place of a picture that can't be moved"
    if old == new:
        return has_mask
    try:
        masked = has_mask and unsafe_reason(mask_key(new)) is None and _copied_mask(root, old, new)
        root.copy(old, new)
        return masked
    except PhotoError as error:
        return str(error)


def _copied_mask(root: Root, old: str, new: str) -> bool:
    try:
        root.copy(mask_key(old), mask_key(new))
        return True
    except PhotoError as error:
        if error.code != "vanished":
            raise
        return False


def _put_aside(root: Root, old: str, aside: str, has_mask: bool) -> bool:
    """Copy a picture, and its mask if it is there, to where nobody looks; whether there was a mask."""
    root.copy(old, aside)
    try:
        if has_mask:
            root.copy(mask_key(old), _mask_aside(aside))
    except PhotoError as error:
        if error.code != "vanished":
            raise
        return False
    return has_mask


def _put_back(root: Root, aside: str, new: str, has_mask: bool) -> bool:
    """Copy a picture from there to its new place, after its mask; whether it has one."""
    masked = has_mask and unsafe_reason(mask_key(new)) is None
    if masked:
        root.copy(_mask_aside(aside), mask_key(new))
    else:
        delete_if_allowed(root, mask_key(new))
    root.copy(aside, new)
    return masked


def _mask_aside(aside: str) -> str:
    return f"{aside}.mask"


def _free(root: Root, outputs: list[str]) -> None:
    """Delete pictures that have left their places, after their masks, which nobody would look for without them."""
    masks = [key for key in map(mask_key, outputs) if not unsafe_reason(key)]
    for files in filter(None, (masks, outputs)):
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda key: delete_if_allowed(root, key), files))
        root.sync(files)


def _files(output: str) -> list[str]:
    """A picture after the mask that it may have."""
    return [key for key in (mask_key(output), output) if not unsafe_reason(key)]


def _rows_after(root: Root, run: Renaming, rows: pa.Table, some: pa.Table, masked: pa.Array) -> pa.Table:
    """The rows of photos whose pictures have moved: what their last rows say, and where the pictures are now."""
    count, away = len(rows), pc.not_equal(some["old"], some["new"])
    above = printable(root.uri_of(""))
    mask_uris = pc.binary_join_element_wise(f"{above}{manifest.MASKS}", some["new"], ".png", "")
    columns = {
        "output_key": some["new"],
        "output_uri": pc.binary_join_element_wise(above, some["new"], ""),
        "mask_uri": pc.if_else(masked, mask_uris, None),
        "reason": pa.repeat(str(Reason.RENAMED), count),
        "moved_from": pc.if_else(away, some["old"], None),
        **{name: some[name] for name in NUMBERED},
        "list_columns": _listed(some["list_columns"], rows["list_columns"]),
        "run_id": pa.repeat(run.run_id, count),
        "run_seq": pa.repeat(run.run_seq, count),
        "finished_at": pa.repeat(pa.scalar(datetime.now(UTC), SCHEMA.field("finished_at").type), count),
        **dict.fromkeys(("replaced_run_id", "read_ms", "segment_ms", "write_ms", "storage_retries")),
    }
    arrays = []
    for one in SCHEMA:
        column = columns.get(one.name, rows[one.name])
        arrays.append(pa.nulls(count, one.type) if column is None else column.cast(one.type))
    return pa.table(arrays, schema=SCHEMA)


def _listed(now: pa.ChunkedArray, then: pa.ChunkedArray) -> pa.Array:
    """The columns of the list of this run, or without one those of an earlier row."""
    return (then if now.null_count == len(now) else now).combine_chunks()


def _record(order: Order, run: Renaming, mover: _Mover, ended: str, seconds: float) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "run_seq": run.run_seq,
        "ended": ended,
        "renamed": mover.count,
        "seconds": round(seconds, 2),
        "reasons": {str(Reason.RENAMED): mover.count},
        "finished_at": datetime.now(UTC).isoformat(),
        "source": order.source.uri,
    }


def _store_list(order: Order, run: Renaming, mover: _Mover) -> None:
    """Keep the old and the new names as a csv next to the page of the run: what points to the old ones must follow."""
    if mover.count:
        some = run.moves.select(["old", "new", "key"]).filter(pa.array(mover.done))
        rows = (tuple(row.values()) for batch in some.to_batches(max_chunksize=10_000) for row in batch.to_pylist())
        records.store(order.destination, list_key(order.run_id), safe_csv.write(("old", "new", "photo"), rows))
