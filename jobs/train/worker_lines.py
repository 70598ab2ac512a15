"""Lines from the training workers, wherever they run, shown where the run was started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from jobs.terminal import say


@contextmanager
def board_of_lines() -> Iterator[Any]:
    """An actor, `_Board`, that takes lines from the workers; they are shown here while the block runs.

    It lives on the driver's own node: on another one it could die without the driver, and the run with it. (With
    soft=True, Ray would put it elsewhere when that node has no CPUs for work, as heads have.)
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(_Board).remote()
    ended = Event()

    def follow() -> None:
        shown = 0
        while True:
            last = ended.wait(1)  # read before asking, so that the last lines are shown too
            try:
                lines = ray.get(board.since.remote(shown))
            except ray.exceptions.RayError:  # the run was interrupted, and Ray is on its way out
                return
            for line in lines:
                say(f"  {line}")
            shown += len(lines)
            if last:
                return

    follower = Thread(target=follow)
    follower.start()
    try:
        yield board
    finally:
        ended.set()
        follower.join()


class _Board:
    """Lines in the order in which they came, and why the run ended: "" unless another attempt would fail as well."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._fatal = ""

    def end(self, fatal: str) -> None:
        self._fatal = self._fatal or fatal

    def fatal(self) -> str:
        return self._fatal

    def say(self, line: str) -> None:
        self._lines.append(line)

    def since(self, number: int) -> list[str]:
        return self._lines[number:]
