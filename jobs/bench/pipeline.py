"""`glasseg bench pipeline`: how fast this machine whitens, stage by stage, in a plain loop and through Ray.

Steady state is measured in the same way on all sides, from the time at which each picture was written. Every way is
one long run that is started once, warms up, and takes turns with the others; between its turns all of its processes are
suspended (see `relay`). So nothing of one way runs while another one is timed, and no way pays for starting, nor for
workers that idle at the end while another one finishes. In a turn the clock starts when the first photos are finished,
those that were in hand when the way was suspended, and stops `count` photos later. What recurs is included: the start
and end of a Ray task, every 32 photos. A plain loop needs no tasks, so each of its processes gets its share at once.
Everything runs on CPUs. With `--rounds 1` each way ends before the next one starts, which takes less memory.

The whole bench ends within about `BUDGET_SECONDS`: a turn has as many photos as the machine does in its share of the
time that is left, by the rate of the stages on one core. `--versus` also measures the pipeline as one actor with all
cores, and the two of `alternatives`; `--versus-rembg` rembg, so slow that a turn may have only a photo or two a core.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import jobs
from glasseg.catalog import pending, runs
from glasseg.config import BenchConfig, WhitenConfig
from glasseg.errors import GlassegError
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage import listing
from glasseg.storage.folder import Folder
from jobs.bench import machine, photos, relay, rembg_loop, stages, timed_photos, ways
from jobs.bench.relay import Way
from jobs.bench.steps import Steps
from jobs.bench.table import summary
from jobs.bench.timed_photos import Window
from jobs.bench.ways import Job, Plan
from jobs.engine import available_cpus
from jobs.whiten.order import PENDING, Order

SIZE: Final = (1200, 1600)
"""(height, width) of the drawn photos."""
STAGE_PHOTOS: Final = 48
MOST_PHOTOS: Final = 192
"""Photos of a folder that are used; they are repeated under other names."""
VERSUS_READS: Final = frozenset({".jpg", ".jpeg", ".png"})
"""Photos that all ways of `--versus` and rembg can read and write."""
BUDGET_SECONDS: Final = 240.0
"""What a bench may take in all; five minutes less what an estimate may be wrong by."""
LEAST_SECONDS, MOST_SECONDS = 5.0, 20.0
"""What a turn may take; a longer one would not be steadier."""
LONGEST: Final = 1.5
"""What a turn may take, as a multiple of what the stages promise: cores that share their units do less together."""
RAY_SECONDS: Final = 8.0
"""What Ray adds to the start of a way."""


def bench(folder: Path | None, config: BenchConfig) -> dict[str, Any]:
    """Measure this machine with the photos of a folder, or with drawn ones; what `--json` prints.

    Raises GlassegError when there is no model, no usable photo, when rembg is wanted and can't be used, or when a
    process dies.
    """
    stay_here(config.verbose)
    began, load = time.monotonic(), os.getloadavg()[0]
    model = model_folder.load(config.model)
    rembg = rembg_loop.found(config.versus_rembg, verbose=config.verbose) if config.versus_rembg else None
    cores = available_cpus()
    workers = config.workers or max(1, cores // config.cpus_per_worker)
    processes = max(cores, workers)
    plans = ways.plans(config, cores, workers)
    steps = Steps(3 + config.rounds * len(plans))
    with tempfile.TemporaryDirectory(prefix="glasseg-bench-") as temporary:
        place = Path(temporary).resolve()
        steps.next("photos")
        originals, size = _photos(folder, place, config)
        steps.next("stages, one core")
        alone, start = _stages(_job(originals, STAGE_PHOTOS, place / "stages", model, config))
        rate = cores / sum(1 / one for one in alone.values())
        skipped = ways.SKIP * processes
        seconds = turn_seconds(plans, config.rounds, start, time.monotonic() - began) - skipped / rate
        count = timed_photos.affordable(rate, seconds, processes)
        if config.photos:
            count = timed_photos.whole_clumps(config.photos, processes)
        steps.expect(expected(plans, config.rounds, start, (skipped + count) / rate))
        needed = timed_photos.needed(count, config.rounds, processes)
        job = _job(originals, needed, place / "turns", model, config)
        steps.next("first photo: a run of `glasseg whiten`")
        startup, whole = _first_photo(job, config, count)
        window = Window(processes, count, LONGEST * count / rate)
        rates = _rounds(job, plans, config.rounds, window, steps)
    return {
        **summary(rates, config.price_per_hour),
        "startup_s": round(startup, 2),
        "command_s": round(whole, 2),
        "stages": {name: round(rate, 2) for name, rate in alone.items()},
        "all_stages_one_core": round(rate / cores, 2),
        "photos": count,
        "rounds": config.rounds,
        "size": list(size),
        "model_id": model.spec.model_id,
        "workers": workers,
        "cpus_per_worker": config.cpus_per_worker,
        "rembg": rembg,
        "machine": {**machine.facts(), "load_before": round(load, 2)},
    }


def stay_here(verbose: bool) -> None:
    """Restrict this process and all that it starts to this machine and its CPUs."""
    os.environ.pop("RAY_ADDRESS", None)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# --- time ---


def turn_seconds(plans: Mapping[str, Plan], rounds: int, start: float, spent: float) -> float:
    """Seconds that each turn may take, so that all of them fit into the time that is left after `spent` seconds.

    `start`: seconds until a process holds the network.
    """
    left = BUDGET_SECONDS - spent - sum(expected(plans, rounds, start, 0.0))
    return min(MOST_SECONDS, max(LEAST_SECONDS, left / (rounds * len(plans) + 1)))


def expected(plans: Mapping[str, Plan], rounds: int, start: float, turn: float) -> list[float]:
    """Seconds of the first photo, then of every turn; those of the first round include the starts."""
    starts = [start + RAY_SECONDS * plan.has_ray + turn for plan in plans.values()]
    return [start + RAY_SECONDS + turn, *starts, *[turn] * (rounds - 1) * len(plans)]


# --- photos ---


def _photos(folder: Path | None, place: Path, config: BenchConfig) -> tuple[list[Path], tuple[int, int]]:
    """The photos to repeat, and the (height, width) of the one of middle size."""
    if folder:
        most = max(MOST_PHOTOS, config.photos or 0)
        return photos.usable(folder, most, VERSUS_READS if config.versus or config.versus_rembg else None)
    return photos.draw(place / "drawn", SIZE), SIZE


def _job(originals: Sequence[Path], count: int, place: Path, model: ModelFolder, config: BenchConfig) -> Job:
    """Link the photos under `count` names below the new folder `place`, and plan a run over them."""
    place.mkdir()
    photos.repeat(originals, count, place / "photos")
    source, whiten = Folder(place / "photos"), WhitenConfig()
    found, _ = pending.photos(listing.read(source), "keep")
    order = Order(
        source=source,
        destination=Folder(place / "white"),
        run_id=runs.new_id(),
        run_seq=1,
        model_id=model.spec.model_id,
        options_id=whiten.options_id,
        mask=whiten.mask,
        quality=whiten.quality,
        max_pixels=whiten.max_pixels,
        cpus=config.cpus_per_worker,
    )
    return Job(model, order, _new(found), config.verbose)


def _new(found: pa.Table) -> pa.Table:
    """Photos as a table of `PENDING`, all of them new."""
    columns = {"key": found["key"], "output": found["output"], "etag": found["etag"]}
    columns |= {
        name: pa.repeat(value, len(found)) for name, value in (("reason", "new"), ("place", 0), ("unit_rows", 1))
    }
    columns["unit"] = found["key"]
    rest = {field.name: pa.nulls(len(found), field.type) for field in PENDING if field.name not in columns}
    return pa.table(columns | rest).select(PENDING.names).cast(PENDING)


# --- measurements ---


def _stages(job: Job) -> tuple[dict[str, float], float]:
    """Photos/s of each stage on one core, and the seconds until a process is ready for the first."""
    with _emptied(job.order):
        return stages.rates(replace(job.order, cpus=1), job.model, job.work.to_pylist(), verbose=job.verbose)


def _first_photo(job: Job, config: BenchConfig, count: int) -> tuple[float, float]:
    """Seconds until a real `glasseg whiten` has written its first picture, and until `count` of them are done."""
    white = job.order.destination
    assert isinstance(white, Folder)
    command = [sys.executable, "-P", "-m", jobs.__name__, "whiten", job.order.source.uri, white.uri, "--max-flagged=1"]
    command += [f"--model={config.model}", f"--limit={count}", f"--cpus-per-worker={config.cpus_per_worker}"]
    command += ["--gpus-per-worker=0"]
    command += [f"--workers={config.workers or 'auto'}", *(["--verbose"] if config.verbose else [])]
    with _emptied(job.order), tempfile.TemporaryFile() as words:
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


def _rounds(job: Job, plans: Mapping[str, Plan], rounds: int, window: Window, steps: Steps) -> dict[str, list[float]]:
    """Photos/s of each way in every round; the ways take turns, and each starts when its first turn comes."""
    rates: dict[str, list[float]] = {name: [] for name in plans}
    running: dict[str, Way] = {}
    with ExitStack() as stack:
        for number in range(1, rounds + 1):
            for name, plan in plans.items():
                steps.next(f"round {number} of {rounds}: {name}")
                if name not in running:
                    running[name] = stack.enter_context(_started(job, plan))
                skip = plan.skip if number > 1 else plan.warm
                rates[name].append(running[name].turn(skip, window))
                if rounds == 1:
                    stack.close()
    return rates


def _started(job: Job, plan: Plan) -> AbstractContextManager[Way]:
    """The way, with a new destination of its own."""
    source = job.order.source
    assert isinstance(source, Folder)
    white = Folder(Path(tempfile.mkdtemp(prefix="white-", dir=source.path.parent)))
    run = partial(plan.run, replace(job, order=replace(job.order, destination=white)))
    return relay.started(run, white.path, verbose=job.verbose)


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
