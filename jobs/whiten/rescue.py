"""The photos of a batch whose worker died, unit by unit in a process of their own: only the culprit is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from glasseg.model.folder import ModelFolder
from glasseg.storage.credentials import without_secrets
from jobs.whiten.order import PENDING, DoneRow, Orders, Pending
from jobs.whiten.scaling import decided, is_open, known_scales, with_scales
from jobs.whiten.worker import Whitener

SECONDS = 120.0
"""Time that one picture may take; the first one also waits for the model."""
MEMORY = 4 << 30
"""Bytes that one photo may take on top of what the process holds once it has its model."""


def redo(
    orders: Orders, model: ModelFolder, units: Iterable[pa.Table], worker: type = Whitener
) -> Iterator[list[DoneRow]]:
    """`ROWS` of `units` (tables of `PENDING` with one unit), each tried once in an actor, a new one after a death.

    A unit that has to get a scale is tried photo by photo, and gets that of those that can be measured.
    """
    with closing(_Alone(orders, model, worker)) as alone:
        for unit in units:
            rows = unit.to_pylist()
            photos = [list(some) for _, some in groupby(rows, key=itemgetter("key"))]
            if len(photos) == 1 or not any(map(is_open, rows)):
                yield alone.rows(rows)
                continue
            found = {photo[0]["key"]: alone.ask("sizes", photo) for photo in photos}
            sizes = {row: size for one in found.values() if isinstance(one, dict) for row, size in one.items()}
            scales = decided(rows, sizes, orders)
            for photo in photos:
                known = found[photo[0]["key"]]
                yield known_scales(known, scales) if isinstance(known, list) else alone.rows(with_scales(photo, scales))


class _Alone:
    """An actor that works on few photos at a time; a new one after each that died, hung or met a fault."""

    def __init__(self, orders: Orders, model: ModelFolder, worker: type) -> None:
        self._orders, self._model, self._worker = orders, model, worker
        self._actor: Any = None

    def rows(self, unit: list[Pending]) -> list[DoneRow]:
        """`ROWS` of a unit."""
        found = self.ask("__call__", unit)
        return found if isinstance(found, list) else found.to_pylist()

    def ask(self, method: str, unit: list[Pending]) -> Any:
        """What a method of the worker says of a unit; the unit's failed rows when it can't be done."""
        import ray

        seconds = SECONDS * len(unit)
        if self._actor is None:
            order = self._orders[0]
            needs = {"num_cpus": order.cpus, "num_gpus": order.gpus, "memory": order.memory}
            actor_class = ray.remote(**needs, max_restarts=0, max_task_retries=0)(self._worker)
            self._actor = actor_class.remote(self._orders, ray.put(self._model), MEMORY)
        try:
            asked = getattr(self._actor, method).remote(pa.Table.from_pylist(unit, schema=PENDING))
            return ray.get(asked, timeout=seconds)
        except ray.exceptions.GetTimeoutError:
            fault = "timeout", f"not done after {seconds:.0f} s"
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            if "creation task" in str(error):  # the model could not be set up: a bug, with its traceback in the error
                raise
            fault = "worker_died", "the process that worked on it died, also when it had it alone"
        except ray.exceptions.RayTaskError as error:
            fault = _described(error.cause)
        self.close()
        return [self._orders[pending["place"]].failed(pending, *fault) for pending in unit]

    def close(self) -> None:
        """End the actor, if there is one."""
        import ray

        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None


def _described(error: BaseException) -> tuple[str, str]:
    """Code and message for what a worker did not expect; cv2 reports missing memory as an error of its own."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "Insufficient memory" in text:
        return "out_of_memory", f"more than {MEMORY >> 30} GiB for this photo alone"
    return "internal_error", f"{type(error).__name__}: {without_secrets(text)}"
