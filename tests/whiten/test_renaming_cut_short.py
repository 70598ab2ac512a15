"""A run that ends while it renames pictures, at any moment and in any way, loses none and leaves none behind."""

from __future__ import annotations

import itertools
import random
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import inprocess
import pytest
from drawnphotos import drawn
from powercut import Disk, Moment, started_again
from s3server import S3Server

from glasseg.catalog import lock, manifest, state
from glasseg.config import WhitenConfig
from glasseg.storage.roots import Bucket, Folder, Root, open_root

pytestmark = pytest.mark.usefixtures("tensorflow")

OPTIONS: dict[str, Any] = {"mask": True, "gates": False, "report": False, "max_flagged": 1.0}
BEFORE = {"a.jpg": "1", "b.jpg": "2", "c.jpg": "3", "d.jpg": "4", "sub/e.jpg": "5"}
AFTER = {"a.jpg": "2", "b.jpg": "1", "c.jpg": "4", "d.jpg": "6", "sub/e.jpg": "7", "f.jpg": "5"}
"""Two change places, one takes the name of the next, one has changed as well, a new one takes a name that is free."""


def photo(name: str) -> bytes:
    """No two have pictures of the same size."""
    return drawn(1, (48 + 2 * sorted({*BEFORE, *AFTER, "again"}).index(name), 64))


def whiten(source: Root, destination: Root, names: dict[str, str], folder: Path) -> None:
    listed = folder / "list.csv"
    listed.write_text("\n".join(("file,sku", *(f"{key},{sku}" for key, sku in names.items()))))
    config = WhitenConfig(yes=True, **OPTIONS, photos=str(listed), name="{sku}/p.jpg")
    assert inprocess.whiten(source.uri, destination.uri, config) == 0


def pictures(destination: Root) -> dict[str, bytes]:
    """Pictures and masks."""
    found = [one.key for one in destination.list() if not one.key.startswith("_glasseg/")]
    return {key: destination.read(key)[0] for key in (*found, *(one.key for one in destination.list(manifest.MASKS)))}


class Night:
    """A night in which names change, with all moments of its disk."""

    def __init__(self, folder: Path) -> None:
        self.source, destination = Folder(folder / "in"), Folder(folder / "out")
        for name in BEFORE:
            self.source.write(name, photo(name))
        whiten(self.source, destination, BEFORE, folder)
        self.source.write("f.jpg", photo("f.jpg"))
        self.source.write("sub/e.jpg", photo("again"))
        disk = Disk(destination.path)
        with disk.watched():
            whiten(self.source, destination, AFTER, folder)
        self.moments, self.after = disk.moments, pictures(destination)


@pytest.fixture(scope="module")
def night(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    yield Night(tmp_path_factory.mktemp("night"))


def check_cut(night: Night, moment: Moment, path: Path, chance: random.Random | bool) -> None:
    destination = Folder(path)
    moment.left(path, chance)
    started_again(path)
    before = {(row["key"], row["run_seq"]) for row in manifest.read(destination).to_pylist()}
    whiten(night.source, destination, AFTER, path.parent)
    assert pictures(destination) == night.after
    found = [(row["key"], row["run_seq"]) for row in manifest.read(destination).to_pylist()]
    assert {*found} >= before and len({*found}) == len(found), "one row per photo and run"
    places = state.read(destination).places
    names = dict(zip(places["key"].to_pylist(), places["output_key"].to_pylist(), strict=True))
    assert names == {key: f"{sku}/p.jpg" for key, sku in AFTER.items()}
    assert not destination.exists(lock.LOCK)


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


class Killed(BaseException):
    """The process is no more: nothing that it would have asked of the server comes to pass."""


@pytest.mark.slow
def test_in_a_bucket_the_next_run_finishes_a_renaming_wherever_it_was_killed(s3: S3Server, tmp_path: Path) -> None:
    top = f"s3://{s3.bucket}/{uuid.uuid4().hex}"
    source, destination = open_root(f"{top}/in"), open_root(f"{top}/out")
    for key in BEFORE:
        source.write(key, photo(key))
    nights = [BEFORE, {**AFTER, "sub/e.jpg": "5"}]
    del nights[1]["f.jpg"]
    done = []
    for names in nights:
        whiten(source, destination, names, tmp_path)
        done.append(pictures(destination))
    killed = 0
    for number in itertools.count(step=2):
        night = nights[(number // 2) % 2]
        with dying(number) as died:
            whiten(source, destination, night, tmp_path)
        if not died:
            break
        killed += 1
        destination.delete(lock.LOCK)
        whiten(source, destination, night, tmp_path)
        assert pictures(destination) == done[nights.index(night)], f"killed at {number}"
    assert killed > 10
    reasons = {row["reason"] for row in manifest.read(destination).to_pylist()}
    assert "renamed" in reasons


@contextmanager
def dying(number: int) -> Iterator[list[bool]]:
    """The block is killed at that request to change something, counted from 0; what is yielded holds whether it was."""
    count, died = itertools.count(), list[bool]()

    def mortal(operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(count) >= number:
                died[:] = [True]
                raise Killed
            return operation(*arguments, **options)

        return call

    names = ("_put", "copy", "delete")
    with mock.patch.multiple(Bucket, **{name: mortal(getattr(Bucket, name)) for name in names}), suppress(Killed):
        yield died
