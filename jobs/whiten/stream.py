"""Pending photos → actors that hold the model → manifest rows, by Ray Data; nodes may come and go meanwhile."""

from __future__ import annotations

import math
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.writer import Writer
from glasseg.errors import GlassegError
from glasseg.model.folder import ModelFolder
from jobs.engine import bounded_retries
from jobs.whiten import rescue
from jobs.whiten.order import DoneRow, Orders
from jobs.whiten.units import count, tables
from jobs.whiten.worker import Whitener

BATCH_PHOTOS: Final = 32
"""Photos per Ray task: about two seconds of work on a core, and the most that a lost worker costs twice."""
GROUP_PHOTOS: Final = 8
"""Tasks are multiples of this many photos: whole groups of a worker. What has to stay together may be more."""
TURNS: Final = 4
"""Tasks that each worker gets of a small run."""
PASSES: Final = 3
"""Times in a row that the workers together try in vain what was lost; what is left then is tried one by one."""
DEATHS_AT_START: Final = 3
"""Workers in a row that may die while they start, as on a node that is short of memory for a moment."""
STALLED_SECONDS = 1800.0
"""A pass in which nothing happens for so long is given up: a photo that hangs its worker is then found one by one."""
LOST_BATCHES: Final = 100
LOST_SHARE: Final = 0.1
"""A run that loses more batches than these, and this share of all, to dying workers stops: no photo is to blame."""

Rows = list[DoneRow]


def rows_of(
    orders: Orders,
    model: ModelFolder,
    work: pa.Table,
    workers: tuple[int, int],
    writers: Sequence[Writer],
    *,
    worker: type = Whitener,
) -> Generator[Rows]:
    """Manifest rows of `work`, a table of `PENDING`, as they are done; each of its rows has one at the end.

    `writers`, one for each of the `orders`, take the rows meanwhile; `worker` is the class that each actor runs. What
    dying workers took with them is done again: by the workers together where it is more than one of them had in hand,
    as when a node was lost; else one by one, to find a photo that kills.
    """
    lost, in_vain = work, 0
    while in_vain < PASSES:
        before = count(lost)
        yield from stream(orders, model, lost, workers, worker)
        lost = _lost(work, writers)
        if len(lost):
            _end_workers(orders)
        if count(lost) <= 2 * BATCH_PHOTOS:
            break
        in_vain = in_vain + 1 if count(lost) > before - 2 * BATCH_PHOTOS else 0
    for redone in rescue.redo(orders, model, tables(lost, 1), worker):
        yield from checked(redone)


def _lost(work: pa.Table, writers: Sequence[Writer]) -> pa.Table:
    """The rows of `work` that no writer has got."""
    for place, writer in enumerate(writers):
        writer.flush()  # what follows can take minutes a photo
        done = pc.is_in(work["key"], value_set=pa.array(writer.keys, pa.string()))
        work = work.filter(pc.invert(pc.and_(pc.equal(work["place"], place), done)))
    return work


def _end_workers(orders: Orders) -> None:
    """End what is left of a pass: Ray Data keeps workers whose tasks failed, and with them CPUs that the next need."""
    import ray

    for name in ray.util.list_named_actors():
        if name.startswith(orders[0].run_id):
            with suppress(ValueError):  # it has ended meanwhile
                ray.kill(ray.get_actor(name))


def stream(
    orders: Orders, model: ModelFolder, work: pa.Table, workers: tuple[int, int], worker: type = Whitener
) -> Iterator[Rows]:
    """Manifest rows of `work` batch by batch as they are done; none of those whose worker died.

    `workers`: the fewest and the most of them. Ends early when rows were lost with their node, or when nothing moves
    any more. Raises GlassegError when a worker reports that the run has to stop, or when workers keep dying. Ray must
    be connected.
    """
    import ray
    import ray.data.exceptions

    done = 0
    if not len(work):
        return
    try:
        for rows in _rows(orders, model, work, workers, worker):
            done += len(rows)
            yield rows
    except ray.exceptions.ObjectLostError:
        return
    except ray.data.exceptions.ExecutionTimeoutError as error:
        if not done and count(work) > 2 * BATCH_PHOTOS:  # more than a photo that hangs its worker
            raise GlassegError(
                f"no photo was done in {STALLED_SECONDS / 60:.0f} minutes: has the cluster room for a worker (see `ray "
                "status`), and does the storage answer?"
            ) from error
    except ray.exceptions.RayActorError as error:
        if "creation task" in str(error):  # the model could not be set up: a bug, and its traceback is in the error
            raise
        raise GlassegError("the workers keep dying, out of memory perhaps: see why with --verbose") from error


def _rows(orders: Orders, model: ModelFolder, work: pa.Table, workers: tuple[int, int], worker: type) -> Iterator[Rows]:
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    (least, most), order = workers, orders[0]
    # few photos: smaller tasks, since the worker that is ready first takes two at once; whole groups though
    photos = min(
        BATCH_PHOTOS, max(GROUP_PHOTOS, math.ceil(count(work) / (TURNS * least) / GROUP_PHOTOS) * GROUP_PHOTOS)
    )
    blocks = tables(work, photos)
    batches = len(blocks)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.memory_usage_poll_interval_s = None  # else every worker walks its own memory map once a second
    context.max_consecutive_actor_init_deaths = DEATHS_AT_START
    context.execution_no_progress_timeout_s = STALLED_SECONDS
    context.max_errored_blocks = max(LOST_BATCHES, int(LOST_SHARE * batches))  # those photos are done again
    with bounded_retries():
        done = ray.data.from_blocks(
            blocks
        ).map_batches(
            worker,
            fn_constructor_args=(orders, ray.put(model)),  # a node fetches it once, for all of its workers
            batch_format="pyarrow",
            batch_size=None,  # whole tables: a batch of so many rows could split a unit
            zero_copy_batch=True,
            compute=ActorPoolStrategy(
                min_size=min(least, batches), max_size=min(most, batches), max_tasks_in_flight_per_actor=2
            ),
            num_cpus=order.cpus,
            num_gpus=order.gpus,
            memory=order.memory or None,
            ray_remote_args_fn=lambda: {
                "name": f"{order.run_id}-{uuid.uuid4().hex[:12]}",  # called for each worker
                "max_restarts": LOST_BATCHES,
                "max_task_retries": 0,
            },
        )
    for batch in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from checked(batch.to_pylist())


def checked(rows: Sequence[DoneRow]) -> Iterator[Rows]:
    """The manifest rows among a worker's `rows`; GlassegError after them when one of them stops the run."""
    yield [row for row in rows if row["fatal"] is None]
    for row in rows:
        if row["fatal"] is not None:
            raise GlassegError(row["fatal"])
