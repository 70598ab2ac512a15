"""What the pipeline is compared with: the same library calls in plain processes, none of which knows of Ray."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from glasseg import formats
from glasseg.cutout import finished, picture
from glasseg.errors import GlassegError
from glasseg.images import decoder
from glasseg.model.folder import ModelFolder
from jobs.whiten.order import PENDING, Order
from jobs.whiten.worker import Whitener

STAGES = ("read", "decode", "segment", "cut out", "encode", "write")
"""`cut out`: alpha, colours and composing; `encode`: and reading it again."""
RAY_NICENESS = 15
"""Ray starts its workers this much nicer than itself; on a busy machine plain processes must not get more than they."""

END_SECONDS = 10.0
"""For a process to end by itself once it has answered."""


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
            hear(pipe)
        for pipe in pipes:
            pipe.send("go")
        return [row for pipe in pipes for row in hear(pipe).to_pylist()]


def stage_rates(
    order: Order, model: ModelFolder, photos: Sequence[dict[str, Any]], *, verbose: bool
) -> dict[str, float]:
    """Photos/s of each of `STAGES` alone on one core, over `photos` (rows of `PENDING`)."""
    with process(verbose, _time_stages, order, model, photos) as pipe:
        return hear(pipe)


@contextmanager
def process(verbose: bool, work: Callable[..., None], *args: Any) -> Iterator[Connection]:
    """A fresh process that runs `work(pipe, *args)`; the near end of its pipe. It is gone after the block."""
    context = get_context("spawn")
    near, far = context.Pipe()
    child = context.Process(target=_run, args=(verbose, work, far, *args), daemon=True)
    child.start()
    far.close()  # or its death would never be heard of
    try:
        yield near
        child.join(END_SECONDS)  # it has answered; let it give back what it shares with its helpers
    finally:
        child.kill()  # its files are whole: it has answered, or nobody wants its answer any more
        child.join()
        near.close()


def hear(pipe: Connection) -> Any:
    """What a process of `process` sends next. Raises GlassegError when it died."""
    try:
        return pipe.recv()
    except EOFError as error:
        raise GlassegError("a process of the bench died; with --verbose it says why") from error


def _run(verbose: bool, work: Callable[..., None], pipe: Connection, *args: Any) -> None:
    """What every process of this module does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    os.nice(RAY_NICENESS)
    if not verbose:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow greets there before it can be told to be quiet
    work(pipe, *args)


def _whiten_share(pipe: Connection, order: Order, model: ModelFolder, share: pa.Table) -> None:
    whitener = Whitener(order, model)
    pipe.send("ready")
    pipe.recv()
    pipe.send(whitener(share))


def _time_stages(pipe: Connection, order: Order, model: ModelFolder, photos: Sequence[dict[str, Any]]) -> None:
    import cv2

    from glasseg.model.segmenter import BATCH, Segmenter

    cv2.setNumThreads(1)
    segmenter = Segmenter(model, threads=1)
    groups = [photos[first : first + BATCH] for first in range(0, len(photos), BATCH)]
    whole = [group for group in groups if len(group) == BATCH] or groups  # a part-filled network call would look slow
    _run_stages(order, segmenter, whole[0])  # warms up
    seconds = dict.fromkeys(STAGES, 0.0)
    for group in whole:
        for stage, spent in _run_stages(order, segmenter, group).items():
            seconds[stage] += spent
    done = sum(map(len, whole))
    pipe.send({stage: done / seconds[stage] for stage in STAGES})


def _run_stages(order: Order, segmenter: Any, photos: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Seconds that each stage takes for a group of photos, one stage after the other."""
    spec, outputs, clock = segmenter.spec, [photo["output"] for photo in photos], [time.perf_counter()]

    def lap(result: list[Any]) -> list[Any]:
        clock.append(time.perf_counter())
        return result

    data = lap([order.source.read(photo["key"])[0] for photo in photos])
    opened = lap([decoder.decode(one, max_pixels=order.max_pixels) for one in data])
    found = lap(segmenter.segment([one.on_white() for one in opened]))
    made = lap([picture.compose(*one, spec, order.look) for one in zip(opened, found, strict=True)])
    sent = lap(
        [
            finished.finish(one, order.look, formats.format_of(output), order.quality, photo.tags).data
            for one, output, photo in zip(made, outputs, opened, strict=True)
        ]
    )
    lap([order.destination.write(output, one) for output, one in zip(outputs, sent, strict=True)])
    return {stage: end - begin for stage, begin, end in zip(STAGES, clock, clock[1:], strict=False)}
