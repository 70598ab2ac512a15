"""The training loop of one Ray Train worker: epochs of steps, their validation, and when to keep a checkpoint."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from glasseg.config import INPUT_SIDE, TrainConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.labels.pairs import Kind, Split
from glasseg.training.epochs import Epochs
from glasseg.training.samples import Samples
from jobs.train import checkpoints
from jobs.train.course import Course, Progress
from jobs.train.history import Tally
from jobs.train.history import row as row_of

AGREE_EVERY: Final = 25
"""Training steps between two agreements of the workers on whether it is time for a checkpoint."""


def fit(settings: dict[str, Any]) -> None:
    """Run `settings["course"]` from the last checkpoint, if there is one, to its end.

    Raises GlassegError or PhotoError for what another attempt would not fix; the board records it, so that further
    attempts end at once.
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
    epochs = _epochs(course, workers)
    learner = Learner(config, workers=workers, steps=epochs.training_steps, threads=course.cpus, gpu=course.gpus > 0)
    progress = checkpoints.begin(learner, course)
    if progress.step and worker == 0:
        course.board.say.remote(f"resuming after epoch {progress.epoch}{_inside(progress, epochs)}")
    if progress.ended(config):
        return
    validation = [pair for pair in course.found.pairs if pair.split == Split.VALIDATION]
    with_background = np.array([pair.kind == Kind.SCENE for pair in validation])
    load = Load(course.found, config, epochs, worker, course.loader_cpus, course.endpoint_url)
    tally, kept = Tally(progress), time.monotonic()
    for step, (image, coverage, opening, weight, real) in stream(
        load, first=progress.step, last=config.epochs * epochs.steps
    ):
        progress.step = step.number + 1
        if not step.validation:
            tally.train(learner.train(image, coverage, opening, weight, real))
            if _is_time(learner, progress.step, kept, course.checkpoint_minutes * 60 * workers):
                progress.training, progress.seconds = tally.training.tolist(), tally.seconds
                checkpoints.checkpoint(learner, progress, {"epoch": progress.epoch}, course, chief=worker == 0)
                kept = time.monotonic()
            continue
        probability, totals = learner.predict(image, coverage, weight, real)
        tally.judge(probability, totals, coverage, weight, real, with_background=with_background[step.indices])
        if not step.last:
            continue
        row = {**row_of(progress.epoch + 1, tally, learner.total(tally.validation())), **_pace(learner, config)}
        better = progress.take(row, config)
        checkpoints.report(learner, progress, course, better=better, chief=worker == 0)
        if progress.ended(config):
            return
        tally, kept = Tally(progress), time.monotonic()


def _epochs(course: Course, workers: int) -> Epochs:
    samples, config = Samples(course.found, course.config), course.config
    return Epochs(
        samples=samples.training,
        validation=samples.validation,
        batch=config.batch,
        workers=workers,
        seed=config.seed,
        sides=config.sides,
        validation_side=INPUT_SIDE[config.preset],
    )


def _inside(progress: Progress, epochs: Epochs) -> str:
    """The step at which training resumes within an epoch, in words; "" at its beginning."""
    inside = progress.step - progress.epoch * epochs.steps
    return f", step {inside} of {epochs.training_steps}" if inside else ""


def _is_time(learner: Any, step: int, kept: float, seconds: float) -> bool:
    """Whether all workers should keep a checkpoint: since `kept`, by their own clocks, `seconds` have passed in all."""
    return step % AGREE_EVERY == 0 and float(learner.total(np.array([time.monotonic() - kept]))[0]) > seconds


def _pace(learner: Any, config: TrainConfig) -> dict[str, Any]:
    """The sides and the rate of an epoch, for its row: both may change when a run is resumed."""
    return {"sides": ",".join(map(str, config.sides)), "learning_rate": learner.rate}
