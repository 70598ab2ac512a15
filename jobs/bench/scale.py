"""`glasseg bench scale`: what many workers cost the driver, on a machine that does not have the cores for them.

Each measurement is a real run of `glasseg whiten` on a Ray of its own: plan, lock, claims, actors, rows, manifest,
record. Only the work in the actors is replaced: sleepers, several in each actor, take as long for a photo as they are
told to, and return rows of the usual size. Nothing is decoded, segmented or written by them. Costs are measured while
all actors work, between the moment at which the last of them has returned a batch and the last row.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow as pa

from glasseg.catalog.schema import Row
from glasseg.catalog.writer import Writer
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.model.folder import ModelFolder
from glasseg.storage.keys import printable
from jobs.bench import machine
from jobs.bench.pipeline import stay_here
from jobs.bench.process import process, receive
from jobs.terminal import columns, say
from jobs.whiten.executor import Executor, Workforce, on_ray
from jobs.whiten.order import ROWS, Order, Orders, Pending
from jobs.whiten.run import whiten
from jobs.whiten.stream import Rows

EAGER: Final = 4
"""Actors of the run whose sleepers do not sleep, and its photos below."""
MOST_ROWS: Final = 30_000
FAR: Final = 256
"""Workers for which the costs are computed from those that were measured."""
RAY: Final = {"raylet": "raylet/raylet", "head": "gcs_server"}
"""What the command line of each of Ray's own processes contains."""


@dataclass(frozen=True)
class Pace:
    """The sleepers of each actor, and the seconds that each of them takes for a photo."""

    sleepers: int
    seconds: float


@dataclass
class Watch:
    """What the driver sees of one run while it takes the rows."""

    actors: int
    photos: int
    began: float = 0.0
    """When the run asked for its workers; seconds since the epoch, as all times."""
    rows: int = 0
    first: dict[str, float] = field(default_factory=dict)
    """When each actor had finished its first photo."""
    last: dict[str, float] = field(default_factory=dict)
    steady: dict[str, float] = field(default_factory=dict)
    """The `look` at the moment from which all actors worked; empty when they never did."""
    end: dict[str, float] = field(default_factory=dict)
    """The `look` at the last rows."""

    def taken(self, rows: Iterator[Rows]) -> Iterator[Rows]:
        """The same rows, watched."""
        for some in rows:
            self.rows += len(some)
            for row in some:
                actor, finished = str(row["quality_id"]), row["finished_at"].timestamp()
                self.first.setdefault(actor, finished)
                self.last[actor] = max(finished, self.last.get(actor, 0.0))
            if not self.steady and len(self.first) == self.actors:
                self.steady = self.look()
            if self.rows == self.photos:
                self.end = self.look()
            yield some

    def look(self) -> dict[str, float]:
        """Rows so far, the time, and what the driver and Ray's processes have used: CPU-seconds, bytes of its own."""
        driver = psutil.Process()
        found = {"rows": self.rows, "time": time.time(), "driver": time.process_time()}
        found["bytes"] = driver.memory_full_info().uss
        for child in driver.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has ended in the meantime
                command = " ".join(child.cmdline())
                for name in (name for name, words in RAY.items() if words in command):
                    found[name] = sum(child.cpu_times()[:2])
        return found


def scale(actors: Sequence[int], pace: Pace, seconds: float, *, verbose: bool = False) -> dict[str, Any]:
    """Runs with each number of `actors`, long enough for `seconds` of all of them, and one with actors that do not
    sleep; what `--json` prints.

    Raises GlassegError for a run so short that its actors never all worked.
    """
    stay_here(verbose)
    load = os.getloadavg()[0]
    runs = []
    for number in actors:
        photos = max(1, round(number * pace.sleepers / pace.seconds * seconds))
        runs.append(_apart(number, pace, photos, verbose))
    runs.append(_apart(EAGER, Pace(pace.sleepers, 0.0), MOST_ROWS, verbose))
    return {
        "sleepers": pace.sleepers,
        "photo_s": pace.seconds,
        "runs": runs,
        "computed": computed(runs, FAR, 1 / pace.seconds),
        "machine": {**machine.facts(), "load_before": round(load, 2)},
    }


def _apart(actors: int, pace: Pace, photos: int, verbose: bool) -> dict[str, Any]:
    """One run in a process of its own, so that neither its memory nor its Ray is another's.

    Raises GlassegError when the run does, or when its process dies.
    """
    say(f"{actors} actor{'s' * (actors > 1)}, {photos:,} photos of {pace.seconds * 1000:.0f} ms")
    with (
        tempfile.TemporaryDirectory(
            prefix="glasseg-bench-"
        ) as temporary,  # ours: a process that is killed leaves its own
        process(verbose, _send, actors, pace, photos, temporary, verbose, niceness=0) as pipe,
    ):
        found = receive(pipe)
    if isinstance(found, GlassegError):
        raise found
    return dict(found)


def _send(pipe: Connection, *args: Any) -> None:
    try:
        pipe.send(measure(*args))
    except GlassegError as error:
        pipe.send(error)


def measure(actors: int, pace: Pace, photos: int, folder: str, verbose: bool) -> dict[str, Any]:
    """What one run of `photos` in an empty `folder` costs the driver.

    Raises GlassegError when the run does, or when its actors never all worked.
    """
    watch = Watch(actors, photos)
    config = WhitenConfig(
        workers=actors, cpus_per_worker=1, gpus_per_worker=0, memory_per_worker=0, report=False, verbose=verbose
    )
    source = Path(folder).resolve() / "photos"
    source.mkdir()
    for number in range(photos):
        (source / f"sku-{number:09d}.jpg").touch()
    with redirect_stdout(sys.stderr):  # the summary of a run is not the bench's result
        whiten(str(source), f"{folder}/white", config, executor=_watched(watch, pace))
    return figures(watch, time.time(), pace)


def _watched(watch: Watch, pace: Pace) -> Executor:
    """The executor of production, with sleepers for its workers and `watch` between it and the run."""

    @contextmanager
    def executor(
        orders: Orders, model: ModelFolder, work: pa.Table, writers: Sequence[Writer], workforce: Workforce
    ) -> Iterator[Iterator[Rows]]:
        watch.began = time.time()
        with on_ray(orders, model, work, writers, workforce, worker=sleeper(pace)) as rows:
            yield watch.taken(rows)

    return executor


def sleeper(pace: Pace) -> type:
    """A class that stands in for `Whitener`: Ray sends it to the actors by value, the pace in it."""

    class Sleeper:
        def __init__(self, orders: Orders, model: object, memory: int | None = None) -> None:
            self._order, self._pool = orders[0], ThreadPoolExecutor(pace.sleepers)

        def __call__(self, batch: pa.Table) -> pa.Table:
            return pa.Table.from_pylist(list(self._pool.map(self._sleep, batch.to_pylist())), schema=ROWS)

        def _sleep(self, pending: Pending) -> Row:
            time.sleep(pace.seconds)
            return self._order.row(pending, facts(self._order, pending))

    return Sleeper


def facts(order: Order, pending: Pending) -> Row:
    """The columns of a photo that went well, of the usual size.

    No column says which worker did a photo. `quality_id` names the actor here: sleepers have no quality to calibrate,
    nothing in a run reads it, and it is as long as a real one.
    """
    etag = f"{hash(pending['key']) & (1 << 128) - 1:032x}"
    return {
        **{"status": "ok", "published": True, "quality_id": f"{os.getpid():012x}"},
        **{"output_key": pending["output"], "output_uri": printable(order.destination.uri_of(pending["output"]))},
        **{"source_etag": etag, "source_bytes": 412_345, "width": 1600, "height": 1200},
        **{"mask_coverage": 0.1234567, "confidence": 0.9123456, "quality": 0.9345678},
        **{"bbox_x0": 123, "bbox_y0": 345, "bbox_x1": 1456, "bbox_y1": 876},
        **{"output_width": 1600, "output_height": 1200, "output_bytes": 234_567, "fill": 0.8123456},
        **{"background_exact": 1.0, "background_deviation": 0, "ring_exact": 0.9987654},
        **{"read_ms": 12.3, "segment_ms": 45.6, "write_ms": 78.9, "storage_retries": 0},
    }


# --- arithmetic ---


def figures(watch: Watch, ended: float, pace: Pace) -> dict[str, Any]:
    """What a run cost. `ended`: when the command was over."""
    if not watch.steady or not watch.end or watch.end["rows"] == watch.steady["rows"]:
        raise GlassegError(f"the {watch.actors} actors never all worked: give more --seconds")
    spent = {name: watch.end[name] - watch.steady[name] for name in watch.end}
    thousands, over = spent["rows"] / 1000, max(watch.last.values())
    return {
        "actors": watch.actors,
        "workers": watch.actors * pace.sleepers if pace.seconds else None,
        "rows": watch.rows,
        "rows_per_s": round(spent["rows"] / spent["time"], 1),
        "busy": round(spent["driver"] / spent["time"], 3),
        **{f"{name}_s": round(spent[name] / thousands, 3) for name in ("driver", *RAY)},
        "driver_kb": round(spent["bytes"] / thousands / 1000),
        "start_s": round(_mean(watch.first.values()) - pace.seconds - watch.began, 2),
        "idle_s": round(over - _mean(watch.last.values()), 2),
        "end_s": round(ended - over, 2),
    }


def computed(runs: Sequence[Mapping[str, float]], workers: int, photos_per_s: float) -> dict[str, float] | None:
    """The driver's cost with an actor for each of `workers`, computed from at least three runs; None from fewer.

    The cores that it keeps busy are taken to be a constant, plus for each row another one that grows with the actors
    in a straight line.
    """
    if len(runs) < 3:
        return None
    actors, rates, busy = (np.array([one[name] for one in runs], float) for name in ("actors", "rows_per_s", "busy"))
    terms = np.column_stack([np.ones_like(rates), rates, rates * actors])
    idle, row, actor = (float(factor) for factor in _fitted(terms, busy))
    cost, rate = row + actor * workers, workers * photos_per_s
    return {
        "actors": workers,
        "rows_per_s": round(rate, 1),
        "driver_s": round(1000 * (idle / rate + cost), 3),
        "busy": round(idle + cost * rate, 3),
        "most_rows_per_s": round((1 - idle) / cost, 1) if cost else float("inf"),
    }


def _fitted(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least squares: the factors of the columns of `terms`, none of them negative.

    The best of those is one of the ordinary fits to some of the columns, and there are few.
    """
    fits = []
    for used in map(np.array, product([True, False], repeat=terms.shape[1])):
        factors = np.zeros(terms.shape[1])
        factors[used] = np.linalg.lstsq(terms[:, used], values)[0]
        fits.append(factors)
    return min((fit for fit in fits if (fit >= 0).all()), key=lambda fit: float(np.linalg.norm(values - terms @ fit)))


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def text(result: Mapping[str, Any]) -> str:
    """The result for people."""
    heads = {"actors": ",.0f", "workers": "", "rows/s": ",.0f", "driver": ".2f", "raylet": ".2f", "head": ".2f"}
    heads |= {"kB": ",.0f", "cores": ".2f", "start": ".1f", "idle": ".1f", "end": ".1f"}
    names = ("rows_per_s", "driver_s", "raylet_s", "head_s", "driver_kb", "busy", "start_s", "idle_s", "end_s")
    rows = [[one["actors"], one["workers"] or "no sleep", *(one[name] for name in names)] for one in result["runs"]]
    far = result["computed"]
    return (
        f"{result['sleepers']} sleepers in an actor, {result['photo_s'] * 1000:.0f} ms a photo\n"
        f"{machine.lines(result['machine'])}\n\n{columns(heads, rows)}\n\n"
        "driver, raylet, head: CPU-seconds for 1,000 rows; kB: by which the driver grew for these; cores: that it kept "
        "busy\nstart: seconds until an actor had a photo; idle: that it waited for the last one; end: after that"
        + (f"\n\ncomputed for {far['actors']} actors: {_far(far)}" if far else "")
    )


def _far(far: Mapping[str, float]) -> str:
    return (
        f"{far['driver_s']:.2f} CPU-seconds for 1,000 rows, {far['busy']:.2f} cores busy at {far['rows_per_s']:,.0f} "
        f"rows/s; one core does {far['most_rows_per_s']:,.0f} rows/s"
    )
