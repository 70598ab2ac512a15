"""A run that is killed at any moment costs little work and no photo: real runs, real `kill -9`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import inprocess
import numpy as np
import pytest
from raycluster import below, command_of

from glasseg.catalog import lock, manifest, records
from glasseg.catalog.claims import CLAIMS
from glasseg.config import WhitenConfig
from glasseg.drawing.photo import draw_photo
from glasseg.images.encoder import encode
from glasseg.storage.roots import TMP_PREFIX, Folder
from jobs.whiten import run as job

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600), pytest.mark.usefixtures("tensorflow")]

PHOTOS = 32
LATEST = 24
"""Pictures after which no kill is aimed: the last ones come in one go, and then there is nobody left to kill."""
VICTIMS = {"driver": "jobs.cli", "actor": "ray::", "raylet": "raylet/raylet"}
"""What the command line of each kind of process holds."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "in"
    folder.mkdir()
    drawn = [encode(draw_photo(np.random.default_rng(seed), (360, 480)).image, "jpeg", 90) for seed in range(8)]
    for n in range(PHOTOS):
        (folder / f"{n:03}.jpg").write_bytes(drawn[n % len(drawn)])
    (folder / "broken.jpg").write_bytes(drawn[0][:3000])
    return folder


@pytest.fixture(scope="module")
def undisturbed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The pictures of a run that nobody killed."""
    destination = tmp_path_factory.mktemp("undisturbed")
    inprocess.whiten(str(photos), str(destination), WhitenConfig(max_flagged=1.0, report=False))
    return pictures(destination)


def pictures(destination: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in destination.glob("*.jpg")}


def kill_one(run: subprocess.Popen[str], victim: str, destination: Path, when: int) -> list[int]:
    """Kill -9 a process of the run once `when` pictures are there; all that were below it then, [] if none was hit."""
    while len(list(destination.rglob("[0-9]*.jpg"))) < when:
        if run.poll() is not None:
            return []
        time.sleep(0.01)
    family = below(run.pid)  # those of a dead one would be init's
    of_run = [run.pid] if victim == "driver" else family
    found = [pid for pid in of_run if VICTIMS[victim] in command_of(pid)]
    if victim == "actor":
        found = [pid for pid in found if "MapWorker" in command_of(pid)]
    if found:
        os.kill(found[0], signal.SIGKILL)
    return family if found else []


def killed(command: list[str], victim: str, destination: Path, when: int) -> str:
    """Run a command, kill one of its processes as `kill_one` does, and wait until all have ended; what was said."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as run:
        family = kill_one(run, victim, destination, when)
        words = run.communicate(timeout=120)[1]
    assert family, words
    ended(family)
    return words


def ended(family: list[int]) -> None:
    """Wait until the workers of a killed run have ended."""
    deadline = time.monotonic() + 60
    while any("Whitener" in command_of(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any("Whitener" in command_of(pid) for pid in family), "workers of the killed run go on without it"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "seed"),
    [
        *(("driver", n) for n in range(8)),
        *(("actor", n) for n in range(6)),
        *(("raylet", n) for n in range(6)),
    ],
)
def test_after_a_kill_at_many_moments_one_more_run_makes_everything_right(
    victim: str, seed: int, photos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    destination = tmp_path / "out"
    when = random.Random(f"{victim}{seed}").randrange(LATEST)
    command = [sys.executable, "-m", "jobs.cli", "whiten", str(photos), str(destination), "--keep-seconds=0"]
    command += ["--max-flagged=1", "--no-report", "--workers=2"]
    words = killed(command, victim, destination, when)

    root = Folder(destination)
    first = manifest.read(root, ("key", "run_id")).to_pylist()
    assert inprocess.whiten(str(photos), str(destination), WhitenConfig(max_flagged=1.0, report=False)) == 0
    assert pictures(destination) == undisturbed
    rows = manifest.read(root).to_pylist()
    assert {row["key"] for row in rows} == {path.name for path in photos.iterdir()}
    assert max(Counter(row["key"] for row in rows).values()) == 1, f"a photo with a row was done again: {words}"
    assert len(rows) >= len(first)
    assert not records.keys(root, CLAIMS, "") and not list(root.list(TMP_PREFIX)) and not root.exists(lock.LOCK)


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "seed"), [("driver", 1), ("driver", 2), ("actor", 1), ("raylet", 1)])
def test_after_a_kill_over_two_outputs_one_more_run_makes_both_right(
    victim: str, seed: int, photos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    outputs, destination = tmp_path / "outputs.toml", tmp_path / "out"
    outputs.write_text("[plain]\n[grey]\nbackground = '#f5f5f5'\n", encoding="utf-8")
    when = random.Random(f"{victim}{seed}").randrange(2 * LATEST)
    command = [sys.executable, "-m", "jobs.cli", "whiten", str(photos), str(destination), "--keep-seconds=0"]
    command += ["--max-flagged=1", "--no-report", "--workers=2", f"--outputs={outputs}"]
    words = killed(command, victim, destination, when)

    config = WhitenConfig(max_flagged=1.0, report=False)
    both = {"plain": config, "grey": replace(config, background="#f5f5f5")}
    arguments = str(photos), str(destination), config
    assert job.whiten(*arguments, outputs=both, executor=inprocess.in_process) == 0
    assert pictures(destination / "plain") == undisturbed
    for name in both:
        root = Folder(destination / name)
        keys = [row["key"] for row in manifest.read(root).to_pylist()]
        assert sorted(keys) == sorted(path.name for path in photos.iterdir()), f"one row per photo: {words}"
        assert set(pictures(destination / name)) == set(undisturbed)
        assert not records.keys(root, CLAIMS, "") and not list(root.list(TMP_PREFIX)) and not root.exists(lock.LOCK)
