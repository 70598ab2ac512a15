"""One run at a time into a destination: `_glasseg/lock.json`, kept alive by a heartbeat.

Whoever makes the file has the lock, by O_EXCL on a disk and a conditional put on S3, and renews it while it works. A
lock whose holder is seen to be dead (on this machine), or that was not renewed for `EXPIRY` seconds, is taken over. So
the clocks of machines that share a destination may differ by less than that.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import Root, delete_if_allowed, sweep, tidy

LOCK: Final = "_glasseg/lock.json"
EXPIRY: Final = 300.0
HEARTBEAT: Final = 30.0
EXIT_LOCKED: Final = 4
_ATTEMPTS: Final = 5


class Lock:
    """The lock of one run, and the thread that renews it."""

    def __init__(self, root: Root, run_id: str) -> None:
        self._root, self._content = root, {"run_id": run_id, "run_seq": 0, **_holder(), "since": _now()}
        self._written: bytes = b""
        self._renewed = _clock()
        self._lost = False
        self._guard, self._ended = threading.Lock(), threading.Event()
        self.last_run_seq = 0
        """The number of the run that had it before and did not come to its end; 0 when there was none."""

    def acquire(self) -> None:
        """Take the lock. Raises GlassegError with exit code 4 when another run has it."""
        for _ in range(_ATTEMPTS):
            found, dead = refuse_if_taken(self._root)
            self._content["run_seq"] = self.last_run_seq = int(dead.get("run_seq", 0))
            with self._guard:
                ours = self._swap(found)
            if ours:
                return
        raise GlassegError(f"runs that start at the same moment keep taking the lock of {self._root.uri}", EXIT_LOCKED)

    def note(self, run_seq: int) -> None:
        """Write the number of the run into the lock: whoever takes it over continues from there. Raises as `check`."""
        self._content["run_seq"] = run_seq
        self.renew()
        self.check()

    def renew(self, wait: float = -1) -> None:
        """Show that this run is alive; `check` finds out whether the lock is still ours.

        `wait`: seconds for another renewal that is under way; -1 for as long as it takes.
        """
        if not self._guard.acquire(timeout=wait):
            return
        try:
            if not self._swap(self._written):
                self._lost = True
        except (GlassegError, PhotoError):  # a storage that is away for a moment; the next heartbeat tries again
            return
        finally:
            self._guard.release()

    def check(self) -> None:
        """Raise GlassegError when another run has taken the lock, or may have by now: a renewal can hang, too."""
        if self._late() and not self._lost:
            self.renew(HEARTBEAT)  # the machine may have slept, and the thread that renews it too
        if self._lost or self._late():
            raise GlassegError(
                f"this run lost its lock on {self._root.uri}: another run took over, or it could not be renewed in time"
            )

    def _late(self) -> bool:
        return _clock() - self._renewed > EXPIRY - HEARTBEAT

    def beat(self) -> None:
        """Renew the lock until `release`; the target of a thread."""
        while not self._ended.wait(HEARTBEAT) and not self._lost:
            self.renew()

    def release(self) -> None:
        """Give the lock back, unless it was lost."""
        self._ended.set()
        with self._guard:
            try:
                if self._lost or _read(self._root) != self._written:
                    return
                if not delete_if_allowed(self._root, LOCK):  # then the file stays, and records that nobody works here
                    over = {**self._content, "seen": _now(), "over": True}
                    self._root.swap(LOCK, self._written, json.dumps(over).encode())
            except (GlassegError, PhotoError):  # it will expire
                return

    def _swap(self, found: bytes | None) -> bool:
        """Put our own word in the place of `found`, under the guard: who waited for it must not bring an older one."""
        began = _clock()
        new = json.dumps({**self._content, "seen": _now()}, indent=2).encode() + b"\n"
        try:
            done = self._root.swap(LOCK, found, new)
        except PhotoError as error:
            raise GlassegError(f"the lock can't be written: {error}") from error
        if done:
            self._written, self._renewed = new, began
        return done


@contextmanager
def taken(root: Root, run_id: str) -> Iterator[Lock]:
    """Keep the lock of a destination for the length of the block; what a killed run left half-written is deleted first.

    Raises GlassegError with exit code 4, naming the run that has it, when there is one.
    """
    lock = Lock(root, run_id)
    lock.acquire()
    heart = threading.Thread(target=lock.beat, name="lock", daemon=True)
    heart.start()
    try:
        sweep(root)
        yield lock
    finally:
        lock.release()
        tidy(root)


def refuse_if_taken(root: Root) -> tuple[bytes | None, dict[str, Any]]:
    """Raise GlassegError with exit code 4, saying who, when a living run holds the lock of a destination.

    Returns what the file of a dead run's lock holds, as bytes and as read; None and {} without one.
    """
    found = _read(root)
    known = _parsed(found, root)
    if known and not _over(known):
        raise GlassegError(_taken_by(known, root), EXIT_LOCKED)
    return found, known


def holder(root: Root) -> dict[str, Any] | None:
    """Who works on a destination now, by its lock's file; None when nobody does."""
    found = _parsed(_read(root), root)
    return None if not found or _over(found) else found


def _read(root: Root) -> bytes | None:
    """What the lock's file holds, None when there is none."""
    if not root.exists(LOCK):  # the destination itself need not be there yet
        return None
    try:
        return root.read(LOCK)[0]
    except PhotoError as error:
        if error.code == "vanished":
            return None
        raise GlassegError(f"the lock can't be read: {error}") from error


def _parsed(found: bytes | None, root: Root) -> dict[str, Any]:
    if not found:  # an empty one was left by a power cut, or is just being written: then the first renewal tells whose
        return {}
    try:
        holder: dict[str, Any] = json.loads(found)
        if not {"run_id", "host", "pid", "since"} <= holder.keys() or not datetime.fromisoformat(holder["seen"]).tzinfo:
            raise ValueError("it lacks the fields of a lock")
        return holder
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GlassegError(f"{root.uri_of(LOCK)} is not a lock of glasseg: delete it if nothing is running") from error


def _holder() -> dict[str, Any]:
    """Who this process is: `machine` and `started` only where dead processes can be recognised."""
    return {"host": platform.node(), "pid": os.getpid(), "machine": _machine(), "started": _started(os.getpid())}


def _machine() -> str | None:
    """One boot of one machine and its table of processes: a container counts its own; None where that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the boot; None when there is none, or it is only waited for."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(rest[18])


def _over(holder: dict[str, Any]) -> bool:
    """Whether a lock may be taken over: its holder is dead, or has not been seen for too long."""
    if holder.get("over"):
        return True
    if holder.get("machine") and holder["machine"] == _machine():
        return _is_dead(int(holder["pid"]), holder.get("started"))
    return _age(holder) > EXPIRY


def _is_dead(pid: int, started: int | None) -> bool:
    """Whether the process with this number that started then has ended; another user's can be hidden, but is known."""
    if (now := _started(pid)) is not None:
        return now != started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return Path(f"/proc/{pid}/stat").exists()  # then it is only waited for


def _clock() -> float:
    """Seconds that also pass while the machine sleeps, where it counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _age(holder: dict[str, Any]) -> float:
    """Seconds since the holder was seen."""
    return (datetime.now(UTC) - datetime.fromisoformat(holder["seen"])).total_seconds()


def _taken_by(holder: dict[str, Any], root: Root) -> str:
    who = f"run {holder['run_id']} works on {root.uri}: process {holder['pid']} on {holder['host']}"
    age = _age(holder)
    if age < -EXPIRY:  # also of a run that died: its lock would count until then
        return (
            f"{who}, last seen {holder['seen']}, which is still to come: set the clock of that machine or of this one "
            f"right; if nothing is running there, delete {root.uri_of(LOCK)}"
        )
    return f"{who}, since {holder['since']}, last seen {max(0, age):.0f} s ago; wait until it ends, or end it"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
