"""A disk whose power fails: of what was not synced anything may be lost, each name and each file on its own."""

from __future__ import annotations

import itertools
import json
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from glasseg.catalog import lock

OPERATIONS = ("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir", "fsync")
"""What changes a disk besides bytes that are written, which are lost anyway until they are synced."""

Names = dict[str, int]
"""What a folder holds: the number of each file and folder by its name."""


@dataclass(frozen=True)
class File:
    data: bytes
    modified: int
    """Nanoseconds since 1970."""


@dataclass
class Tree:
    """Files and folders by their numbers."""

    files: dict[int, File]
    folders: dict[int, Names]

    def copy(self) -> Tree:
        return Tree(self.files.copy(), self.folders.copy())


@dataclass(frozen=True)
class Moment:
    """A disk between two operations: what is on it for sure, and what programs see."""

    what: str
    """The operation that would have come next."""
    top: int
    synced: Tree
    seen: Tree

    def left(self, folder: Path, chance: random.Random | bool) -> None:
        """Write what a power cut leaves to a new `folder`. `chance`: decides for everything that was not synced.

        False: nothing of it was done. True: all names are as they were seen, and files that were not synced are empty.
        """
        self._folder(self.top, folder, chance)

    def _folder(self, number: int, path: Path, chance: random.Random | bool) -> None:
        path.mkdir()
        before, after = self.synced.folders.get(number, {}), self.seen.folders.get(number, {})
        for name in before.keys() | after.keys():
            one = (after if chance is True or (chance and chance.random() < 0.5) else before).get(name)
            if one in self.synced.folders or one in self.seen.folders:
                self._folder(one, path / name, chance)
            elif one is not None:
                self._file(one, path / name, chance)

    def _file(self, number: int, path: Path, chance: random.Random | bool) -> None:
        file = self.synced.files.get(number)
        if file is None:
            whole = self.seen.files.get(number, File(b"", 0))  # or it was deleted before anything of it was synced
            length = chance.choice((0, len(whole.data) // 2, len(whole.data))) if not isinstance(chance, bool) else 0
            file = File(whole.data[:length], whole.modified)
        path.write_bytes(file.data)
        os.utime(path, ns=(file.modified, file.modified))


class Disk:
    """The disk below `top`, and every moment of it while it is `watched`."""

    def __init__(self, top: Path) -> None:
        self._top, self._lock = top, threading.Lock()
        self.moments: list[Moment] = []
        self._synced = self._tree()
        self._kept = [os.open(path, os.O_RDONLY) for path in (top, *top.rglob("*"))]
        """Of what was synced: numbers of files that are open are not given to new ones."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        with mock.patch.multiple(os, **{name: self._watching(name, getattr(os, name)) for name in OPERATIONS}):
            yield
        self._note("the end")
        for descriptor in self._kept:
            os.close(descriptor)

    def _watching(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self._note(f"{name} {arguments[0]}")
                result = operation(*arguments, **options)
                if name == "fsync":
                    self._sync(arguments[0])
                return result

        return call

    def _note(self, what: str) -> None:
        seen = self._tree()
        last = self.moments[-1] if self.moments else None
        if last is None or (last.seen.folders, last.synced) != (seen.folders, self._synced):
            self.moments.append(Moment(what, self._top.stat().st_ino, self._synced.copy(), seen))

    def _sync(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        self._kept.append(os.dup(descriptor))
        if stat.S_ISDIR(state.st_mode):
            with os.scandir(descriptor) as scan:
                found = list(scan)
            self._synced.folders[state.st_ino] = {one.name: one.inode() for one in found}
            for one in found:
                if one.is_dir() and one.inode() not in self._synced.folders:
                    self._synced.folders[one.inode()] = {}
                    self._kept.append(os.open(one.name, os.O_RDONLY, dir_fd=descriptor))
        else:
            data = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self._synced.files[state.st_ino] = File(data, state.st_mtime_ns)

    def _tree(self) -> Tree:
        tree = Tree({}, {})
        for path in itertools.chain([self._top], self._top.rglob("*")):
            state = path.stat()
            if stat.S_ISDIR(state.st_mode):
                with os.scandir(path) as scan:
                    tree.folders[state.st_ino] = {one.name: one.inode() for one in scan}
            else:
                tree.files[state.st_ino] = File(path.read_bytes(), state.st_mtime_ns)
        return tree


def started_again(destination: Path) -> None:
    """The machine is up again, some time later: the lock of the run that ended there has expired."""
    path = destination / lock.LOCK
    if path.exists() and path.stat().st_size:
        found = json.loads(path.read_bytes())
        path.write_text(json.dumps({**found, "machine": "an earlier boot", "seen": "2026-01-01T00:00:00+00:00"}))
