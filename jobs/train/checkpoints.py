"""What a run keeps in OUT while it trains: checkpoints to resume from, the best model so far, the history."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from glasseg.errors import GlassegError, PhotoError
from glasseg.model import folder as model_folder
from glasseg.storage.credentials import without_secrets
from glasseg.storage.roots import open_root
from jobs.train import history
from jobs.train.course import Course, Progress

PAUSES: Final = (5.0, 15.0, 45.0)
"""Seconds that the chief worker waits after each failed attempt to write; one more attempt is the last."""

T = TypeVar("T")


def begin(learner: Any, course: Course) -> Progress:
    """Restore `learner` from the last checkpoint, else from the model to start from, if any; the progress so far."""
    import ray.train

    last = ray.train.get_checkpoint()
    if last is None:
        if course.start:
            learner.start_from(course.start.network())
        elif started_from := course.about["started_from"]:
            raise GlassegError(
                f"{course.out} holds a run without a checkpoint that started from {started_from}: "
                "name that model again by --start-from, or start again with --overwrite"
            )
        return Progress()
    with last.as_directory() as folder:
        with np.load(Path(folder) / "state.npz", allow_pickle=False) as state:
            learner.restore(dict(state))
        return Progress(**json.loads((Path(folder) / "progress.json").read_text()))


def report(learner: Any, progress: Progress, course: Course, *, better: bool, chief: bool) -> None:
    """Report the epoch to Ray Train; the chief worker adds a checkpoint, and keeps the model if it is the best.

    People are shown an epoch only when a kill can no longer undo it: Ray Train records a checkpoint up to two seconds
    after the report.
    """
    import ray

    row = progress.history[-1]
    if chief:
        if better:
            _keep(learner, progress, course)
        root, table = open_root(course.out, endpoint_url=course.endpoint_url), history.table(progress.history)
        _persistently(lambda: root.write(history.HISTORY, table), course)
    checkpoint(learner, progress, row, course, chief=chief)
    if chief:
        ray.get(
            course.board.say.remote(history.line(row, course.config))
        )  # after the last epoch Ray ends this process at once


def checkpoint(learner: Any, progress: Progress, row: dict[str, Any], course: Course, *, chief: bool) -> None:
    """Report a checkpoint to Ray Train and wait until it is kept; all workers must call this, the chief's is kept."""
    import ray.train

    def upload(local: Any, name: str) -> Any:
        storage = ray.train.get_context().get_storage()
        try:
            kept = _persistently(lambda: storage.persist_current_checkpoint(local, name), course)
            os.sync()  # then Ray deletes the last one, and a power cut must leave one of them
            return kept
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
    """Write the averaged network into the model folder."""
    row, config = progress.history[-1], course.config
    with tempfile.TemporaryDirectory() as folder:
        model_folder.save(
            Path(folder),
            learner.averaged,
            resize=config.resize,
            passes=config.passes,
            first_side=config.first_side,
            mirror=config.mirror,
            threshold=row["threshold"],
            ramp=row["ramp"],
            training={**course.about, "history": {"epochs": progress.epoch, "best_epoch": row["epoch"]}},
        )
        _persistently(lambda: model_folder.publish(Path(folder), course.out, endpoint_url=course.endpoint_url), course)


def _persistently(write: Callable[[], T], course: Course) -> T:
    """What `write` returns; while the storage fails, it is called again after each of `PAUSES`.

    An outage of a minute must not end a training of days. Raises what the last attempt raised.
    """
    for pause in PAUSES:
        try:
            return write()
        except (OSError, GlassegError, PhotoError) as error:
            course.board.say.remote(f"{_line_of(error)}: trying again in {pause:g} s")
        time.sleep(pause)
    return write()


def _line_of(error: Exception) -> str:
    return without_secrets(str(error))
