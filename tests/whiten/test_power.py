"""A power cut at any moment loses no row, no picture that a row promises, and nothing that one more run can't redo."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import inprocess
import pytest
from drawnphotos import drawn
from powercut import Disk, Moment, started_again

from glasseg.catalog import claims, compaction, lock, manifest, state
from glasseg.catalog.compaction import INTENT
from glasseg.config import WhitenConfig
from glasseg.images import decoder
from glasseg.storage.roots import Folder
from jobs.whiten import run as job

pytestmark = pytest.mark.usefixtures("tensorflow")

SIZE = (48, 64)
OPTIONS: dict[str, Any] = {"mask": True, "gates": False, "report": False, "max_flagged": 1.0}
Row = tuple[str, str, int]
OUTPUTS = {"web": {"format": "webp"}, "master": {"format": "png", "background": "transparent"}}


def whiten(source: Path, destination: Path, several: bool) -> int:
    config = WhitenConfig(**OPTIONS, gone="delete", yes=True, review_below=0.0)
    outputs = {name: replace(config, **options) for name, options in OUTPUTS.items()} if several else None
    return job.whiten(str(source), str(destination), config, outputs=outputs, executor=inprocess.in_process)


class Night:
    """One night in the life of a catalog: photos that are new, changed and gone, and parts to be merged."""

    def __init__(self, folder: Path, *, several: bool = False) -> None:
        self.source, self.destination = folder / "in", folder / "out"
        self.several, self.names = several, [*OUTPUTS] if several else [""]
        for number, name in enumerate(("a.jpg", "b.jpg", "old.jpg", "sub/c.jpg")):
            Folder(self.source).write(name, drawn(number, SIZE))
        whiten(self.source, self.destination, several)
        self.before = self.known(self.destination)
        (self.source / "old.jpg").unlink()
        for number, name in enumerate(("a.jpg", "new/d.jpg")):
            Folder(self.source).write(name, drawn(10 + number, SIZE))
        disk = Disk(self.destination)
        with disk.watched():
            whiten(self.source, self.destination, several)
        self.moments, self.after = disk.moments, self.pictures(self.destination)

    def known(self, destination: Path) -> set[Row]:
        found = {name: manifest.read(Folder(destination / name)).to_pylist() for name in self.names}
        return {(name, row["key"], row["run_seq"]) for name, rows in found.items() for row in rows}

    def pictures(self, destination: Path) -> dict[tuple[str, str], bytes]:
        """Pictures and masks."""
        return {(name, key): data for name in self.names for key, data in pictures(destination / name).items()}

    def check_promises(self, destination: Path) -> set[Row]:
        """The picture of every row is there and whole; the rows."""
        for name in self.names:
            for place in state.read(Folder(destination / name)).places.to_pylist():
                if (self.source / place["key"]).exists():
                    decoder.decode((destination / name / place["output_key"]).read_bytes(), max_pixels=10**6)
        return self.known(destination)


def pictures(destination: Path) -> dict[str, bytes]:
    root = Folder(destination)
    found = [one.key for one in root.list() if not one.key.startswith("_glasseg/")]
    return {key: root.read(key)[0] for key in (*found, *(one.key for one in root.list(manifest.MASKS)))}


def check_cut(night: Night, moment: Moment, destination: Path, chance: random.Random | bool) -> None:
    moment.left(destination, chance)
    for name in night.names:
        started_again(destination / name)
    found = night.check_promises(destination)
    assert found >= night.before, "a row of an earlier night is lost"
    assert whiten(night.source, destination, night.several) == 0
    assert night.pictures(destination) == night.after
    assert night.known(destination) >= found, "a row is lost"
    for root in (Folder(destination / name) for name in night.names):
        assert not list(root.list(claims.CLAIMS)) and not root.exists(INTENT) and not root.exists(lock.LOCK)


@pytest.fixture(scope="module")
def night(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "MOST_SMALL", 1)
        yield Night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def night_of_two(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The same with two outputs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "MOST_SMALL", 1)
        yield Night(tmp_path_factory.mktemp("night"), several=True)


def check_cuts(night: Night, destination: Path, chances: Callable[[int], Iterable[random.Random | bool]]) -> None:
    for number, moment in enumerate(night.moments):
        for chance in chances(number):
            try:
                check_cut(night, moment, destination, chance)
            except BaseException as error:
                error.add_note(f"cut {number} of {len(night.moments)}, before {moment.what}, chance {chance}")
                raise
            shutil.rmtree(destination)


def test_a_power_cut_at_any_moment_of_a_night_loses_nothing(night: Night, tmp_path: Path) -> None:
    assert len(night.moments) > 30, "what a night does to a disk"
    check_cuts(night, tmp_path / "out", lambda number: [(False, True, random.Random(number))[number % 3]])


@pytest.mark.slow
def test_whatever_a_power_cut_leaves_of_what_was_not_synced_nothing_is_lost(night: Night, tmp_path: Path) -> None:
    check_cuts(night, tmp_path / "out", lambda number: [False, True, *map(random.Random, (number, -number))])


def some(number: int) -> list[random.Random | bool]:
    return [(False, True, random.Random(number))[number // 10 % 3]] if number % 10 == 3 else []


def test_a_power_cut_over_two_outputs_loses_nothing_of_either(night_of_two: Night, tmp_path: Path) -> None:
    assert len(night_of_two.moments) > 60, "what a night does to a disk"
    check_cuts(night_of_two, tmp_path / "out", some)


@pytest.mark.slow
def test_at_any_moment_a_power_cut_over_two_outputs_loses_nothing_of_either(
    night_of_two: Night, tmp_path: Path
) -> None:
    check_cuts(night_of_two, tmp_path / "out", lambda number: [(False, True, random.Random(number))[number % 3]])
