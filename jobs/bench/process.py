"""Plain processes that know nothing of Ray, started fresh for one piece of work."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Final

from glasseg.errors import GlassegError
from jobs.engine import quiet_stderr

RAY_NICENESS: Final = 15
"""Ray starts its workers with this niceness; on a busy machine plain processes must not get more than they do."""
END_SECONDS: Final = 10.0
"""Time for a process to end by itself once it has answered."""


@contextmanager
def process(verbose: bool, work: Callable[..., None], *args: Any, niceness: int = RAY_NICENESS) -> Iterator[Connection]:
    """A fresh process that runs `work(pipe, *args)`; yields the near end of its pipe. It is gone after the block."""
    with quiet_stderr(verbose):  # what processes leave that are killed, it frees, but not without a warning
        resource_tracker.ensure_running()
    context = get_context("spawn")
    near, far = context.Pipe()
    child = context.Process(target=_run, args=(verbose, niceness, work, far, *args))
    child.start()
    far.close()  # otherwise its death would go unnoticed
    try:
        yield near
        child.join(END_SECONDS)  # it has answered; let it give back what it shares with its helpers
    finally:
        child.kill()  # its files are complete: it has answered, or nobody wants its answer any more
        child.join()
        near.close()


def receive(pipe: Connection) -> Any:
    """What a process of `process` sends next. Raises GlassegError when it died."""
    try:
        return pipe.recv()
    except EOFError as error:
        raise GlassegError("a process of the bench died; add --verbose to see why") from error


def _run(verbose: bool, niceness: int, work: Callable[..., None], pipe: Connection, *args: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    lower(verbose, niceness)
    work(pipe, *args)


def lower(verbose: bool, niceness: int = RAY_NICENESS) -> None:
    """Give this process the priority of Ray's workers and, unless `verbose`, silence what native code prints."""
    os.nice(niceness)
    if not verbose:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow prints there before it can be told to be quiet
