"""What the pipeline is compared with: the same library calls in plain processes, none of which knows of Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from glasseg.model.folder import ModelFolder
from jobs.bench.process import process, receive
from jobs.whiten.order import Order
from jobs.whiten.worker import Whitener

Rows = list[dict[str, Any]]


def whiten(order: Order, model: ModelFolder, work: pa.Table, processes: int, *, verbose: bool) -> Rows:
    """Manifest rows of `work`, a table of `PENDING`, dealt out to `processes` that have `order.cpus` cores each.

    Every process gets its share in one call, so its own read-ahead never runs dry before the end.
    """
    shares = [work.take(pa.array(range(first, len(work), processes))) for first in range(processes)]
    return together(_whiten_share, (order, model), shares, verbose=verbose)


def together(work: Callable[..., None], common: Sequence[Any], shares: Sequence[Any], *, verbose: bool) -> Rows:
    """What processes of `work(pipe, *common, share)` finally send, one for each share.

    They start together, once each of them has sent that it is ready. Raises GlassegError when one of them dies.
    """
    with ExitStack() as stack:
        pipes = [stack.enter_context(process(verbose, work, *common, share)) for share in shares]
        for pipe in pipes:
            receive(pipe)
        for pipe in pipes:
            pipe.send("go")
        return [row for pipe in pipes for row in receive(pipe)]


def _whiten_share(pipe: Connection, order: Order, model: ModelFolder, share: pa.Table) -> None:
    whitener = Whitener(order, model)
    pipe.send("ready")
    pipe.recv()
    pipe.send(whitener(share).to_pylist())
