"""The ways that `glasseg bench pipeline` compares, each as a run over all photos in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from glasseg.config import BenchConfig
from glasseg.model.folder import ModelFolder
from jobs.bench import alternatives, plain_loop, rembg_loop
from jobs.bench.alternatives import RECIPE_BATCH
from jobs.bench.table import ONE_ACTOR, PIPELINE, POOL, RECIPE, REMBG
from jobs.bench.timed_photos import refuse_failed
from jobs.engine import engine
from jobs.whiten.order import Order
from jobs.whiten.stream import stream
from jobs.whiten.worker import GROUP

SKIP: Final = 2


@dataclass(frozen=True)
class Job:
    """What all ways have in common."""

    model: ModelFolder
    order: Order
    """Its destination is another one for each way."""
    work: pa.Table
    """A table of `PENDING`."""
    verbose: bool


@dataclass(frozen=True)
class Plan:
    """How a way is run, and how many photos each turn begins with that are not timed."""

    run: Callable[[Job], None]
    """Does all photos of a job. Raises GlassegError."""
    warm: int = 2 * GROUP
    """Photos for each process that are not timed in the first turn: one may have started later than another."""
    skip: int = SKIP
    """The same for later turns: about as many were in hand when the way was suspended."""
    has_ray: bool = False


def plans(config: BenchConfig, cores: int, workers: int) -> Mapping[str, Plan]:
    """What is compared, by name, in the order of the turns."""
    through_ray = partial(Plan, has_ray=True)
    found = {_loop_name(n, cores // n): Plan(partial(_plain_loop, n, cores // n)) for n in sorted({1, cores})}
    found[PIPELINE] = through_ray(partial(_pipeline, workers, config.cpus_per_worker, cores))
    if config.versus:
        found[ONE_ACTOR] = through_ray(partial(_pipeline, 1, cores, cores))
        found[RECIPE] = through_ray(partial(_recipe, cores), warm=RECIPE_BATCH)
        found[POOL] = Plan(partial(_pool, cores))
    if config.versus_rembg:
        found[REMBG] = Plan(partial(_rembg, config.versus_rembg, cores), warm=1, skip=1)
    return found


def _loop_name(processes: int, threads: int) -> str:
    return f"{processes} process{'es' * (processes > 1)} × {threads} core{'s' * (threads > 1)}"


def _plain_loop(processes: int, threads: int, job: Job) -> None:
    order = replace(job.order, cpus=threads)
    for rows in plain_loop.whiten(order, job.model, job.work, processes, verbose=job.verbose):
        refuse_failed(rows)


def _pipeline(workers: int, cpus: int, cores: int, job: Job) -> None:
    """What `glasseg whiten` does between the listing and the manifest."""
    with engine("local", cpus=max(cores, workers * cpus), verbose=job.verbose):
        for rows in stream((replace(job.order, cpus=cpus),), job.model, job.work, (workers, workers)):
            refuse_failed(rows)


def _recipe(cores: int, job: Job) -> None:
    with engine("local", cpus=cores, verbose=job.verbose):
        alternatives.recipe(job.order, job.model, cores)


def _pool(cores: int, job: Job) -> None:
    alternatives.pool(job.order, job.model, job.work["key"].to_pylist(), cores)


def _rembg(model: Path, cores: int, job: Job) -> None:
    rembg_loop.remove(job.order, model, job.work["key"].to_pylist(), cores, verbose=job.verbose)
