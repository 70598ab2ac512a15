"""The photos of a batch whose worker died, unit by unit in a process of their own: only the culprit is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from glasseg.model.folder import ModelFolder
from glasseg.storage.credentials import without_secrets
from jobs.whiten.order import DoneRow, Orders
from jobs.whiten.worker import Whitener

SECONDS = 120.0
"""Time that one picture may take; the first one also waits for the model."""
MEMORY = 4 << 30
"""Bytes that one photo may take on top of what the process holds once it has its model."""


def redo(
    orders: Orders, model: ModelFolder, units: Iterable[pa.Table], worker: type = Whitener
) -> Iterator[list[DoneRow]]:
    """`ROWS` of `units` (tables of `PENDING` with one unit), each tried once in an actor, a new one after a death."""
    import ray

    order = orders[0]
    needs = {"num_cpus": order.cpus, "num_gpus": order.gpus, "memory": order.memory}
    actor_class = ray.remote(**needs, max_restarts=0, max_task_retries=0)(worker)
    actor = None
    for unit in units:
        seconds = SECONDS * len(unit)
        if actor is None:
            actor = actor_class.remote(orders, ray.put(model), MEMORY)
        try:
            yield ray.get(actor.__call__.remote(unit), timeout=seconds).to_pylist()
            continue
        except ray.exceptions.GetTimeoutError:
            fault = "timeout", f"not done after {seconds:.0f} s"
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            if "creation task" in str(error):  # the model could not be set up: a bug, with its traceback in the error
                raise
            fault = "worker_died", "the process that worked on it died, also when it had it alone"
        except ray.exceptions.RayTaskError as error:
            fault = _described(error.cause)
        yield [orders[pending["place"]].failed(pending, *fault) for pending in unit.to_pylist()]
        ray.kill(actor)
        actor = None
    if actor is not None:
        ray.kill(actor)


def _described(error: BaseException) -> tuple[str, str]:
    """Code and message for what a worker did not expect; cv2 reports missing memory as an error of its own."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "Insufficient memory" in text:
        return "out_of_memory", f"more than {MEMORY >> 30} GiB for this photo alone"
    return "internal_error", f"{type(error).__name__}: {without_secrets(text)}"
