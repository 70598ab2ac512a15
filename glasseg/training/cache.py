"""Pictures kept in memory, bounded by their bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol, TypeVar


class _Picture(Protocol):
    @property
    def nbytes(self) -> int: ...


_P = TypeVar("_P", bound=_Picture)


class PictureCache:
    """The most recently used pictures, as many as fit into `limit` bytes. Threads may share it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, _Picture] = OrderedDict()
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """The bytes of all pictures that are kept, at most the limit."""
        return self._nbytes

    def get(self, key: Hashable, make: Callable[[], _P]) -> _P:
        """The picture `key`, made by `make` unless it is kept; threads that miss it at the same time each make it."""
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept  # type: ignore[return-value]  # a key stands for one type of picture
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._nbytes += made.nbytes
            while self._nbytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._nbytes -= dropped.nbytes
        return made
