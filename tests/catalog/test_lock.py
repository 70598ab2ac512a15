"""One run at a time: a living holder is respected, a dead one is not waited for, and who lost the lock stops."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glasseg.catalog import lock
from glasseg.catalog.lock import LOCK, Lock
from glasseg.errors import GlassegError
from glasseg.storage.roots import Folder, Root, open_root


@pytest.fixture
def root(root_uri: str) -> Root:
    return open_root(root_uri)


def written(root: Root) -> dict[str, Any]:
    holder: dict[str, Any] = json.loads(root.read(LOCK)[0])
    return holder


def leave(root: Root, **facts: Any) -> None:
    """A lock as a run left it that is seen nowhere any more."""
    seen = (datetime.now(UTC) - timedelta(seconds=10)).isoformat()
    there = {"run_id": "run7", "run_seq": 7, "host": "elsewhere", "pid": 1, "machine": None, "started": None}
    root.write(LOCK, json.dumps({**there, "since": seen, "seen": seen, **facts}).encode())


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_a_second_run_is_told_who_holds_it_and_the_first_gives_it_back(root: Root) -> None:
    with lock.taken(root, "run1") as first:
        first.note(41)
        with pytest.raises(GlassegError, match=r"run run1 works on .*process \d+ on .*last seen \d s ago") as caught:
            Lock(root, "run2").acquire()
        assert caught.value.exit_code == 4
        assert lock.holder(root) is not None and written(root)["run_seq"] == 41
        first.check()
    assert not root.exists(LOCK) and lock.holder(root) is None
    with lock.taken(root, "run3") as third:
        assert third.last_run_seq == 0


def test_of_many_that_start_at_once_one_gets_it(root: Root) -> None:
    leave(root, seen=ago(lock.EXPIRY + 1))
    start, got, refused = threading.Barrier(8), [], []

    def run(n: int) -> None:
        mine = Lock(root, f"run{n}")
        start.wait()
        try:
            mine.acquire()
            got.append(f"run{n}")
        except GlassegError as error:
            refused.append(error.exit_code)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1 and refused == [4] * 7
    assert written(root)["run_id"] == got[0]


def test_a_holder_on_another_machine_is_waited_for_until_it_expires(root: Root) -> None:
    leave(root, seen=ago(lock.EXPIRY - 20))
    with pytest.raises(GlassegError, match="process 1 on elsewhere"):
        Lock(root, "run8").acquire()
    leave(root, seen=ago(lock.EXPIRY + 1))
    mine = Lock(root, "run8")
    mine.acquire()
    assert mine.last_run_seq == 7, "its rows may still come, with the number that it had"


def test_a_lock_from_the_future_says_that_a_clock_is_wrong_and_what_to_do(root: Root) -> None:
    leave(root, seen=ago(-86400), machine="before the power cut that set its clock right")
    with pytest.raises(GlassegError, match=r"still to come: set the clock .*delete .*_glasseg/lock\.json") as caught:
        Lock(root, "run8").acquire()
    assert caught.value.exit_code == 4
    leave(root, seen=ago(-60))
    with pytest.raises(GlassegError, match="last seen 0 s ago; wait"):
        Lock(root, "run8").acquire()


@pytest.fixture
def ended() -> Iterator[int]:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    yield process.pid


@pytest.mark.skipif(lock._machine() is None, reason="needs /proc")
def test_a_holder_that_died_on_this_machine_is_taken_over_at_once(root: Root, ended: int) -> None:
    leave(root, machine=lock._machine(), pid=ended, started=123, seen=ago(1))
    with lock.taken(root, "run8") as mine:
        assert mine.last_run_seq == 7 and written(root)["run_id"] == "run8"


@pytest.mark.skipif(lock._machine() is None, reason="needs /proc")
def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it(root: Root) -> None:
    parent = {"machine": lock._machine(), "pid": 1}
    leave(root, **parent, started=lock._started(1), seen=ago(10 * lock.EXPIRY))
    with pytest.raises(GlassegError, match="run7"):  # alive, only slow to say so
        Lock(root, "run8").acquire()
    leave(root, **parent, started=-1)
    Lock(root, "run8").acquire()


def test_a_run_that_lost_its_lock_stops_and_leaves_the_others_alone(root: Root) -> None:
    with lock.taken(root, "run1") as mine:
        leave(root)
        mine.renew()
        with pytest.raises(GlassegError, match="lost its lock"):
            mine.check()
    assert written(root)["run_id"] == "run7"


def test_a_lock_that_somebody_deleted_is_lost(root: Root) -> None:
    with lock.taken(root, "run1") as mine:
        root.delete(LOCK)
        mine.renew()
        with pytest.raises(GlassegError, match="lost its lock"):
            mine.check()
    assert not root.exists(LOCK)


def test_a_lock_is_renewed_while_the_run_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    root, beats = Folder(tmp_path), threading.Event()
    renew, count = Lock.renew, []

    def counted(self: Lock) -> None:
        renew(self)
        count.append(1)
        if len(count) == 3:
            beats.set()

    monkeypatch.setattr(Lock, "renew", counted)
    with lock.taken(root, "run1") as mine:
        assert beats.wait(20)
        mine.check()


def test_a_storage_that_is_away_for_a_moment_is_no_loss_but_for_too_long_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Folder(tmp_path)

    def away(*_: Any) -> bool:
        raise GlassegError("can't reach it")

    with lock.taken(root, "run1") as mine, monkeypatch.context() as patched:
        patched.setattr(Folder, "swap", away)
        mine.renew()
        mine.check()
        patched.setattr(lock, "EXPIRY", 0.0)
        mine.renew()
        with pytest.raises(GlassegError, match="could not be renewed in time"):
            mine.check()


def test_a_renewal_that_hangs_is_a_loss_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others take the lock over when it has expired, whatever keeps its holder from saying that it lives."""
    with lock.taken(Folder(tmp_path), "run1") as mine:
        now = lock._clock()
        monkeypatch.setattr(lock, "_clock", lambda: now + lock.EXPIRY)
        monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
        with mine._guard, pytest.raises(GlassegError, match="could not be renewed in time"):
            mine.check()


def test_a_laptop_that_slept_keeps_its_lock_unless_another_run_took_it(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock.taken(root, "run1") as mine:
        awake = lock._clock()
        monkeypatch.setattr(lock, "_clock", lambda: awake + 3600)
        mine.check()
        leave(root)
        monkeypatch.setattr(lock, "_clock", lambda: awake + 7200)
        with pytest.raises(GlassegError, match="lost its lock"):
            mine.check()


def test_a_note_while_the_lock_is_renewed_does_not_lose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swap, inside, go_on = Folder.swap, threading.Event(), threading.Event()
    moments = (ago(-n) for n in range(1000))  # each renewal writes another time
    monkeypatch.setattr(lock, "_now", lambda: next(moments))

    def slow(self: Folder, *arguments: Any) -> bool:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            go_on.wait(20)
        return swap(self, *arguments)

    with lock.taken(Folder(tmp_path), "run1") as mine:
        monkeypatch.setattr(Folder, "swap", slow)
        beat = threading.Thread(target=mine.renew)
        beat.start()
        assert inside.wait(20)
        threading.Timer(0.3, go_on.set).start()
        mine.note(41)  # waits for the renewal, and must then know what that wrote
        beat.join()
        assert written(Folder(tmp_path))["run_seq"] == 41


def test_who_takes_over_from_one_that_took_over_numbers_on_all_the_same(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    leave(root, seen=ago(lock.EXPIRY + 1))
    Lock(root, "run8").acquire()  # and died before it had a number of its own
    leave(root, **{**written(root), "seen": ago(lock.EXPIRY + 1), "machine": None})
    third = Lock(root, "run9")
    third.acquire()
    assert third.last_run_seq == 7


@pytest.mark.skipif(lock._machine() is None, reason="needs /proc")
def test_a_process_that_can_not_be_seen_is_not_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(Folder(tmp_path), machine=lock._machine(), pid=1, started=lock._started(1))
    monkeypatch.setattr(lock, "_started", lambda pid: None)  # /proc may hide those of other users

    def denied(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", denied)
    with pytest.raises(GlassegError, match="run7"):
        Lock(Folder(tmp_path), "run8").acquire()


NAIVE = b'{"run_id": "a", "host": "h", "pid": 1, "since": "x", "seen": "2026-01-01T00:00:00"}'


@pytest.mark.parametrize("text", [b" ", b"{}", b"[1]", b'{"seen": "yesterday"}', NAIVE, b"\xff"])
def test_a_file_that_is_no_lock_is_named(tmp_path: Path, text: bytes) -> None:
    Folder(tmp_path).write(LOCK, text)
    with pytest.raises(GlassegError, match=r"_glasseg/lock\.json is not a lock of glasseg: delete it"):
        Lock(Folder(tmp_path), "run1").acquire()


def test_a_lock_that_a_power_cut_emptied_keeps_nobody_out_and_has_one_taker(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    root.write(LOCK, b"")
    first, second = Lock(root, "first"), Lock(root, "second")
    first.acquire()
    with pytest.raises(GlassegError, match="first works on"):
        second.acquire()
    (tmp_path / LOCK).write_bytes(b"")  # as one that is being written looks on a disk without links
    second.acquire()
    with pytest.raises(GlassegError, match="lost its lock"):
        first.note(7)
    second.note(7)


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    root.write("_glasseg/tmp/half", b"a picture")
    with lock.taken(root, "run1"):
        assert not root.exists("_glasseg/tmp/half")
    assert list(tmp_path.rglob("*")) == [], "nothing is left of the lock either"
