"""Ways of doing the same work that take turns on the processor: each a tree of processes, stopped while another runs.

A way is started once and has more photos than its turns take, so its actors and pools are kept, and a turn neither
pays for a start nor for an end. Between its turns all of its processes are suspended (SIGSTOP), Ray's own included:
they use no processor then, only memory. A way is a process group, so that what a terminal sends to the bench, after
Ctrl-Z and `fg`, say, does not wake it.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psutil

from glasseg.errors import GlassegError
from jobs.bench.process import process, receive
from jobs.bench.timed_photos import Window, steady

POLL_SECONDS: Final = 0.1
STUCK_SECONDS: Final = 300.0
"""A way that finishes no photo for so long is given up."""


@dataclass(frozen=True)
class Way:
    """A running way: `pid` is the top of its processes, which write one file for each finished photo to `pictures`."""

    pid: int
    pipe: Connection
    pictures: Path
    seen: list[psutil.Process] = field(default_factory=list)
    """Its processes so far, parents first: should one die, those below it are still known."""

    def turn(self, skip: int, window: Window) -> float:
        """Photos/s in the window, which opens when `skip` photos for each process are finished; suspends the way again.

        Then its pictures are deleted. Raises GlassegError when the way ends, or finishes nothing any more.
        """
        skip, resumed = skip * window.processes, time.time()
        self._resume()
        done, opened, moved = 0, math.inf, time.monotonic()
        while done < skip + window.count:
            time.sleep(POLL_SECONDS)
            now, last = time.monotonic(), done
            done = len(self._finished(resumed))
            moved = now if done > last else moved
            opened = min(opened, now) if done >= skip else opened
            if now - opened > window.seconds and done >= skip + window.processes:
                break
            self._refuse_ended(now - moved)
        self._suspend()
        times = self._finished(resumed)
        self._delete_pictures()
        whole = (len(times) - skip) // window.processes * window.processes  # of slow processes, each is as often in it
        return steady(times, skip, min(window.count, whole))

    def _finished(self, since: float) -> list[float]:
        """When photos were finished, in seconds since 1970.

        One that was written before the moment `since`, and got its name in this turn, has no part in it.
        """
        with os.scandir(self.pictures) as found:
            times = [one.stat().st_mtime_ns / 1e9 for one in found if one.is_file()]
        return [moment for moment in times if moment >= since]

    def _delete_pictures(self) -> None:
        with os.scandir(self.pictures) as found:
            for one in found:
                if one.is_file():
                    Path(one).unlink()

    def _refuse_ended(self, idle: float) -> None:
        if self.pipe.poll():
            raise GlassegError(f"the bench stopped: {receive(self.pipe)}")
        if idle > STUCK_SECONDS:
            raise GlassegError(f"the bench stopped: no photo was done in {idle:.0f} seconds; add --verbose to see why")

    def _processes(self) -> list[psutil.Process]:
        """Those that are there, parents first: of the group, or below one that is of the way, as Ray's are."""
        while True:
            here = [one for one in self.seen if one.is_running()]
            parents = {one.pid for one in here}
            found = (one for one in psutil.process_iter(["ppid"]) if one not in self.seen)
            new = [one for one in found if one.info["ppid"] in parents or _group(one) == self.pid]
            if not new:
                return here
            self.seen.extend(new)

    def _suspend(self) -> None:
        stopped: set[psutil.Process] = set()
        while started := set(self._processes()) - stopped:  # one that was just started is not missed
            for one in started:
                with suppress(psutil.NoSuchProcess):
                    one.suspend()
            stopped |= started

    def _resume(self) -> None:
        for one in reversed(self._processes()):
            with suppress(psutil.NoSuchProcess):
                one.resume()

    def kill(self) -> None:
        """End all processes of the way at once; nobody needs its pictures or rows.

        A second Ctrl-C waits until they are gone: nothing else would ever end a suspended process.
        """
        with _uninterrupted():
            self._suspend()  # so that none of them starts another one in the place of one that is gone
            for one in self._processes():
                with suppress(psutil.NoSuchProcess):
                    one.kill()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """What would end the bench waits for the end of the block. Blocking it would not do: another thread may get it."""
    came: list[int] = []
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda which, _: came.append(which)) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _group(one: psutil.Process) -> int | None:
    """The process group of a process; None when it is gone."""
    try:
        return os.getpgid(one.pid)
    except ProcessLookupError:
        return None


@contextmanager
def started(work: Callable[[], None], pictures: Path, *, verbose: bool) -> Iterator[Way]:
    """Run `work`, which writes to the empty folder `pictures`, in a process of its own, suspended between its turns."""
    with process(verbose, _work, work, niceness=0) as pipe:
        way = Way(receive(pipe), pipe, pictures)
        try:
            yield way
        finally:
            way.kill()


def _work(pipe: Connection, work: Callable[[], None]) -> None:
    os.setpgrp()
    pipe.send(os.getpid())
    try:
        work()
    except GlassegError as error:
        pipe.send(str(error))
    else:
        pipe.send("a way ran out of photos before its turns were over")
