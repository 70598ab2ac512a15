"""A storage that fails for a while must not end a training: what is written is attempted again, and not for ever."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from glasseg.config import TrainConfig
from glasseg.drawing.photo import draw_photo
from glasseg.errors import GlassegError, PhotoError
from glasseg.labels.pairs import Found
from glasseg.model import folder as model_folder
from glasseg.storage.roots import Folder
from jobs.train import checkpoints
from jobs.train.course import Course, Progress

ROW = {
    **{f"val_{name}": 0.5 for name in ("loss", "precision", "recall", "f1", "iou", "photo_iou", "boundary_f")},
    **{"val_share_95": 0.5, "epoch": 1, "loss": 0.5, "threshold": 0.5, "ramp": 0.5, "photos_per_second": 1.0},
    "best": True,
}


class Board:
    """Takes lines as Ray's actor does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.say = SimpleNamespace(remote=self.lines.append)


@dataclass
class Storage:
    """Ray Train's, of which the first `failing` uploads fail."""

    failing: int
    uploads: list[str] = field(default_factory=list)

    def persist_current_checkpoint(self, checkpoint: Any, name: str) -> Any:
        self.uploads.append(name)
        if len(self.uploads) <= self.failing:
            raise OSError("the connection broke off")
        return checkpoint


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    monkeypatch.setattr(checkpoints, "PAUSES", (0.0, 0.01, 0.0))
    nothing: dict[str, Any] = {"found": Found(), "start": None, "about": {}, "endpoint_url": None}
    numbers = {"workers": 1, "cpus": 1, "gpus": 0, "loader_cpus": 1, "checkpoint_minutes": 1.0}
    return Course(config=TrainConfig(), out=str(tmp_path), board=Board(), **nothing, **numbers)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Ray Train without a cluster: `report` uploads a checkpoint, and nothing else happens."""
    import ray
    import ray.train

    storage = Storage(0)

    def report(row: dict[str, Any], checkpoint: Any = None, checkpoint_upload_fn: Any = None) -> None:
        if checkpoint is not None:
            checkpoint_upload_fn(checkpoint, "checkpoint_1")

    monkeypatch.setattr(ray.train, "report", report)
    monkeypatch.setattr(ray.train, "get_context", lambda: SimpleNamespace(get_storage=lambda: storage))
    monkeypatch.setattr(ray.train, "get_all_reported_checkpoints", lambda **_: [])
    monkeypatch.setattr(ray, "get", lambda done: done)
    return storage


@pytest.fixture
def learner() -> Any:
    return SimpleNamespace(averaged=None, state=lambda: {"network-0000": np.zeros(3)})


def failing(times: int, error: Exception) -> Any:
    """A method whose first calls fail, and the list of all calls."""
    calls: list[Any] = []

    def write(*arguments: Any, **_: Any) -> None:
        calls.append(arguments)
        if len(calls) <= times:
            raise error

    write.calls = calls  # type: ignore[attr-defined]
    return write


AWAY = GlassegError("can't reach the S3 server of s3://b/m: check the endpoint and the network")


def report(learner: Any, course: Course, *, better: bool) -> None:
    checkpoints.report(learner, Progress(epoch=1, history=[ROW]), course, better=better, chief=True)


def test_a_model_that_can_not_be_written_at_first_is_written_in_the_end(
    learner: Any, course: Course, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = failing(3, AWAY)
    monkeypatch.setattr(model_folder, "save", lambda *_, **__: None)
    monkeypatch.setattr(model_folder, "publish", publish)
    report(learner, course, better=True)
    assert len(publish.calls) == 4
    assert [line.rpartition(": ")[2] for line in course.board.lines[:-1]] == [
        "trying again in 0 s",
        "trying again in 0.01 s",
        "trying again in 0 s",
    ]
    assert all(str(AWAY) in line for line in course.board.lines[:-1])
    assert course.board.lines[-1].startswith("epoch  1/60") and len(storage.uploads) == 1


def test_a_history_and_a_checkpoint_that_can_not_be_written_at_first_are_written_in_the_end(
    learner: Any, course: Course, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = failing(2, PhotoError("write_error", "history.parquet: Input/output error"))
    monkeypatch.setattr(Folder, "write", write)
    storage.failing = 3
    report(learner, course, better=False)
    assert [call[1] for call in write.calls] == ["history.parquet"] * 3 and len(storage.uploads) == 4
    assert sum("trying again" in line for line in course.board.lines) == 5


def test_a_history_that_can_never_be_written_ends_the_run_and_is_named(
    learner: Any, course: Course, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(course.out) / "history.parquet").mkdir()
    with pytest.raises(PhotoError, match=r"history\.parquet"):
        report(learner, course, better=False)
    assert not storage.uploads and sum("trying again" in line for line in course.board.lines) == 3


def test_a_checkpoint_that_can_never_be_written_ends_in_one_line(
    learner: Any, course: Course, storage: Storage
) -> None:
    storage.failing = 99
    with pytest.raises(GlassegError, match=rf"^can't write a checkpoint to {course.out}: the connection broke off$"):
        report(learner, course, better=False)
    assert len(storage.uploads) == 4


def test_a_model_that_can_never_be_written_ends_in_one_line(
    learner: Any, course: Course, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = failing(99, AWAY)
    monkeypatch.setattr(model_folder, "save", lambda *_, **__: None)
    monkeypatch.setattr(model_folder, "publish", publish)
    with pytest.raises(GlassegError, match="can't reach the S3 server"):
        report(learner, course, better=True)
    assert len(publish.calls) == 4 and not storage.uploads  # no checkpoint that claims a model which is not there


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_outlives_a_storage_that_fails_for_a_while(tmp_path: Path) -> None:
    """Where the history goes is a folder, until the run has complained."""
    data, out, log = tmp_path / "in", tmp_path / "out", tmp_path / "log"
    data.mkdir()
    for number in range(8):
        photo = draw_photo(np.random.default_rng(number), (160, 200))
        cv2.imwrite(str(data / f"{number}.jpg"), photo.image[..., ::-1])
        cv2.imwrite(str(data / f"{number}_mask.png"), np.where(photo.coverage > 0.5, 255, 0).astype(np.uint8))
    taken = out / "history.parquet"
    taken.mkdir(parents=True)
    options = ["--preset", "baseline", "--epochs", "1", "--batch", "4", "--validation-share", "0.3"]
    command = [sys.executable, "-m", "jobs.cli", "train", str(data), str(out), *options]
    with log.open("w") as file:
        run = subprocess.Popen(command, stderr=file)
        deadline = time.monotonic() + 240
        while "trying again" not in log.read_text():
            assert run.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        taken.rmdir()
        assert run.wait(timeout=240) == 0, log.read_text()
    assert log.read_text().count("epoch 1/1") == 1  # nothing was done twice
    assert pq.read_table(io.BytesIO(taken.read_bytes())).num_rows == 1
