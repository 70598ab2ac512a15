"""`glasseg bench pipeline`: how fast this machine whitens, stage by stage, in a plain loop and through Ray.

Steady state is measured alike on both sides, from the moment at which each photo was finished, as its manifest row
says. A run gets more photos than are timed: the clock starts when the first `skip` are finished (every worker is warm,
its read-ahead full) and stops `count` photos later, while the last `tail` still keep every worker busy. So neither
side pays for starting, nor for workers that idle at the end while another one finishes. What happens all the time is
in it: the start and end of a Ray task, every 32 photos. A plain loop needs no tasks, so each of its processes gets its
share at once. All ways take turns, and while one without Ray runs no Ray process is alive. Everything runs on CPUs.
`--versus` also measures the pipeline as one actor with all cores, and the two ways of `rivals`.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from glasseg import formats
from glasseg.catalog import pending, runs
from glasseg.catalog.row import Row
from glasseg.config import BenchConfig, WhitenConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.images import decoder, encoder
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage import listing
from glasseg.storage.folder import Folder
from jobs.bench import bareloop, rivals
from jobs.bench.table import ONE_ACTOR, PIPELINE, POOL, RECIPE, machine, summary
from jobs.engine import available_cpus, engine
from jobs.terminal import say
from jobs.whiten.order import PENDING, Order
from jobs.whiten.stream import BATCH_ROWS, stream

DISTINCT = 12
"""Drawn photos; the bench repeats them under other names."""
SIZE = (1200, 1600)
DRAWN_QUALITY = 92
STAGE_PHOTOS = 48
RIVALS_READ = frozenset({".jpg", ".jpeg", ".png"})
"""Photos that all ways of `--versus` can read and write."""
NETWORK_ROWS = 8


@dataclass(frozen=True)
class Window:
    """Photos of a run in the order in which they finish: `skip` warm it up, `count` are timed, `tail` keep it busy."""

    skip: int
    count: int
    tail: int

    @property
    def total(self) -> int:
        """Photos that the run needs."""
        return self.skip + self.count + self.tail


@dataclass(frozen=True)
class Bench:
    """What all measurements of one bench share."""

    config: BenchConfig
    model: ModelFolder
    order: Order
    work: pa.Table
    """Of `PENDING`."""
    window: Window
    size: tuple[int, int]
    cores: int
    workers: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The work as rows of `PENDING`."""
        rows: list[dict[str, Any]] = self.work.to_pylist()
        return rows


def bench(photos: Path | None, config: BenchConfig) -> dict[str, Any]:
    """Measure this machine with the photos of a folder, or with drawn ones; what `--json` prints.

    Raises GlassegError when there is no model, no usable photo, or when a process dies.
    """
    stay_here(config.verbose)
    model = model_folder.load(config.model)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="glasseg-bench-") as temporary:
        one = _prepare(photos, config, model, Path(temporary))
        say("first photo: a run of `glasseg whiten`")
        startup, whole = _first_photo(one)
        say("stages, one core")
        with _emptied(one.order):
            stages = bareloop.stage_rates(
                replace(one.order, cpus=1), model, one.rows[:STAGE_PHOTOS], verbose=config.verbose
            )
        rates = _rounds(one)
    return {
        **summary(rates, config.price_per_hour),
        "startup_s": round(startup, 2),
        "command_s": round(whole, 2),
        "stages": {name: round(rate, 2) for name, rate in stages.items()},
        "all_stages_one_core": round(1 / sum(1 / rate for rate in stages.values()), 2),
        "photos": config.photos,
        "rounds": config.rounds,
        "size": list(one.size),
        "model_id": model.spec.model_id,
        "workers": one.workers,
        "cpus_per_worker": config.cpus_per_worker,
        "machine": {**machine(), "load_before": round(load, 2)},
    }


def stay_here(verbose: bool) -> None:
    """This machine and its CPUs only, for this process and all that it starts."""
    os.environ.pop("RAY_ADDRESS", None)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# --- photos ---


def plan_window(photos: int, processes: int) -> Window:
    """A window of `photos` that is fair for up to `processes` workers.

    Every worker does about one Ray batch before it opens. Ray may have handed two batches to each worker when the
    last one is out, so that many photos are left when it closes, and nobody is idle yet.
    """
    rows = min(BATCH_ROWS, math.ceil(photos / processes / NETWORK_ROWS) * NETWORK_ROWS)
    return Window(skip=processes * rows, count=photos, tail=max(1, 2 * (processes - 1)) * rows)


def _prepare(photos: Path | None, config: BenchConfig, model: ModelFolder, temporary: Path) -> Bench:
    """Draw or check the photos and link them under as many names as a run needs."""
    cores = available_cpus()
    workers = config.workers or max(1, cores // config.cpus_per_worker)
    window = plan_window(config.photos, max(cores, workers))
    if config.photos < 2 * BATCH_ROWS * max(cores, workers):
        say(f"note: --photos {2 * BATCH_ROWS * max(cores, workers)} or more gives steadier numbers on this machine")
    if photos is None:
        say(f"drawing {DISTINCT} photos")
        photos = _draw(temporary / "drawn")
    originals, size = _usable(photos, window.total, RIVALS_READ if config.versus else None)
    linked = temporary / "photos"
    linked.mkdir()
    for number, original in enumerate(islice(cycle(originals), window.total)):
        (linked / f"{number:05d}{original.suffix}").symlink_to(original)
    source = Folder(linked.resolve())
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
    return Bench(config, model, order, _new(found), window, size, cores, workers)


def _new(photos: pa.Table) -> pa.Table:
    """Photos as a table of `PENDING`: all are new."""
    columns = {"key": photos["key"], "output": photos["output"], "etag": photos["etag"]}
    columns["reason"] = pa.repeat("new", len(photos))
    rest = {field.name: pa.nulls(len(photos), field.type) for field in PENDING if field.name not in columns}
    return pa.table(columns | rest).select(PENDING.names).cast(PENDING)


def _draw(folder: Path) -> Path:
    import numpy as np

    from glasseg.drawing.photo import draw_photo

    folder.mkdir()
    for number in range(DISTINCT):
        drawn = draw_photo(np.random.default_rng(number), SIZE)
        (folder / f"{number:02d}.jpg").write_bytes(encoder.encode(drawn.image, "jpeg", DRAWN_QUALITY))
    return folder


def _usable(folder: Path, most: int, suffixes: Set[str] | None = None) -> tuple[list[Path], tuple[int, int]]:
    """Up to `most` photos of a folder that can be decoded, and the (height, width) of the one of middle size.

    `suffixes`: only photos with one of these; None for all.
    """
    root, limit = Folder(folder.resolve()), WhitenConfig.max_pixels
    good: list[Path] = []
    sizes, bad = [], 0
    for entry in root.list():
        wanted = suffixes is None or Path(entry.key).suffix.lower() in suffixes
        if len(good) < most and wanted and formats.is_photo(entry.key):
            try:
                sizes.append(decoder.decode_on_white(root.read(entry.key)[0], max_pixels=limit).shape[:2])
                good.append(root.path / entry.key)
            except PhotoError:
                bad += 1
    if not good:
        raise GlassegError(f"no photos in {folder} that can be decoded")
    if bad:
        say(f"{bad} photos of {folder} can't be decoded and are left out")
    height, width = sorted(sizes, key=math.prod)[len(sizes) // 2]
    return good, (int(height), int(width))


# --- measurements ---


def _first_photo(one: Bench) -> tuple[float, float]:
    """Seconds until a real `glasseg whiten` has written its first photo, and until `--photos` of them are done."""
    config, white = one.config, one.order.destination
    assert isinstance(white, Folder)
    command = [sys.executable, "-P", "-m", "jobs.cli", "whiten", one.order.source.uri, white.uri, "--max-flagged=1"]
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
    """Photos/s of each way in every round: they take turns."""
    rates: dict[str, list[float]] = {}
    for number in range(1, one.config.rounds + 1):
        for name, way in _ways(one).items():
            say(f"round {number} of {one.config.rounds}: {name}")
            with _emptied(one.order):
                rows = way()
            rates.setdefault(name, []).append(_steady_rate(rows, one.window))
    return rates


def _ways(one: Bench) -> dict[str, Callable[[], Sequence[Any]]]:
    """What is measured, by name; each gives the rows of all photos."""
    per_worker = one.config.cpus_per_worker
    ways: dict[str, Callable[[], Sequence[Any]]] = {
        **{_loop_name(n, one.cores // n): partial(_bare_loop, one, n) for n in sorted({1, one.cores})},
        PIPELINE: partial(_through_ray, one, one.workers, per_worker),
    }
    if one.config.versus:
        keys = one.work["key"].to_pylist()
        ways |= {
            ONE_ACTOR: partial(_through_ray, one, 1, one.cores),
            RECIPE: partial(_by_recipe, one),
            POOL: partial(rivals.pool, one.order, one.model, keys, one.cores),
        }
    return ways


def _loop_name(processes: int, threads: int) -> str:
    return f"{processes} process{'es' * (processes > 1)} × {threads} core{'s' * (threads > 1)}"


def _bare_loop(one: Bench, processes: int) -> list[dict[str, Any]]:
    order = replace(one.order, cpus=one.cores // processes)
    return bareloop.whiten(order, one.model, one.rows, processes, verbose=one.config.verbose)


def _through_ray(one: Bench, workers: int, cpus: int) -> list[Row]:
    """Manifest rows of the work, as `glasseg whiten` makes them; Ray starts before and ends after."""
    with engine("local", cpus=max(one.cores, workers * cpus), verbose=one.config.verbose):
        batches = stream(replace(one.order, cpus=cpus), one.model, one.work, (workers, workers))
        return [row for rows in batches for row in rows]


def _by_recipe(one: Bench) -> list[dict[str, Any]]:
    with engine("local", cpus=one.cores, verbose=one.config.verbose):
        return rivals.recipe(one.order, one.model, one.cores)


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


def _steady_rate(rows: Sequence[dict[str, Any]], window: Window) -> float:
    """Photos/s inside the window. Raises GlassegError when photos failed or are missing."""
    for row in rows:
        if row.get("fatal") or row["status"] == "failed":
            raise GlassegError(f"the bench stopped: {row.get('fatal') or row['error']}")
    if len(rows) != window.total:
        raise GlassegError(f"the bench stopped: {window.total - len(rows)} photos were lost with a worker that died")
    return steady([row["finished_at"].timestamp() for row in rows], window)


def steady(finished: Sequence[float], window: Window) -> float:
    """Photos/s between the moments at which photos `skip` and `skip + count` were finished (seconds, in any order)."""
    times = sorted(finished)
    return window.count / (times[window.skip + window.count - 1] - times[window.skip - 1])
