"""A run that ends while it renames pictures, at any moment and in any way, loses none and leaves none behind."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import inprocess
import pytest
from drawnphotos import drawn
from powercut import Disk, Moment, started_again

from glasseg.catalog import lock, manifest, state
from glasseg.config import WhitenConfig
from glasseg.storage.roots import Folder

pytestmark = pytest.mark.usefixtures("tensorflow")

OPTIONS: dict[str, Any] = {"mask": True, "gates": False, "report": False, "max_flagged": 1.0}
BEFORE = {"a.jpg": "1", "b.jpg": "2", "c.jpg": "3", "d.jpg": "4", "sub/e.jpg": "5"}
AFTER = {"a.jpg": "2", "b.jpg": "1", "c.jpg": "4", "d.jpg": "6", "sub/e.jpg": "7", "f.jpg": "5"}
"""Two change places, one takes the name of the next, one has changed as well, a new one takes a name that is free."""


def photo(name: str) -> bytes:
    """No two have pictures of the same size."""
    return drawn(1, (48 + 2 * sorted({*BEFORE, *AFTER, "again"}).index(name), 64))


def whiten(source: Path, destination: Path, names: dict[str, str]) -> int:
    listed = source.parent / "list.csv"
    listed.write_text("\n".join(("file,sku", *(f"{key},{sku}" for key, sku in names.items()))))
    config = WhitenConfig(**OPTIONS, photos=str(listed), name="{sku}/p.jpg")
    return inprocess.whiten(str(source), str(destination), config)


class Night:
    """A night in which names change, with all moments of its disk."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "in", folder / "out"
        for name in BEFORE:
            Folder(self.source).write(name, photo(name))
        whiten(self.source, self.destination, BEFORE)
        Folder(self.source).write("f.jpg", photo("f.jpg"))
        Folder(self.source).write("sub/e.jpg", photo("again"))
        disk = Disk(self.destination)
        with disk.watched():
            whiten(self.source, self.destination, AFTER)
        self.moments, self.after = disk.moments, pictures(self.destination)


def pictures(destination: Path) -> dict[str, bytes]:
    """Pictures and masks."""
    root = Folder(destination)
    found = [one.key for one in root.list() if not one.key.startswith("_glasseg/")]
    return {key: root.read(key)[0] for key in (*found, *(one.key for one in root.list(manifest.MASKS)))}


@pytest.fixture(scope="module")
def night(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    yield Night(tmp_path_factory.mktemp("night"))


def check_cut(night: Night, moment: Moment, destination: Path, chance: random.Random | bool) -> None:
    moment.left(destination, chance)
    started_again(destination)
    before = {(row["key"], row["run_seq"]) for row in manifest.read(Folder(destination)).to_pylist()}
    assert whiten(night.source, destination, AFTER) == 0
    assert pictures(destination) == night.after
    found = [(row["key"], row["run_seq"]) for row in manifest.read(Folder(destination)).to_pylist()]
    assert {*found} >= before and len({*found}) == len(found), "one row per photo and run"
    known = state.read(Folder(destination))
    places = dict(zip(known.places["key"].to_pylist(), known.places["output_key"].to_pylist(), strict=True))
    assert places == {key: f"{sku}/p.jpg" for key, sku in AFTER.items()}
    assert not (destination / lock.LOCK).exists()


def check_cuts(night: Night, destination: Path, cuts: Iterable[tuple[int, random.Random | bool]]) -> None:
    for number, chance in cuts:
        moment = night.moments[number]
        try:
            check_cut(night, moment, destination, chance)
        except BaseException as error:
            error.add_note(f"cut {number} of {len(night.moments)}, before {moment.what}, chance {chance}")
            raise
        shutil.rmtree(destination)


def test_a_renaming_that_is_cut_short_is_finished_by_the_next_run(night: Night, tmp_path: Path) -> None:
    assert len(night.moments) > 60, "what such a night does to a disk"
    numbers = range(0, len(night.moments), 15)
    check_cuts(night, tmp_path / "out", ((n, (True, False, random.Random(n))[n % 3]) for n in numbers))


@pytest.mark.slow
def test_whatever_is_left_of_a_renaming_the_next_run_finishes_it(night: Night, tmp_path: Path) -> None:
    chances = (True, False, random.Random(1), random.Random(2))
    check_cuts(night, tmp_path / "out", ((n, chance) for n in range(len(night.moments)) for chance in chances))
