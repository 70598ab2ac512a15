"""What does the planned work: workers on a Ray cluster, of a size that suits it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa

from glasseg.catalog.writer import Writer
from glasseg.model.folder import ModelFolder
from jobs import sizing, terminal
from jobs.engine import available_cpus, engine, given_cluster
from jobs.whiten import preflight
from jobs.whiten.order import Orders
from jobs.whiten.stream import GROUP_PHOTOS, Rows, rows_of
from jobs.whiten.units import count
from jobs.whiten.worker import Whitener


@dataclass(frozen=True)
class Workforce:
    """The cluster and the workers that were asked for; None for what suits."""

    address: str | None = None
    workers: int | None = None
    cpus: int | None = None
    """CPUs of each worker; so `gpus`."""
    gpus: float | None = None
    memory: float = 0.0
    """GiB that are kept free for each worker."""
    verbose: bool = False


Executor = Callable[
    [Orders, ModelFolder, pa.Table, Sequence[Writer], Workforce], AbstractContextManager[Iterator[Rows]]
]
"""Gives the manifest rows of a table of `PENDING` as they are done, each of its rows one.

The writers, one for each of the orders, take them meanwhile.

Entering the context raises GlassegError when the work can't begin, and nothing is written before the first rows are
asked for; their iterator raises it when the whole run has to stop.
"""


@contextmanager
def on_ray(
    orders: Orders,
    model: ModelFolder,
    work: pa.Table,
    writers: Sequence[Writer],
    workforce: Workforce,
    *,
    worker: type = Whitener,
) -> Iterator[Iterator[Rows]]:
    """The `Executor` of production: Ray is connected inside the block. `worker` is what each actor runs."""
    terminal.say("Starting Ray and the workers …")
    # a cluster of our own is as large as the machine, or as the workers that were asked for
    cpus = max((workforce.workers or 1) * (workforce.cpus or 1), available_cpus())
    with engine(workforce.address, cpus=cpus, verbose=workforce.verbose):
        orders, bounds = _staffed(orders, work, workforce)
        # closed before Ray is: what runs on behind a stopped run would start another Ray
        with closing(rows_of(orders, model, work, bounds, writers, worker=worker)) as rows:
            yield rows


def _staffed(orders: Orders, work: pa.Table, workforce: Workforce) -> tuple[Orders, tuple[int, int]]:
    """The orders for workers of a size that suits the connected cluster, and the fewest and the most of them."""
    pool = sizing.connected(workforce.cpus, workforce.gpus, int(workforce.memory * 2**30))
    given = given_cluster(workforce.address)
    if given:
        preflight.check(orders, work["key"][0].as_py())
    least, most = pool.bounds(workforce.workers, math.ceil(count(work) / GROUP_PHOTOS))
    # a machine of our own grows no nodes
    staffed = tuple(
        replace(order, cpus=pool.cpus, gpus=pool.gpus, memory=pool.memory, metered=bool(given)) for order in orders
    )
    return staffed, (least, most if given else least)
