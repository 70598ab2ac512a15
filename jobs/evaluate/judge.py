"""Masks judged against labels by Ray Data: rows of what to judge in, rows of scores out."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from glasseg.cutout import matte, picture, review
from glasseg.errors import GlassegError, PhotoError
from glasseg.evaluation import conditions, metrics
from glasseg.evaluation.metrics import PhotoScore
from glasseg.evaluation.summary import PLAIN, RIM_SCORES, summary
from glasseg.evaluation.testset import Composites, Setting
from glasseg.images import compositing, decoder, encoder
from glasseg.images.window import Window
from glasseg.labels import reading
from glasseg.labels.pairs import Found, Label, Problem
from glasseg.labels.reading import MAX_PIXELS
from glasseg.model import quality
from glasseg.model.folder import ModelFolder
from glasseg.model.segmentation import Segmentation
from glasseg.model.start import quick_start
from glasseg.report import contact_sheets
from glasseg.storage.roots import open_root
from jobs.engine import bounded_retries

if TYPE_CHECKING:
    import ray

BATCH_ROWS: Final = 16
THREADS_PER_CPU: Final = 3
LOST_BATCHES: Final = 3
"""How often a batch is tried again after losing its worker."""

SCORES: Final = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        *(pa.field(one.name, pa.float64()) for one in fields(PhotoScore)),
        *(pa.field(name, pa.float64()) for name in RIM_SCORES),
        *(pa.field(one.name, pa.float64()) for one in fields(conditions.Conditions)),
        *(pa.field(f"{name}_class", pa.string()) for name in conditions.CLASSES),
        pa.field("confidence", pa.float64()),
        pa.field("features", pa.list_(pa.float64())),
    ]
)
"""One row per judged photo; a score that a photo does not have is null. `confidence` and `features` (as in
`glasseg.model.quality`) are what inference itself knows about the mask; both are null if no glasses were found."""

_ROWS: Final = pa.schema(
    [
        *(column.with_nullable(True) for column in SCORES),
        pa.field("problem", pa.string()),
        pa.field("counts", pa.list_(pa.float64())),
        pa.field("histogram", pa.list_(pa.int64())),
        pa.field("panel", pa.binary()),
        pa.field("fatal", pa.string()),
    ]
)


@dataclass(frozen=True)
class Task:
    """What every judging worker must know; `settings`: of the composites, () without; `cpus`, `gpus`: per worker."""

    found: Found
    settings: tuple[Setting, ...]
    endpoint_url: str | None
    cpus: int
    gpus: float


@dataclass(frozen=True)
class Subject:
    """What is judged: `image` H×W×3 uint8 RGB, its label, and for a composite the same glasses on white."""

    name: str
    kind: str
    group: str
    image: np.ndarray
    label: Label
    original: np.ndarray | None = None


@dataclass
class Judged:
    """The result: rows of `SCORES` sorted by name, sums over all photos, and panels of some as (panel, caption)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(len(metrics.COUNTS)))
    histogram: np.ndarray = field(default_factory=lambda: np.zeros((2, metrics.LEVELS), np.int64))
    problems: list[Problem] = field(default_factory=list)
    worst: list[tuple[np.ndarray, str]] = field(default_factory=list)
    random: list[tuple[np.ndarray, str]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """How many photos were judged and skipped, and every figure of the set."""
        figures = summary(self.rows, self.counts, self.histogram)
        return {"photos": len(self.rows), "skipped": len(self.problems), **figures}


class Judge:
    """Holds the model. Called by Ray Data with a table of `number` and `composite`, returns one of `_ROWS`.

    Takes references to a `Task` and a `ModelFolder`: a node fetches both once, for all of its workers.
    """

    def __init__(self, task_ref: ray.ObjectRef, model_ref: ray.ObjectRef) -> None:
        import cv2
        import ray

        from glasseg.model.segmenter import Segmenter

        task, model = ray.get([task_ref, model_ref])
        cv2.setNumThreads(1)  # the pool below is the parallelism
        self._task, self._root = task, partial(open_root, endpoint_url=task.endpoint_url)
        with quick_start():
            self._segmenter = Segmenter(model, task.cpus, gpu=task.gpus > 0)
        self._pool = ThreadPoolExecutor(THREADS_PER_CPU * task.cpus)
        self._composites = Composites(task.found, task.endpoint_url, task.settings) if task.settings else None

    def __call__(self, batch: pa.Table) -> pa.Table:
        try:
            opened = list(self._pool.map(self._open, batch.to_pylist()))
        except GlassegError as error:  # passed on as a row: Ray would wrap the exception in its own
            return pa.Table.from_pylist([{"fatal": str(error)}], schema=_ROWS)
        good = [one for one in opened if not isinstance(one, Problem)]
        found = self._segmenter.segment([one.image for one in good])
        rows = list(self._pool.map(self._row, good, found))
        rows += [{"name": one.name, "problem": one.reason} for one in opened if isinstance(one, Problem)]
        return pa.Table.from_pylist(rows, schema=_ROWS)

    def _open(self, row: dict[str, Any]) -> Subject | Problem:
        """The subject of one row, or why it can't be judged."""
        pair = None if row["composite"] else self._task.found.pairs[row["number"]]
        name = pair.photo if pair else f"composite {row['number']}"
        try:
            if pair:
                files = reading.files(pair, self._root)
                return Subject(name, pair.kind, pair.group, *reading.labelled(*files))
            assert self._composites is not None
            made = self._composites.make(row["number"])
            return Subject(made.name, made.setting, made.group, made.image, made.label, made.original)
        except (PhotoError, ValueError) as error:
            return Problem(name, str(error))

    def _row(self, one: Subject, seen: Segmentation) -> dict[str, Any]:
        image, label, probability = one.image, one.label, seen.probability
        spec = self._segmenter.spec
        colours, alpha = picture.cut(image, probability, spec.threshold, spec.ramp)
        on_white = compositing.compose(colours, alpha)
        measured = conditions.conditions(image, label)
        scores = {**asdict(metrics.score(alpha, label)), **asdict(measured)}
        if one.original is not None:
            plain = compositing.compose(image, matte.to_alpha(probability, spec.threshold, spec.ramp))
            for way, cut_out in (("", on_white), (PLAIN, plain)):
                found = asdict(metrics.rim_score(cut_out, one.original, label.material))
                scores |= {name + way: value for name, value in found.items()}
        panel = contact_sheets.panel(image, label, alpha, on_white)
        levels = np.clip(np.rint(probability * 255), 0, 255).astype(np.uint8)
        return {
            "name": one.name,
            "kind": one.kind,
            "group": one.group,
            "height": image.shape[0],
            "width": image.shape[1],
            **{key: _null(value) for key, value in scores.items()},
            **{f"{key}_class": value for key, value in conditions.classes_of(measured).items()},
            **_known(alpha, probability, seen.agreement(probability, Window.whole(image.shape))),
            "counts": metrics.count(alpha >= 128, label).tolist(),
            "histogram": metrics.histogram(levels, label).ravel().tolist(),
            "panel": encoder.encode(panel, "jpeg", 85),
        }


def _known(alpha: np.ndarray, probability: np.ndarray, agreement: float | None) -> dict[str, Any]:
    """What inference itself knows about a mask, for the columns `confidence` and `features`."""
    mask = review.measure(alpha, probability)
    if mask.no_glasses:
        return {"confidence": None, "features": None}
    features = quality.features(alpha, probability, agreement)
    return {"confidence": mask.confidence, "features": features.tolist()}


def _null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def judge(
    model: ModelFolder,
    task: Task,
    *,
    pairs: Sequence[int] = (),
    composites: int = 0,
    workers: int,
    shown: int = 24,
    max_bad: float = math.inf,
    progress: Any = None,
) -> Judged:
    """Judge `model` on the pairs of `task.found` with these numbers and on this many composites; Ray is connected.

    `shown` panels are kept of the worst photos by strict IoU, and as many of a random choice. Ends early with more than
    `max_bad` problems. Raises GlassegError when a worker reports that the run has to stop.
    """
    todo = [(number, False) for number in pairs] + [(number, True) for number in range(composites)]
    judged, worst, some = Judged(problems=list(task.found.problems)), _Shown(shown), _Shown(shown)
    counts: dict[str, list[float]] = {}
    for row in _stream(model, task, todo, min(workers, math.ceil(len(todo) / BATCH_ROWS))):
        if row["fatal"]:
            raise GlassegError(row["fatal"])
        if progress is not None:
            progress.update(1)
        if row["problem"]:
            judged.problems.append(Problem(row["name"], row["problem"]))
            if len(judged.problems) > max_bad:
                break
            continue
        counts[row["name"]] = row["counts"]
        judged.histogram += np.array(row["histogram"]).reshape(2, -1)
        panel = (row["panel"], f"{row['name']}   strict IoU {row['strict_iou']:.3f}")
        worst.offer(-row["strict_iou"], row["name"], panel)
        some.offer(_chance(row["name"]), row["name"], panel)
        judged.rows.append({name: row[name] for name in SCORES.names})
    judged.rows.sort(key=lambda row: str(row["name"]))
    for row in judged.rows:  # always in the same order, since a float sum depends on it
        judged.counts += counts[row["name"]]
    judged.problems.sort(key=lambda problem: problem.name)
    judged.worst, judged.random = worst.panels(), some.panels()
    return judged


class _Shown:
    """The panels with the highest rank of all that were offered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[float, str, tuple[bytes, str]]] = []

    def offer(self, rank: float, name: str, panel: tuple[bytes, str]) -> None:
        (heapq.heappushpop if len(self._heap) >= self._limit else heapq.heappush)(self._heap, (rank, name, panel))

    def panels(self) -> list[tuple[np.ndarray, str]]:
        ranked = sorted(self._heap, reverse=True)
        return [(decoder.decode_on_white(data, max_pixels=MAX_PIXELS), caption) for *_, (data, caption) in ranked]


def _chance(name: str) -> float:
    """A fixed number for each name, uniform in [0, 1)."""
    import hashlib

    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:6], "big") / 2**48


def _stream(model: ModelFolder, task: Task, todo: Sequence[tuple[int, bool]], workers: int) -> Iterator[dict[str, Any]]:
    """Rows of `_ROWS`, each as soon as it is done."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    if not todo:
        return
    DataContext.get_current().enable_progress_bars = False
    table = pa.table({"number": [number for number, _ in todo], "composite": [composite for _, composite in todo]})
    tables = [table.slice(i, BATCH_ROWS) for i in range(0, len(table), BATCH_ROWS)]
    with bounded_retries():
        rows = ray.data.from_blocks(tables).map_batches(
            Judge,
            fn_constructor_args=(ray.put(task), ray.put(model)),
            batch_format="pyarrow",
            batch_size=BATCH_ROWS,
            compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=task.cpus,
            num_gpus=task.gpus,
            ray_remote_args_fn=lambda: {"max_restarts": LOST_BATCHES, "max_task_retries": LOST_BATCHES},
        )
    try:
        for batch in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from batch.to_pylist()
    except ray.exceptions.RayActorError as error:
        if "creation task" in str(error):  # the model could not be set up: a bug, and its traceback is in the error
            raise
        raise GlassegError("the workers keep dying, out of memory perhaps: see why with --verbose") from error
