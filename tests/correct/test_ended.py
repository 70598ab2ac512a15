"""`glasseg correct` that is ended anywhere promises nothing that is not there, and the same command makes it right."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import inprocess
import pytest
from drawnphotos import drawn
from painted import erased, export
from powercut import Disk, started_again

from glasseg.catalog import claims, lock, manifest, reviewed
from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.images import decoder
from glasseg.labels.masks import read_label
from glasseg.storage.roots import TMP_PREFIX, Folder
from jobs.correct import run as job

pytestmark = pytest.mark.usefixtures("tensorflow")

KEYS = ("a.jpg", "sub/b.jpg")


def whiten(source: Path, destination: Path) -> int:
    config = WhitenConfig(report=False, max_flagged=1.0, gates=False)
    return inprocess.whiten(str(source), str(destination), config)


def correct(destination: Path, given: str) -> int:
    return job.correct(str(destination), given, CorrectConfig(), executor=inprocess.in_process)


def pictures(destination: Path) -> dict[str, bytes]:
    return {key: (destination / key).read_bytes() for key in KEYS}


def check_promises(destination: Path) -> None:
    """Every row of a corrected photo has its picture, its map and its label."""
    root = Folder(destination)
    for row in manifest.read(root).to_pylist():
        decoder.decode(root.read(row["output_key"])[0], max_pixels=10**6)
        if row["reviewed"]:
            for key_of in (reviewed.map_key, reviewed.label_key):
                read_label(root.read(key_of(row["key"], row["reviewed_run"]))[0])


@pytest.fixture(scope="module")
def places(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A source, a destination made from it, and a zip of corrections."""
    folder = tmp_path_factory.mktemp("ended")
    source, destination = folder / "in", folder / "out"
    for number, key in enumerate(KEYS):
        Folder(source).write(key, drawn(number, (96, 128)))
    whiten(source, destination)
    return source, destination, export(folder, Folder(destination), dict.fromkeys(KEYS, erased))


def test_a_power_cut_at_any_moment_loses_no_promise(places: tuple[Path, Path, str], tmp_path: Path) -> None:
    source, before, given = places
    destination = Path(shutil.copytree(before, tmp_path / "out"))
    disk = Disk(destination)
    with disk.watched():
        correct(destination, given)
    after = pictures(destination)
    assert len(disk.moments) > 20 and after != pictures(before)
    for number, moment in enumerate(disk.moments):
        shutil.rmtree(destination)
        moment.left(destination, [False, True, random.Random(number)][number % 3])
        started_again(destination)
        check_promises(destination)
        if number % 2:
            assert correct(destination, given) == 0
            assert pictures(destination) == after, f"cut {number}, before {moment.what}"
        assert whiten(source, destination) == 0
        check_promises(destination)
        root = Folder(destination)
        assert not list(root.list(claims.CLAIMS)) and not root.exists(lock.LOCK) and not list(root.list(TMP_PREFIX))


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0])
def test_after_a_kill_the_same_command_makes_everything_right(
    places: tuple[Path, Path, str], seconds: float, tmp_path: Path
) -> None:
    _, before, given = places
    destination = Path(shutil.copytree(before, tmp_path / "out"))
    command = [sys.executable, "-m", "jobs.cli", "correct", str(destination), given, "--workers=1"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, env=environment) as run:
        while run.poll() is None and not list(Folder(destination).list(claims.CLAIMS)):
            time.sleep(0.01)
        time.sleep(seconds)
        os.kill(run.pid, signal.SIGKILL)
    check_promises(destination)
    again = subprocess.run(command, env=environment, timeout=300, check=False)
    assert again.returncode == 0
    check_promises(destination)
    expected = Path(shutil.copytree(before, tmp_path / "expected"))
    correct(expected, given)
    assert pictures(destination) == pictures(expected)
