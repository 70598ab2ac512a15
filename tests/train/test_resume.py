"""What an unfinished run leaves in OUT, and what becomes of it: no Ray."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from glasseg.config import TrainConfig
from glasseg.errors import GlassegError
from glasseg.storage.roots import Folder
from jobs.train import resume

ABOUT: dict[str, Any] = {"data": {"fingerprint": "aa"}, "started_from": None, "recipe": {"batch": 4}}


def undeletable(path: Path, *_: Any, **__: Any) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_nothing_of_a_finished_run_is_left(tmp_path: Path) -> None:
    resume.begin_or_resume(Folder(tmp_path), ABOUT, overwrite=False)
    (tmp_path / "_training/ray").mkdir()
    resume.clear_finished(Folder(tmp_path))
    assert not list(tmp_path.iterdir())
    resume.clear_finished(Folder(tmp_path))  # nothing to delete is fine


def test_what_a_finished_run_can_not_delete_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resume.begin_or_resume(Folder(tmp_path), ABOUT, overwrite=False)
    monkeypatch.setattr(shutil, "rmtree", undeletable)
    resume.clear_finished(Folder(tmp_path))
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"warning: can't delete {tmp_path}/_training" in told
    assert "Permission denied" in told and "the model is complete" in told
    assert not (tmp_path / "_training/run.json").exists()  # else it would count as unfinished


def test_the_mark_of_a_run_that_can_not_be_deleted_is_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "_training/run.json").mkdir(parents=True)  # a folder can't be unlinked
    resume.clear_finished(Folder(tmp_path))
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "warning: can't delete" in told and "run.json" in told


def test_a_run_does_not_begin_over_what_it_can_not_delete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train would resume from the checkpoints that are left."""
    (tmp_path / "_training/ray").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", undeletable)
    with pytest.raises(GlassegError, match=r"can't delete .*_training.*Permission denied"):
        resume.begin_or_resume(Folder(tmp_path), ABOUT, overwrite=True)


def test_what_nfs_keeps_of_an_earlier_run_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delete = os.unlink
    for name in ("_training/ray/.nfs0001", "_training/ray/a", "_training/ray/z"):
        Folder(tmp_path).write(name, b"-")

    def busy(path: Any, **options: Any) -> None:
        if ".nfs" in str(path):
            raise OSError(errno.EBUSY, "Device or resource busy")
        delete(path, **options)

    monkeypatch.setattr(os, "unlink", busy)
    resume.begin_or_resume(Folder(tmp_path), ABOUT, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".nfs0001", "run.json"]


def test_a_model_that_can_not_be_replaced_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.json").mkdir()
    with pytest.raises(GlassegError, match=r"can't replace the model in .*model\.json"):
        resume.begin_or_resume(Folder(tmp_path), ABOUT, overwrite=True)


def test_a_recipe_of_another_glasseg_is_one_line() -> None:
    with pytest.raises(GlassegError, match=r"optimizer 'sgd' is not one of adamw, adam; .*--overwrite"):
        resume.resumed(TrainConfig(), {"optimizer": "sgd"}, {"epochs"})
