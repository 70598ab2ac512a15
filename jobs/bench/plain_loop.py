"""What the pipeline is compared with: the same library calls in plain processes, none of which knows of Ray."""

from __future__ import annotations

from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from glasseg.model.folder import ModelFolder
from jobs.bench.process import process, receive
from jobs.whiten.order import PENDING, Order
from jobs.whiten.worker import Whitener


def whiten(
    order: Order, model: ModelFolder, photos: list[dict[str, Any]], processes: int, *, verbose: bool
) -> list[dict[str, Any]]:
    """Manifest rows of `photos` (rows of `PENDING`), dealt out to `processes` that have `order.cpus` cores each.

    Every process gets its share in one call, so its own read-ahead never runs dry before the end. They start together,
    once all of them hold a compiled network. Raises GlassegError when one of them dies.
    """
    shares = [pa.Table.from_pylist(photos[first::processes], schema=PENDING) for first in range(processes)]
    with ExitStack() as stack:
        pipes = [stack.enter_context(process(verbose, _whiten_share, order, model, share)) for share in shares]
        for pipe in pipes:
            receive(pipe)
        for pipe in pipes:
            pipe.send("go")
        return [row for pipe in pipes for row in receive(pipe).to_pylist()]


def _whiten_share(pipe: Connection, order: Order, model: ModelFolder, share: pa.Table) -> None:
    whitener = Whitener(order, model)
    pipe.send("ready")
    pipe.recv()
    pipe.send(whitener(share))
