"""The loop of one Ray Train worker: epochs of steps, validation, checkpoints, and the best model so far."""

from __future__ import annotations

import io
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glasseg.config import INPUT_SIDE, TrainConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.evaluation import metrics
from glasseg.labels.pairs import Found, Label
from glasseg.model import folder as model_folder
from glasseg.model import threshold
from glasseg.model.folder import ModelFolder
from glasseg.storage.roots import open_root
from glasseg.training.epochs import Epochs

HISTORY: Final = "history.parquet"
"""One row per epoch, in the model folder."""
ASKED: Final = 25
"""Training steps after which the workers agree whether it is time for a checkpoint."""
PAUSES: Final = (5.0, 15.0, 45.0)
"""Seconds that the chief worker waits after each failed attempt to write; one more attempt is the last."""


T = TypeVar("T")


@dataclass(frozen=True)
class Course:
    """What every training worker must know."""

    found: Found
    config: TrainConfig
    out: str
    about: dict[str, Any]
    """What is recorded in `model.json` besides the results."""
    start: ModelFolder | None
    samples: int
    validation: int
    cpus: int
    gpus: int
    loader_cpus: int
    checkpoint_minutes: float
    endpoint_url: str | None
    board: Any
    """Ray actor that shows lines to people."""


@dataclass
class Progress:
    """How far a run has come; travels with the checkpoint."""

    epoch: int = 0
    step: int = 0
    """Of the run, validation included; within an epoch, `training` and `seconds` are what it has added up so far."""
    training: list[float] = field(default_factory=lambda: [0.0] * 6)
    seconds: float = 0.0
    best: float | None = None
    waited: int = 0
    """Epochs since the best one."""
    history: list[dict[str, Any]] = field(default_factory=list)

    def take(self, row: dict[str, Any], config: TrainConfig) -> bool:
        """Add an epoch's row; whether it is the best so far. Raises GlassegError when it has no loss."""
        if not (math.isfinite(row["loss"]) and math.isfinite(row["val_loss"])):
            raise GlassegError(f"the loss is no number any more in epoch {row['epoch']}: lower --learning-rate")
        value = row["val_loss"] if config.monitor == "loss" else -row[f"val_{config.monitor}"]
        better = self.best is None or value < self.best
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        self.epoch += 1
        self.training, self.seconds = [0.0] * 6, 0.0
        self.history.append({**row, "best": better})
        return better

    def ended(self, config: TrainConfig) -> bool:
        """Whether the last epoch is done, or patience is at its end."""
        return self.epoch >= config.epochs or (config.patience > 0 and self.waited >= config.patience)


def fit(settings: dict[str, Any]) -> None:
    """Run `settings["course"]` from the last checkpoint, if there is one, to its end.

    Raises GlassegError for what another try would not heal; the board knows then, and later tries end at once.
    """
    import ray

    course: Course = settings["course"]
    if fatal := ray.get(course.board.fatal.remote()):
        raise GlassegError(fatal)
    try:
        _fit(course)
    except (GlassegError, PhotoError) as error:
        ray.get(course.board.end.remote(str(error)))
        raise


def _fit(course: Course) -> None:
    import ray.train

    from jobs.train.learner import Learner
    from jobs.train.loader import Load, stream

    context, config = ray.train.get_context(), course.config
    worker, workers = context.get_world_rank(), context.get_world_size()
    epochs = Epochs(
        samples=course.samples,
        validation=course.validation,
        batch=config.batch,
        workers=workers,
        seed=config.seed,
        sides=config.sides,
        validation_side=INPUT_SIDE[config.preset],
    )
    learner = Learner(config, workers=workers, steps=epochs.training_steps, threads=course.cpus, gpu=course.gpus > 0)
    progress = _begin(learner, course)
    if progress.step and worker == 0:
        course.board.say.remote(f"resuming after epoch {progress.epoch}{_inside(progress, epochs)}")
    if progress.ended(config):
        return
    with_background = np.array([pair.kind == "scene" for pair in course.found.pairs if pair.split == "validation"])
    load = Load(course.found, config, epochs, worker, course.loader_cpus, course.endpoint_url)
    tally, kept = _Tally(progress), time.monotonic()
    for step, (image, coverage, opening, weight, real) in stream(
        load, first=progress.step, last=config.epochs * epochs.steps
    ):
        progress.step = step.number + 1
        if not step.validation:
            tally.train(learner.train(image, coverage, opening, weight, real))
            if _is_time(learner, progress.step, kept, course.checkpoint_minutes * 60 * workers):
                progress.training, progress.seconds = tally.training.tolist(), tally.seconds
                _checkpoint(learner, progress, {"epoch": progress.epoch}, course, chief=worker == 0)
                kept = time.monotonic()
            continue
        probability, totals = learner.predict(image, coverage, weight, real)
        tally.judge(probability, totals, coverage, weight, real, with_background=with_background[step.indices])
        if not step.last:
            continue
        row = {**_row(progress.epoch + 1, tally, learner.total(tally.validation())), **_pace(learner, config)}
        better = progress.take(row, config)
        _report(learner, progress, course, better=better, chief=worker == 0)
        if progress.ended(config):
            return
        tally, kept = _Tally(progress), time.monotonic()


def _inside(progress: Progress, epochs: Epochs) -> str:
    """The step of a begun epoch that training goes on with, in words; "" at its beginning."""
    inside = progress.step - progress.epoch * epochs.steps
    return f", step {inside} of {epochs.training_steps}" if inside else ""


def _is_time(learner: Any, step: int, kept: float, seconds: float) -> bool:
    """Whether all workers should keep a checkpoint now: since `kept`, by each one's clock, `seconds` went by in all."""
    return step % ASKED == 0 and float(learner.total(np.array([time.monotonic() - kept]))[0]) > seconds


class _Tally:
    """What one epoch adds up, on one worker; its training part is everybody's already."""

    def __init__(self, progress: Progress) -> None:
        self.training = np.array(progress.training)
        self._began = time.monotonic() - progress.seconds
        self.trained = progress.seconds
        """Seconds after which the last training step was done."""
        self._totals, self._counts = np.zeros(6), np.zeros((2, len(metrics.COUNTS)))
        self._alpha = np.zeros(threshold.COUNTS)

    @property
    def seconds(self) -> float:
        """Since the epoch began, interruptions not counted."""
        return time.monotonic() - self._began

    def train(self, totals: np.ndarray) -> None:
        self.training += totals
        self.trained = self.seconds

    def judge(
        self,
        probability: np.ndarray,
        totals: np.ndarray,
        coverage: np.ndarray,
        weight: np.ndarray,
        real: np.ndarray,
        *,
        with_background: np.ndarray,
    ) -> None:
        """Add a batch, as `Learner.predict` takes and gives it; `with_background`: k bool, the photos as they were."""
        self._totals += totals
        parts = (probability, coverage, weight, with_background)
        for p, c, w, kind in zip(*(part[real] for part in parts), strict=True):
            self._counts[int(kind)] += metrics.count(p >= 128, Label(c >= 128, np.zeros(c.shape, bool), w == 0))
            self._alpha += threshold.tally(p, c, w)

    def validation(self) -> np.ndarray:
        return np.concatenate([self._totals, self._counts.ravel(), self._alpha])


def _row(epoch: int, tally: _Tally, validation: np.ndarray) -> dict[str, Any]:
    """One epoch's row of the history; pixels are found at a probability of one half.

    `val_photo_iou` is the mean of two means, over photos with a background of their own and over composites: what the
    model is for must not be outvoted by what there is more of.
    """
    loss, photos, both, found, truth, scored = (float(value) for value in tally.training)
    totals, counted, alpha = np.split(validation, [6, 6 + 2 * len(metrics.COUNTS)])
    counts = counted.reshape(2, -1)
    photo_iou = np.mean([metrics.set_score(kind).photo_iou for kind in counts if kind[0]])
    chosen, ramp = threshold.choose(alpha)
    judged = {f"val_{name}": float(value) for name, value in asdict(metrics.set_score(counts.sum(axis=0))).items()}
    return {
        "epoch": epoch,
        "loss": loss / photos,
        "accuracy": 1 - (found + truth - 2 * both) / max(scored, 1),
        "precision": both / found if found else 0.0,
        "recall": both / truth if truth else 0.0,
        "f1": 2 * both / (found + truth) if found + truth else 0.0,
        "iou": both / (found + truth - both) if found + truth else 0.0,
        "val_loss": float(totals[0] / totals[1]),
        **judged,
        "val_photo_iou": float(photo_iou),
        "threshold": chosen,
        "ramp": ramp,
        "photos": int(photos),
        "photos_per_second": photos / tally.trained,
        "seconds": tally.seconds,
    }


def _pace(learner: Any, config: TrainConfig) -> dict[str, Any]:
    """How large and how fast an epoch was trained, for its row: a run may go on otherwise."""
    return {"sides": ",".join(map(str, config.sides)), "learning_rate": learner.rate}


def _begin(learner: Any, course: Course) -> Progress:
    """From the last checkpoint, else from the model to start from, else from nothing."""
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        if course.start:
            learner.start_from(course.start.network())
        elif started_from := course.about["started_from"]:
            raise GlassegError(
                f"{course.out} holds a run without a checkpoint that started from {started_from}: "
                "name that model again by --start-from, or start again with --overwrite"
            )
        return Progress()
    with checkpoint.as_directory() as folder:
        with np.load(Path(folder) / "state.npz", allow_pickle=False) as state:
            learner.restore(dict(state))
        return Progress(**json.loads((Path(folder) / "progress.json").read_text()))


def _report(learner: Any, progress: Progress, course: Course, *, better: bool, chief: bool) -> None:
    """Hand the epoch to Ray Train; the chief worker adds the checkpoint, and keeps the model when it is the best.

    An epoch is told only when no kill can take it away any more: Ray Train takes note of a checkpoint up to two seconds
    after the report.
    """
    import ray

    row = progress.history[-1]
    if chief:
        if better:
            _keep(learner, progress, course)
        root, table = open_root(course.out, endpoint_url=course.endpoint_url), history_table(progress.history)
        _persistently(lambda: root.write(HISTORY, table), course)
    _checkpoint(learner, progress, row, course, chief=chief)
    if chief:
        ray.get(
            course.board.say.remote(_line(row, course.config))
        )  # after the last epoch Ray ends this process at once


def _checkpoint(learner: Any, progress: Progress, row: dict[str, Any], course: Course, *, chief: bool) -> None:
    """Hand Ray Train a checkpoint, and wait until it is kept; all workers must call it, the chief's is the one."""
    import ray.train

    def upload(checkpoint: Any, name: str) -> Any:
        storage = ray.train.get_context().get_storage()
        try:
            return _persistently(lambda: storage.persist_current_checkpoint(checkpoint, name), course)
        except OSError as error:  # what pyarrow's filesystems raise
            raise GlassegError(f"can't write a checkpoint to {course.out}: {_line_of(error)}") from error

    if not chief:
        ray.train.report(row)
        return
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "state.npz", **learner.state())
        (Path(folder) / "progress.json").write_text(json.dumps(asdict(progress)))
        ray.train.report(row, checkpoint=ray.train.Checkpoint.from_directory(folder), checkpoint_upload_fn=upload)
    ray.train.get_all_reported_checkpoints(consistency_mode=ray.train.CheckpointConsistencyMode.COMMITTED)


def _keep(learner: Any, progress: Progress, course: Course) -> None:
    """Write the averaged network as the model folder's."""
    row, config = progress.history[-1], course.config
    with tempfile.TemporaryDirectory() as folder:
        model_folder.save(
            Path(folder),
            learner.averaged,
            resize=config.resize,
            looks=config.looks,
            first_side=config.first_side,
            mirror=config.mirror,
            threshold=row["threshold"],
            ramp=row["ramp"],
            training={**course.about, "history": {"epochs": progress.epoch, "best_epoch": row["epoch"]}},
        )
        _persistently(lambda: model_folder.publish(Path(folder), course.out, endpoint_url=course.endpoint_url), course)


def _persistently(write: Callable[[], T], course: Course) -> T:
    """What `write` returns, attempted again after each of `PAUSES` while the storage fails; the last failure is raised.

    A storage that is away for a minute must not end a training of days.
    """
    for pause in PAUSES:
        try:
            return write()
        except (OSError, GlassegError, PhotoError) as error:
            course.board.say.remote(f"{_line_of(error)}: trying again in {pause:g} s")
        time.sleep(pause)
    return write()


def _line_of(error: Exception) -> str:
    return " ".join(str(error).split())


def history_table(history: list[dict[str, Any]]) -> bytes:
    """The history as a parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(history), sink)
    return sink.getvalue()


def _line(row: dict[str, Any], config: TrainConfig) -> str:
    """One epoch for people."""
    width = len(str(config.epochs))
    shown = ("precision", "recall", "f1", "iou", "photo_iou", "boundary_f", "share_95")
    scores = "  ".join(f"{name} {row[f'val_{name}']:.3f}" for name in shown)
    return (
        f"epoch {row['epoch']:>{width}}/{config.epochs}  loss {row['loss']:.4f}  validation: loss {row['val_loss']:.4f}"
        f"  {scores}{' *' if row['best'] else ''}  {row['photos_per_second']:.1f} photos/s"
    )
