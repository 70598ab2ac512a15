"""Ways that take turns: real processes, of which none runs while it is not its turn, and none is left."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import writers

from glasseg.errors import GlassegError
from jobs.bench import turns
from jobs.bench.timed_photos import Window


def family() -> list[psutil.Process]:
    """The processes at and below those that this one has started, but those that Python keeps for itself."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "resource_tracker" not in " ".join(one.cmdline())]


def test_nothing_of_a_way_runs_between_its_turns(tmp_path: Path) -> None:
    before, window = set(family()), Window(processes=2, count=20, seconds=60)
    with turns.started(partial(writers.with_a_child, str(tmp_path)), tmp_path, verbose=True) as way:
        for skip in (5, 2):
            assert 1 < way.turn(skip, window) < 250
            mine = set(family()) - before
            assert len(mine) == 2 and {one.status() for one in mine} == {psutil.STATUS_STOPPED}
            there = len(list(tmp_path.iterdir()))
            time.sleep(0.3)
            assert len(list(tmp_path.iterdir())) == there
        names = {path.name.split("-")[0] for path in tmp_path.iterdir()}
        assert names == {"top", "child"}
    assert not set(family()) - before


def test_a_turn_that_takes_too_long_ends_with_another_photo_of_each_process(tmp_path: Path) -> None:
    with turns.started(partial(writers.with_a_child, str(tmp_path)), tmp_path, verbose=True) as way:
        assert way.turn(1, Window(processes=2, count=10**5, seconds=0.2)) > 1


@pytest.mark.parametrize("words", ["the disk is full", "ran out of photos"])
def test_a_way_that_ends_says_why(words: str, tmp_path: Path) -> None:
    work = writers.refusing if "disk" in words else partial(writers.two_files, str(tmp_path))
    with (
        pytest.raises(GlassegError, match=f"the bench stopped: .*{words}"),
        turns.started(work, tmp_path, verbose=True) as way,
    ):
        way.turn(1, Window(processes=1, count=10, seconds=60))
