"""What the pipeline is compared with: the same library calls in plain processes, none of which knows of Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Any

import pyarrow as pa

from glasseg.model.folder import ModelFolder
from jobs.bench.process import process, receive
from jobs.whiten.order import Order
from jobs.whiten.worker import Whitener

Rows = list[dict[str, Any]]


def whiten(order: Order, model: ModelFolder, work: pa.Table, processes: int, *, verbose: bool) -> Iterator[Rows]:
    """Manifest rows of `work`, a table of `PENDING`, by each of `processes` that have `order.cpus` cores.

    Every process gets its share in one call, so its own read-ahead never runs dry before the end.
    """
    return together(_whiten_share, (order, model), shares(work, processes), verbose=verbose)


def shares(work: Any, processes: int) -> list[Any]:
    """A sequence or table cut into one piece for each process: photos that recur at intervals are in all of them."""
    ends = [len(work) * number // processes for number in range(processes + 1)]
    return [work[first:end] for first, end in pairwise(ends)]


def together(
    work: Callable[..., None], common: Sequence[Any], shares: Sequence[Any], *, verbose: bool
) -> Iterator[Any]:
    """What processes of `work(pipe, *common, share)`, one for each share, finally send, in the order in which they end.

    They start together, once each of them has sent that it is ready. Raises GlassegError as soon as one of them dies.
    """
    with ExitStack() as stack:
        pipes = [stack.enter_context(process(verbose, work, *common, share)) for share in shares]
        for pipe in pipes:
            receive(pipe)
        for pipe in pipes:
            pipe.send("go")
        while pipes:
            ended = wait(pipes)
            yield from [receive(pipe) for pipe in pipes if pipe in ended]
            pipes = [pipe for pipe in pipes if pipe not in ended]


def _whiten_share(pipe: Connection, order: Order, model: ModelFolder, share: pa.Table) -> None:
    whitener = Whitener((order,), model)
    pipe.send("ready")
    pipe.recv()
    pipe.send(whitener(share).to_pylist())
