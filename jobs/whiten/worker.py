"""One Ray actor's work: a batch of photos read, segmented, put on white and written; out come their manifest rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from glasseg.catalog import manifest
from glasseg.errors import GlassegError
from glasseg.model.folder import ModelFolder
from glasseg.model.segmentation import Segmentation
from glasseg.model.start import quick_start
from jobs.heap import keep_freed
from jobs.whiten.metrics import Meters
from jobs.whiten.opening import Opened, open_photo
from jobs.whiten.order import ROWS, DoneRow, Orders, Pending
from jobs.whiten.writing import write_all

THREADS_PER_CPU = 3
"""Reading, decoding, composing and writing release the GIL; three threads keep a core busy through their waits."""
GROUP = 4
"""Photos that are segmented one after the other while as many are opened and as many written."""

if TYPE_CHECKING:
    import ray


class Whitener:
    """Holds the model. Called by Ray Data with a table of `PENDING`, returns one of `ROWS`.

    `orders`: one for each destination, as the rows number them. `model` may be a reference to one in Ray's object
    store. `memory`: bytes that the process may take on top of what it holds with the model loaded; None for no limit.
    """

    def __init__(self, orders: Orders, model: ModelFolder | ray.ObjectRef, memory: int | None = None) -> None:
        import cv2

        from glasseg.model.segmenter import Segmenter

        if not isinstance(model, ModelFolder):
            import ray

            model = ray.get(model)
        keep_freed()
        cv2.setNumThreads(1)  # the pool below is the parallelism
        self._orders, first = orders, orders[0]
        with quick_start():
            self._segmenter = Segmenter(model, first.cpus, gpu=first.gpus > 0)
        self._pool = ThreadPoolExecutor(THREADS_PER_CPU * first.cpus)
        self._meters = Meters(first.run_id) if first.metered else None
        if memory:
            _limit_memory(memory)

    def __call__(self, batch: pa.Table) -> pa.Table:
        refuse_torn(batch)
        rows: list[DoneRow] = []
        fatal = None
        try:
            for future in self._whiten(batch.to_pylist()):
                rows += future.result()
        except GlassegError as error:
            fatal = str(error)  # an exception would lose the rows of the photos that are done
        try:  # all of a batch at once, before their rows promise that they are there
            for place, order in enumerate(self._orders):
                order.destination.sync(key for row in rows if row["place"] == place for key in manifest.files_of(row))
        except GlassegError as error:
            rows, fatal = [], str(error)
        if self._meters:
            self._meters.add(rows)
        done = manifest.table(rows).append_column("place", pa.array([row["place"] for row in rows], pa.int32()))
        done = done.append_column("fatal", pa.nulls(len(rows), pa.string())).cast(ROWS)
        stop = pa.Table.from_pylist([{"fatal": fatal}] if fatal else [], schema=ROWS)
        return pa.concat_tables([done, stop])

    def _whiten(self, batch: list[Pending]) -> Iterator[Future[list[DoneRow]]]:
        """Photos go in groups; while one is segmented, the next one is opened and the last one written."""
        photos = [list(rows) for _, rows in groupby(batch, key=itemgetter("key"))]
        groups = [photos[i : i + GROUP] for i in range(0, len(photos), GROUP)]
        opening = [self._pool.submit(self._open, rows) for rows in groups[0]]
        writing: list[Future[list[DoneRow]]] = []
        for following in [*groups[1:], []]:
            done = [future.result() for future in opening]
            opening = [self._pool.submit(self._open, rows) for rows in following]
            opened = [one for one in done if isinstance(one, Opened)]
            started = time.perf_counter()
            found = self._segmenter.segment([one.photo.on_white() for one in opened])
            segment_ms = (time.perf_counter() - started) * 1000 / max(1, len(opened))
            yield from writing  # at most three groups of photos are in memory: opening, segmented, being written
            writing = [_done(one) for one in done if not isinstance(one, Opened)]
            for one, seen in zip(opened, found, strict=True):
                one.facts["segment_ms"] = segment_ms
                writing.append(self._pool.submit(self._write, one, seen))
        yield from writing

    def _open(self, rows: list[Pending]) -> Opened | list[DoneRow]:
        return open_photo(self._orders, rows)

    def _write(self, opened: Opened, seen: Segmentation) -> list[DoneRow]:
        return write_all(opened, seen, self._segmenter.spec)


def refuse_torn(batch: pa.Table) -> None:
    """Raise ValueError for a batch without some of the rows that have to be done together."""
    whole = dict(zip(batch["unit"].to_pylist(), batch["unit_rows"].to_pylist(), strict=True))
    there = Counter(batch["unit"].to_pylist())
    if torn := [unit for unit, rows in whole.items() if there[unit] != rows]:
        raise ValueError(f"{torn[0]} has {whole[torn[0]]} rows, and {there[torn[0]]} of them are in this batch")


def _done(rows: list[DoneRow]) -> Future[list[DoneRow]]:
    future: Future[list[DoneRow]] = Future()
    future.set_result(rows)
    return future


def _limit_memory(more: int) -> None:
    """Let this process allocate `more` bytes than it holds now (Linux; elsewhere without effect)."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        used = int(fields["VmData"].split()[0]) << 10  # the line is in kB
        resource.setrlimit(resource.RLIMIT_DATA, (used + more, used + more))
