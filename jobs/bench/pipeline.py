"""`glasseg bench pipeline`: how fast this machine whitens, stage by stage, in a plain loop and through Ray.

Steady state is measured in the same way on both sides, from the time at which each photo was finished according to its
manifest row. A run gets more photos than are timed: the clock starts when the first `skip` are finished (every worker
is warm, its read-ahead full) and stops `count` photos later, while the last `tail` still keep every worker busy. So
neither side pays for starting, nor for workers that idle at the end while another one finishes. What recurs is
included: the start and end of a Ray task, every 32 photos. A plain loop needs no tasks, so each of its processes gets
its share at once. All ways take turns, and no Ray process is alive while one without Ray runs. Everything runs on
CPUs. `--versus` also measures the pipeline as one actor with all cores, and the two of `alternatives`.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import jobs
from glasseg.catalog import pending, runs
from glasseg.catalog.schema import Row
from glasseg.config import BenchConfig, WhitenConfig
from glasseg.errors import GlassegError
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage import listing
from glasseg.storage.folder import Folder
from jobs.bench import alternatives, machine, photos, plain_loop, stages, timed_photos
from jobs.bench.table import ONE_ACTOR, PIPELINE, POOL, RECIPE, summary
from jobs.bench.timed_photos import Window
from jobs.engine import available_cpus, engine
from jobs.terminal import say
from jobs.whiten.order import PENDING, Order
from jobs.whiten.stream import BATCH_ROWS, stream

SIZE: Final = (1200, 1600)
"""(height, width) of the drawn photos."""
STAGE_PHOTOS: Final = 48
VERSUS_READS: Final = frozenset({".jpg", ".jpeg", ".png"})
"""Photos that all ways of `--versus` can read and write."""


@dataclass(frozen=True)
class Bench:
    """What all measurements of one bench have in common."""

    config: BenchConfig
    model: ModelFolder
    order: Order
    work: pa.Table
    """A table of `PENDING`."""
    window: Window
    size: tuple[int, int]
    cores: int
    workers: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The work as rows of `PENDING`."""
        rows: list[dict[str, Any]] = self.work.to_pylist()
        return rows


def bench(folder: Path | None, config: BenchConfig) -> dict[str, Any]:
    """Measure this machine with the photos of a folder, or with drawn ones; what `--json` prints.

    Raises GlassegError when there is no model, no usable photo, or when a process dies.
    """
    stay_here(config.verbose)
    model = model_folder.load(config.model)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="glasseg-bench-") as temporary:
        one = _prepare(folder, config, model, Path(temporary))
        say("first photo: a run of `glasseg whiten`")
        startup, whole = _first_photo(one)
        say("stages, one core")
        with _emptied(one.order):
            alone = stages.rates(replace(one.order, cpus=1), model, one.rows[:STAGE_PHOTOS], verbose=config.verbose)
        rates = _rounds(one)
    return {
        **summary(rates, config.price_per_hour),
        "startup_s": round(startup, 2),
        "command_s": round(whole, 2),
        "stages": {name: round(rate, 2) for name, rate in alone.items()},
        "all_stages_one_core": round(1 / sum(1 / rate for rate in alone.values()), 2),
        "photos": config.photos,
        "rounds": config.rounds,
        "size": list(one.size),
        "model_id": model.spec.model_id,
        "workers": one.workers,
        "cpus_per_worker": config.cpus_per_worker,
        "machine": {**machine.facts(), "load_before": round(load, 2)},
    }


def stay_here(verbose: bool) -> None:
    """Restrict this process and all that it starts to this machine and its CPUs."""
    os.environ.pop("RAY_ADDRESS", None)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# --- photos ---


def _prepare(folder: Path | None, config: BenchConfig, model: ModelFolder, temporary: Path) -> Bench:
    """Draw or check the photos, link them under as many names as a run needs, and plan the run."""
    cores = available_cpus()
    workers = config.workers or max(1, cores // config.cpus_per_worker)
    timed = timed_photos.plan(config.photos, max(cores, workers))
    if config.photos < 2 * BATCH_ROWS * max(cores, workers):
        say(f"note: --photos {2 * BATCH_ROWS * max(cores, workers)} or more gives steadier numbers on this machine")
    if folder:
        originals, size = photos.usable(folder, timed.total, VERSUS_READS if config.versus else None)
    else:
        originals, size = photos.draw(temporary / "drawn", SIZE), SIZE
    photos.repeat(originals, timed.total, temporary / "photos")
    source = Folder((temporary / "photos").resolve())
    found, _ = pending.photos(listing.read(source), "keep")
    whiten = WhitenConfig()
    order = Order(
        source=source,
        destination=Folder(temporary.resolve() / "white"),
        run_id=runs.new_id(),
        run_seq=1,
        model_id=model.spec.model_id,
        options_id=whiten.options_id,
        mask=whiten.mask,
        quality=whiten.quality,
        max_pixels=whiten.max_pixels,
        cpus=config.cpus_per_worker,
    )
    return Bench(config, model, order, _new(found), timed, size, cores, workers)


def _new(found: pa.Table) -> pa.Table:
    """Photos as a table of `PENDING`, all of them new."""
    columns = {"key": found["key"], "output": found["output"], "etag": found["etag"]}
    columns["reason"] = pa.repeat("new", len(found))
    rest = {field.name: pa.nulls(len(found), field.type) for field in PENDING if field.name not in columns}
    return pa.table(columns | rest).select(PENDING.names).cast(PENDING)


# --- measurements ---


def _first_photo(one: Bench) -> tuple[float, float]:
    """Seconds until a real `glasseg whiten` has written its first picture, and until `--photos` of them are done."""
    config, white = one.config, one.order.destination
    assert isinstance(white, Folder)
    command = [sys.executable, "-P", "-m", jobs.__name__, "whiten", one.order.source.uri, white.uri, "--max-flagged=1"]
    command += [f"--model={config.model}", f"--limit={config.photos}", f"--cpus-per-worker={config.cpus_per_worker}"]
    command += ["--gpus-per-worker=0"]
    command += [f"--workers={config.workers or 'auto'}", *(["--verbose"] if config.verbose else [])]
    with _emptied(one.order), tempfile.TemporaryFile() as words:
        began, first = time.perf_counter(), math.nan
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=None if config.verbose else words, stdin=subprocess.DEVNULL
        )
        try:
            while process.poll() is None:
                if math.isnan(first) and any(found.is_file() for found in white.path.iterdir()):
                    first = time.perf_counter() - began
                time.sleep(0.01 if math.isnan(first) else 0.1)
        finally:
            process.terminate()
            process.wait()
        whole = time.perf_counter() - began
        words.seek(0)
        last = words.read().decode(errors="replace").strip().splitlines()[-1:]
    if process.returncode or math.isnan(first):
        raise GlassegError(f"`glasseg whiten` ended with exit code {process.returncode}: {''.join(last)}")
    return first, whole


def _rounds(one: Bench) -> dict[str, list[float]]:
    """Photos/s of each way in every round; the ways take turns."""
    rates: dict[str, list[float]] = {}
    for number in range(1, one.config.rounds + 1):
        for name, way in _ways(one).items():
            say(f"round {number} of {one.config.rounds}: {name}")
            with _emptied(one.order):
                rows = way()
            rates.setdefault(name, []).append(timed_photos.rate(rows, one.window))
    return rates


def _ways(one: Bench) -> dict[str, Callable[[], Sequence[Any]]]:
    """What is measured, by name; each returns the rows of all photos."""
    per_worker = one.config.cpus_per_worker
    ways: dict[str, Callable[[], Sequence[Any]]] = {
        **{_loop_name(n, one.cores // n): partial(_plain_loop, one, n) for n in sorted({1, one.cores})},
        PIPELINE: partial(_through_ray, one, one.workers, per_worker),
    }
    if one.config.versus:
        keys = one.work["key"].to_pylist()
        ways |= {
            ONE_ACTOR: partial(_through_ray, one, 1, one.cores),
            RECIPE: partial(_by_recipe, one),
            POOL: partial(alternatives.pool, one.order, one.model, keys, one.cores),
        }
    return ways


def _loop_name(processes: int, threads: int) -> str:
    return f"{processes} process{'es' * (processes > 1)} × {threads} core{'s' * (threads > 1)}"


def _plain_loop(one: Bench, processes: int) -> list[dict[str, Any]]:
    order = replace(one.order, cpus=one.cores // processes)
    return plain_loop.whiten(order, one.model, one.rows, processes, verbose=one.config.verbose)


def _through_ray(one: Bench, workers: int, cpus: int) -> list[Row]:
    """Manifest rows of the work, as `glasseg whiten` makes them; Ray starts before and ends after."""
    with engine("local", cpus=max(one.cores, workers * cpus), verbose=one.config.verbose):
        batches = stream(replace(one.order, cpus=cpus), one.model, one.work, (workers, workers))
        return [row for rows in batches for row in rows]


def _by_recipe(one: Bench) -> list[dict[str, Any]]:
    with engine("local", cpus=one.cores, verbose=one.config.verbose):
        return alternatives.recipe(one.order, one.model, one.cores)


@contextmanager
def _emptied(order: Order) -> Iterator[None]:
    """A fresh destination for the block, deleted after it."""
    assert isinstance(order.destination, Folder)
    path = order.destination.path
    path.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(path)
