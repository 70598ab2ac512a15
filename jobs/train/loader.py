"""The stream of training batches: pictures made by Ray Data actors, a few steps ahead of the network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from glasseg.config import TrainConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.labels.pairs import Found
from glasseg.training.epochs import Epochs, Step
from glasseg.training.samples import Samples
from jobs.engine import bounded_retries

THREADS = 4
"""The most threads of one loading process; they share its cache of photos."""
MOST_BLOCKS = 10_000
"""Steps in one Ray data set, each a block: a long run streams several data sets one after another."""


@dataclass(frozen=True)
class Load:
    """What every loading process must know; `cpus`: of all loading processes of this `worker`."""

    found: Found
    config: TrainConfig
    epochs: Epochs
    worker: int
    cpus: int
    endpoint_url: str | None

    @property
    def processes(self) -> int:
        """Number of loading processes that share the CPUs."""
        return math.ceil(self.cpus / THREADS)


class Loader:
    """Makes the pictures of steps. Called by Ray Data with step numbers, returns their pictures, one per row.

    Columns: `planes`, the bytes of s×s×6 uint8 (image, coverage, opening, weight: steps differ in their size s), `real`
    bool, `index` int64, and `fatal`, "" or why the pictures could not be made: a column, because Ray would wrap an
    exception in its own.
    """

    def __init__(self, load: Load) -> None:
        import cv2

        cv2.setNumThreads(1)  # the pool below is the parallelism
        self._load = load
        self._samples = Samples(load.found, load.config, load.endpoint_url)
        self._pool = ThreadPoolExecutor(math.ceil(load.cpus / load.processes))

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        steps = [self._load.epochs.step(int(number), self._load.worker) for number in batch["data"]]
        wanted = [(step, int(index)) for step in steps for index in step.indices]
        fatal, planes = "", [b""] * len(wanted)
        try:
            planes = list(self._pool.map(self._make, wanted))
        except (GlassegError, PhotoError, ValueError) as error:
            fatal = str(error)
        real, index = (np.concatenate([getattr(step, name) for step in steps]) for name in ("real", "indices"))
        # an Arrow table: for a numpy array of bytes Ray Data counts only the pointers, and would pass on thousands of
        # pictures at once
        return pa.table(
            {"planes": pa.array(planes, pa.binary()), "real": real, "index": index, "fatal": [fatal] * len(wanted)}
        )

    def _make(self, wanted: tuple[Step, int]) -> bytes:
        step, index = wanted
        if step.validation:
            sample = self._samples.validate(index, step.side)
        else:
            sample = self._samples.train(step.epoch, index, step.side)
        return np.dstack([sample.image, sample.coverage, sample.opening, sample.weight]).tobytes()


def batch_of(columns: dict[str, Any], side: int) -> tuple[np.ndarray, ...]:
    """The `Loader`'s columns of one step as `Learner.train` takes them: image, coverage, opening, weight and real."""
    planes = np.stack([np.frombuffer(picture, np.uint8) for picture in columns["planes"]])
    planes = planes.reshape(-1, side, side, 6)
    return planes[..., :3], planes[..., 3], planes[..., 4], planes[..., 5], columns["real"]


def stream(load: Load, *, first: int, last: int) -> Iterator[tuple[Step, tuple[np.ndarray, ...]]]:
    """Steps `first` to `last` (exclusive) with this worker's batch, as `Learner.train` takes it; Ray must be connected.

    Raises GlassegError when a picture can't be made.
    """
    for begin in range(first, last, MOST_BLOCKS):
        yield from _stream(load, np.arange(begin, min(last, begin + MOST_BLOCKS)))


def _stream(load: Load, numbers: np.ndarray) -> Iterator[tuple[Step, tuple[np.ndarray, ...]]]:
    """The steps of these numbers, each a block in Ray Data: a process that is lost has little work in hand."""
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.execution_no_progress_timeout_s = -1  # a training that was suspended for an hour must not fail
    share = load.epochs.batch // load.epochs.workers
    # blocks that exist already: reading a range would need tasks, and CPUs for them
    there = ray.data.from_numpy(np.array_split(numbers, len(numbers)))
    with bounded_retries():
        rows = there.map_batches(
            Loader,
            fn_constructor_args=(load,),
            batch_size=1,
            compute=ActorPoolStrategy(size=load.processes, max_tasks_in_flight_per_actor=2),
            num_cpus=load.cpus / load.processes,
            ray_remote_args_fn=lambda: {"max_restarts": 3, "max_task_retries": 3},
        )
    batches: Iterator[dict[str, Any]] = iter(
        rows.iter_batches(batch_size=share, batch_format="numpy", prefetch_batches=2)
    )
    for number, batch in zip(numbers.tolist(), batches, strict=True):
        if fatal := str(batch["fatal"][0]):
            raise GlassegError(f"a training picture can no longer be made: {fatal}")
        step = load.epochs.step(number, load.worker)
        if not np.array_equal(step.indices, batch["index"]):
            raise RuntimeError(f"step {number} came with samples {batch['index']}, not {step.indices}")
        yield step, batch_of(batch, step.side)
