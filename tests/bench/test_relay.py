"""Ways that take turns: real processes, of which none runs while it is not its turn, and none is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import writers

from glasseg.errors import GlassegError
from jobs.bench import relay
from jobs.bench.timed_photos import Window


def family() -> list[psutil.Process]:
    """The processes at and below those that this one has started, but those that Python keeps for itself."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "resource_tracker" not in " ".join(one.cmdline())]


def soon_gone(one: psutil.Process) -> bool:
    """Whether the process ends within 20 seconds."""
    deadline = time.monotonic() + 20
    with suppress(psutil.NoSuchProcess):
        while one.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def naps(processes: Iterable[psutil.Process]) -> list[int]:
    """How often each of them has gone to sleep so far."""
    return [one.num_ctx_switches().voluntary for one in processes]


def soon_stopped(processes: set[psutil.Process]) -> bool:
    """Whether all of them are suspended: on a busy machine one that waits for a core hears of it when it gets one."""
    deadline = time.monotonic() + 10
    while {one.status() for one in processes} != {psutil.STATUS_STOPPED} and time.monotonic() < deadline:
        time.sleep(0.01)
    return {one.status() for one in processes} == {psutil.STATUS_STOPPED}


def test_nothing_of_a_way_runs_between_its_turns(tmp_path: Path) -> None:
    before, window = set(family()), Window(processes=2, count=20, seconds=60)
    with relay.started(partial(writers.with_a_child, str(tmp_path)), tmp_path, verbose=True) as way:
        assert 1 < way.turn(5, window) < 250
        mine = set(family()) - before
        for _ in range(2):
            assert len(mine) == 2 and soon_stopped(mine)
            worked = naps(mine)
            time.sleep(0.3)
            assert naps(mine) == worked
            assert not list(tmp_path.iterdir()), "the pictures of a turn are deleted"
            assert 1 < way.turn(2, window) < 250
            assert all(now > then for now, then in zip(naps(mine), worked, strict=True))
    assert not set(family()) - before


def test_a_way_whose_top_dies_leaves_no_process(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with relay.started(partial(writers.without_a_top, str(pictures)), pictures, verbose=True) as way:
        with pytest.raises(GlassegError, match="died"):
            way.turn(1, Window(processes=2, count=10**5, seconds=60))
        child = psutil.Process(int((tmp_path / "child").read_text()))
        assert child.status() in {psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING}
    assert soon_gone(child)


def test_a_second_interruption_waits_until_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class TerminatedError(Exception):
        pass

    def terminate(number: int, frame: object) -> None:
        raise TerminatedError

    def suspend(one: psutil.Process, really: Callable[[psutil.Process], None] = psutil.Process.suspend) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        really(one)

    before, handler = set(family()), signal.signal(signal.SIGTERM, terminate)
    try:
        with (
            pytest.raises(TerminatedError),
            relay.started(partial(writers.with_a_child, str(tmp_path)), tmp_path, verbose=True) as way,
        ):
            way.turn(1, Window(processes=2, count=10, seconds=60))
            mine = set(family()) - before
            monkeypatch.setattr(psutil.Process, "suspend", suspend)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert len(mine) == 2 and all(soon_gone(one) for one in mine)


def test_what_a_terminal_sends_to_the_bench_wakes_no_way(tmp_path: Path) -> None:
    with relay.started(partial(writers.with_a_child, str(tmp_path)), tmp_path, verbose=True) as way:
        way.turn(1, Window(processes=2, count=10, seconds=60))
        os.killpg(os.getpgrp(), signal.SIGCONT)
        time.sleep(0.1)
        top = psutil.Process(way.pid)
        assert {one.status() for one in (top, *top.children())} == {psutil.STATUS_STOPPED}


def test_a_way_that_loses_one_of_its_processes_ends(tmp_path: Path) -> None:
    with (
        pytest.raises(GlassegError, match="a process of the bench died"),
        relay.started(partial(writers.in_shares, str(tmp_path)), tmp_path, verbose=True) as way,
    ):
        way.turn(1, Window(processes=2, count=10**5, seconds=60))


def test_a_turn_that_takes_too_long_ends_with_another_photo_of_each_process(tmp_path: Path) -> None:
    with relay.started(partial(writers.with_a_child, str(tmp_path)), tmp_path, verbose=True) as way:
        assert way.turn(1, Window(processes=2, count=10**5, seconds=0.2)) > 1


@pytest.mark.parametrize("words", ["the disk is full", "ran out of photos"])
def test_a_way_that_ends_says_why(words: str, tmp_path: Path) -> None:
    work = writers.refusing if "disk" in words else partial(writers.two_files, str(tmp_path))
    with (
        pytest.raises(GlassegError, match=f"the bench stopped: .*{words}"),
        relay.started(work, tmp_path, verbose=True) as way,
    ):
        way.turn(1, Window(processes=1, count=10, seconds=60))
