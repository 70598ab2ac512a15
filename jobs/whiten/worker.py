"""One Ray actor's work: a batch of photos read, segmented, put on white and written; out come their manifest rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from jobs.whiten.scaling import Measured, Scales, Sizes, decided, is_open, known_scales, measure
from jobs.whiten.writing import write_all

THREADS_PER_CPU = 3
"""Reading, decoding, composing and writing release the GIL; three threads keep a core busy through their waits."""
GROUP = 4
"""Photos that are segmented one after the other while as many are opened and as many written."""

Photos = list[list[Pending]]
"""Rows of `PENDING`, those of each photo together."""

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
        scales: Scales = {}
        fatal = None
        try:
            for future in self._whiten(batch.to_pylist(), scales):
                rows += future.result()
        except GlassegError as error:
            fatal = str(error)  # an exception would lose the rows of the photos that are done
        rows = known_scales(rows, scales)
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

    def sizes(self, photo: pa.Table) -> Sizes | list[DoneRow]:
        """How large the glasses of a photo are, for its rows whose scale is open; all its rows if it can't be read."""
        opened = self._open(photo.to_pylist())
        if not isinstance(opened, Opened):
            return opened
        return measure(opened, self._segmented([opened])[0], self._segmenter.spec).sizes

    def _whiten(self, batch: list[Pending], scales: Scales) -> Iterator[Future[list[DoneRow]]]:
        """Rows of the photos of a batch; the scales that units get are added to `scales`."""
        write = partial(self._write, scales=scales)
        for stretch in _stretches(batch):
            if stretch.in_two_passes:
                yield from self._in_two_passes(stretch.groups, scales)
            else:
                yield from self._in_groups(stretch.groups, partial(self._scaled, scales), write)

    def _in_two_passes(self, groups: list[Photos], scales: Scales) -> Iterator[Future[list[DoneRow]]]:
        """Rows of a unit of more photos than are kept in memory: measured first, opened again for their pictures."""
        measured: dict[str, Measured] = {}
        measuring = partial(measure, spec=self._segmenter.spec)
        for future in self._in_groups(groups, lambda _, opened: self._segmented(opened), measuring):
            found = future.result()
            if isinstance(found, Measured):
                measured[found.key] = found
            else:
                yield _done(found)
        sizes = {row: size for one in measured.values() for row, size in one.sizes.items()}
        scales |= decided((row for group in groups for photo in group for row in photo), sizes, self._orders)
        left = [photo for group in groups for photo in group if photo[0]["key"] in measured]
        again = [left[i : i + GROUP] for i in range(0, len(left), GROUP)]
        write = partial(self._write, scales=scales, measured=measured)
        yield from self._in_groups(again, lambda _, opened: [measured[one.key].seen for one in opened], write)

    def _in_groups(
        self,
        groups: list[Photos],
        see: Callable[[Photos, list[Opened]], list[Segmentation]],
        finish: Callable[[Opened, Segmentation], Any],
    ) -> Iterator[Future[Any]]:
        """Photos go in groups; while one is seen, the next one is opened and the last one finished.

        Yields what `finish` makes of a photo and what was seen in it, and the rows of photos that can't be opened.
        """
        opening = [self._pool.submit(self._open, rows) for rows in next(iter(groups), ())]
        finishing: list[Future[Any]] = []
        for group, following in pairwise([*groups, []]):
            done = [future.result() for future in opening]
            opening = [self._pool.submit(self._open, rows) for rows in following]
            opened = [one for one in done if isinstance(one, Opened)]
            found = see(group, opened)
            yield from finishing  # at most three groups of photos are in memory: opening, seen, being finished
            finishing = [_done(one) for one in done if not isinstance(one, Opened)]
            finishing += [self._pool.submit(finish, one, seen) for one, seen in zip(opened, found, strict=True)]
        yield from finishing

    def _segmented(self, opened: list[Opened]) -> list[Segmentation]:
        started = time.perf_counter()
        found = self._segmenter.segment([one.photo.on_white() for one in opened])
        for one in opened:
            one.facts["segment_ms"] = (time.perf_counter() - started) * 1000 / len(opened)
        return found

    def _scaled(self, scales: Scales, group: Photos, opened: list[Opened]) -> list[Segmentation]:
        """What is seen in those photos of a group that could be opened; the units whose scale is open get it."""
        found = self._segmented(opened)
        rows = [row for photo in group for row in photo]
        if any(map(is_open, rows)):
            sizes: Sizes = {}
            for measured in self._pool.map(partial(measure, spec=self._segmenter.spec), opened, found):
                sizes |= measured.sizes
            scales |= decided(rows, sizes, self._orders)
        return found

    def _open(self, rows: list[Pending]) -> Opened | list[DoneRow]:
        return open_photo(self._orders, rows)

    def _write(
        self, opened: Opened, seen: Segmentation, *, scales: Scales, measured: Mapping[str, Measured] | None = None
    ) -> list[DoneRow]:
        """The rows of a photo; failed ones when it is not what was `measured` of it any more."""
        if measured:
            before = measured[opened.key]
            opened.facts["segment_ms"] = before.segment_ms
            if opened.facts["source_etag"] != before.etag:
                why = "it was replaced while its group was worked on"
                rows = [one.order.failed(one.pending, "read_error", why, opened.facts) for one in opened.requests]
                return [*opened.failed, *rows]
        return write_all(opened, seen, self._segmenter.spec, scales)


@dataclass
class Stretch:
    """Photos of a batch that are done in one way."""

    groups: list[Photos]
    in_two_passes: bool = False
    """Whether they are one unit whose scale is open, and more than are kept in memory."""


def _stretches(batch: list[Pending]) -> list[Stretch]:
    """A batch in groups of `GROUP` photos at most; no small unit whose scale is open is cut."""
    stretches: list[Stretch] = []
    for _, rows in groupby(batch, key=itemgetter("unit")):
        photos = [list(one) for _, one in groupby(rows, key=itemgetter("key"))]
        pieces = [photos[i : i + GROUP] for i in range(0, len(photos), GROUP)]
        if len(photos) > GROUP and any(is_open(row) for photo in photos for row in photo):
            stretches.append(Stretch(pieces, in_two_passes=True))
            continue
        if not stretches or stretches[-1].in_two_passes:
            stretches.append(Stretch([]))
        groups = stretches[-1].groups
        for piece in pieces:
            if groups and len(groups[-1]) + len(piece) <= GROUP:
                groups[-1] += piece
            else:
                groups.append(piece)
    return stretches


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
