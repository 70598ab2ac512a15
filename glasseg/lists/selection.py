"""Which photos of a source a list names: forgiving in spelling, never guessing between two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa

from glasseg.errors import GlassegError, PhotoError
from glasseg.formats import PHOTO_EXTENSIONS
from glasseg.lists import reader, spreadsheet
from glasseg.storage.keys import printable
from glasseg.storage.roots import open_source

_NAMED: Final = 3  # candidates in a report
_BATCH: Final = 65_536  # keys that are Python strings at a time


@dataclass(frozen=True)
class Unmatched:
    """A row of the list that chooses no photo, why, and up to three keys that it may mean."""

    row: int
    name: str
    reason: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What a list chooses.

    `chosen`: the other columns of each photo's first row by key, in the order of the list; no empty values.
    `unmatched`: the rows that name no photo or several. `repeated`: those whose photo an earlier row names.
    """

    chosen: dict[str, dict[str, str]]
    unmatched: list[Unmatched]
    repeated: list[Unmatched]


def fetch(uri: str, *, endpoint_url: str | None = None) -> bytes:
    """The bytes of the list at `uri`, a path or s3://; GlassegError when there is none, or its name is no list's."""
    if PurePosixPath(uri).suffix.lower() not in reader.NAME_SUFFIXES:
        raise GlassegError(f"{uri} is no list of photos: its name must end in {', '.join(reader.NAME_SUFFIXES)}")
    root, names = open_source(uri, endpoint_url=endpoint_url)
    if not names:
        raise GlassegError(f"there is no list {uri}: give the file itself")
    try:
        return root.read(names[0])[0]
    except PhotoError as error:
        raise GlassegError(f"can't read the list {uri}: {error}") from error


def select(
    name: str, data: bytes, keys: pa.ChunkedArray | list[str], source_uri: str, column: str | None = None
) -> Selection:
    """The photos that the list `name` with the bytes `data` names, out of `keys`: all photos of the source.

    `source_uri` is the root of the keys, an absolute path or s3://. `column` (case-blind) holds the names; None finds
    it. Raises GlassegError when the list can't be read or is empty, when its column isn't there or can't be told, and
    when no row names a photo.
    """
    rows = reader.named_rows(name, data, column)
    photos = _Photos(source_uri)
    photos.look_up((row.name for row in rows), keys)
    chosen: dict[str, dict[str, str]] = {}
    first: dict[str, int] = {}
    unmatched, repeated = [], []
    for row in rows:
        match photos.named(row.name):
            case [key] if key in first:
                reason = f"names the photo of row {first[key]} again"
                repeated.append(Unmatched(row.number, row.name, reason, (printable(key),)))
            case [key]:
                first[key], chosen[key] = row.number, row.others
            case several if several or not row.may_be_header:
                unmatched.append(_unmatched(row, several, photos))
    if not chosen:
        raise GlassegError(_nothing(name, rows, keys, source_uri))
    return Selection(chosen, unmatched, repeated)


def unmatched_csv(selection: Selection) -> bytes:
    """The rows of the list that chose no photo, as csv for a spreadsheet, those that repeat a photo among them."""
    rows = sorted((*selection.unmatched, *selection.repeated), key=lambda one: one.row)
    header = ("row", "name", "reason", "candidates")
    return spreadsheet.write(header, [(one.row, one.name, one.reason, "; ".join(one.candidates)) for one in rows])


def _unmatched(row: reader.NamedRow, several: list[str], photos: _Photos) -> Unmatched:
    if not row.name:
        return Unmatched(row.number, "", "has no name")
    if several:
        reason, candidates = "names several photos", several
    else:
        candidates = photos.like(row.name)
        reason = "names no photo" + "; others differ in folder or extension" * bool(candidates)
    more = ", more than are shown" * (len(candidates) > _NAMED)
    return Unmatched(row.number, row.name, reason + more, tuple(map(printable, candidates[:_NAMED])))


def _nothing(name: str, rows: list[reader.NamedRow], keys: pa.ChunkedArray | list[str], source_uri: str) -> str:
    listed = ", ".join([row.name for row in rows if row.name][:_NAMED]) or "only empty names"
    there = ", ".join(map(printable, next(_batches(keys), [])[:_NAMED])) or "no photos"
    way_out = "is it the list of this source, and --column the right one?"
    message = (
        f"no row of {name} names a photo of {source_uri}; the list has {listed}; the source has {there}: {way_out}"
    )
    return " ".join(message.split())  # cells can hold lines


# ---- names against keys ----


def _batches(keys: pa.ChunkedArray | list[str]) -> Iterator[list[str]]:
    """The keys as Python strings, only so many at a time."""
    for start in range(0, len(keys), _BATCH):
        part = keys[start : start + _BATCH]
        yield part if isinstance(part, list) else part.to_pylist()


def _exact(text: str) -> str:
    """`text` in one unicode form, without the spaces around it, which lists lose."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def _folded(text: str) -> str:
    """`text` so that it is equal in any case and either unicode form."""
    if text.isascii():
        return text.lower().strip()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold()).strip()


def _without_extension(path: str) -> str:
    """`path` without a photo's extension; any other, as of "model 1.5", is part of the name."""
    stem, dot, extension = path.rpartition(".")
    return stem if dot and extension.lower() in PHOTO_EXTENSIONS else path


_Table = dict[str, list[str]]
_WAYS: Final = tuple(
    (blind, whole, bare) for blind in (False, True) for whole in (True, False) for bare in (False, True)
)
"""In which order a name is compared: first in its case; with the whole key, then with the end of the photo's path; with
its extension, then without."""


class _Photos:
    """The photos that names may mean, in look-up tables of no more than these names."""

    def __init__(self, source_uri: str) -> None:
        self._source = _exact(source_uri).rstrip("/")
        path = self._source.partition("://")[2] or self._source
        self._above = [part for part in path.split("/") if part]
        self._depth = 1  # of the deepest key
        self._keys: set[str] = set()  # that a name spells as they are
        self._tables: dict[tuple[bool, bool, bool], _Table] = {way: {} for way in _WAYS}
        self._like: _Table = {}

    def look_up(self, names: Iterable[str], keys: pa.ChunkedArray | list[str]) -> None:
        """Prepares the answers for `names`; keys are kept only where one of them may mean them."""
        spelled = {name: self._spellings(name) for name in names}
        wanted = {one for spellings in spelled.values() for one in spellings}
        for batch in _batches(keys):
            self._keys.update(wanted.intersection(batch))
            self._depth = max(self._depth, *(key.count("/") + 1 for key in batch))
        rest = [
            path
            for name, spellings in spelled.items()
            if self._keys.isdisjoint(spellings)
            for one in self._attempts(name)
            for path in self._paths(one) or [self._local(one)]  # to show what is like it
        ]
        if rest:
            self._tabulate({_exact(path) for path in rest}, keys)

    def named(self, name: str) -> list[str]:
        """The photos that `name` means by the first rule that gives any; of more than three, four."""
        for spelling in self._spellings(name):
            if spelling in self._keys:
                return [spelling]
        for attempt in self._attempts(name):
            for path in self._paths(attempt):
                for way in _WAYS:
                    if found := self._tables[way].get(_folded(path) if way[0] else _exact(path)):
                        return found
        return []

    def like(self, name: str) -> list[str]:
        """Photos of the same file name, whatever their folder, extension or case; of more than three, four."""
        file = self._local(name).rpartition("/")[2]
        stems = (_folded(_without_extension(file)), _folded(file))
        return next((self._like[stem] for stem in stems if stem in self._like), [])

    def _tabulate(self, exact: set[str], keys: pa.ChunkedArray | list[str]) -> None:
        folded = {_folded(path) for path in exact}
        files = [path.rpartition("/")[2] for path in folded]
        stems = {_folded(stem) for file in files for stem in (file, _without_extension(file))}
        depths = {path.count("/") + 1 for path in exact}
        for batch in _batches(keys):
            for key in batch:
                stem = _folded(_without_extension(key.rpartition("/")[2]))
                if stem in stems:
                    _note(self._like, stem, key)
                    self._note_paths(key, exact, folded, depths)

    def _note_paths(self, key: str, exact: set[str], folded: set[str], depths: set[int]) -> None:
        """Puts `key` under every wanted path that is the end of its own, with and without its extension."""
        depth = key.count("/") + 1
        for bare in (False, True):
            parts = [*self._above, *(_without_extension(key) if bare else key).split("/")]
            for end in (one for one in depths if one <= len(parts)):
                path = "/".join(parts[-end:])
                for blind, form, wanted in ((False, _exact(path), exact), (True, _folded(path), folded)):
                    if form in wanted:
                        _note(self._tables[blind, False, bare], form, key)
                        if end == depth:
                            _note(self._tables[blind, True, bare], form, key)

    def _spellings(self, name: str) -> tuple[str, ...]:
        """What a key that is spelled like `name` would be."""
        return (name, self._local(name)) if name else ()

    @staticmethod
    def _attempts(name: str) -> tuple[str, ...]:
        """`name`, and what it was before a spreadsheet's guard was put before it."""
        plain = spreadsheet.unguarded(name)
        return (name,) if plain == name else (name, plain)

    def _paths(self, name: str) -> list[str]:
        """The paths of photos that `name` may mean, the most exact first.

        One below the source means the photo at that very place. One of another place, such as another computer's, loses
        its folders one by one; but beside the source (in its bucket, or in the folder that holds it) lie other files.
        """
        local = self._local(name)
        slashed = reader.from_web(name).replace("\\", "/")
        if self._is_below(slashed):
            return ["/".join([*self._above, local])]
        if not local or local.endswith("/") or self._is_beside(slashed):
            return []
        if not re.match(r"(?i)[a-z][a-z0-9+.-]*:/|/", slashed):
            return [local]
        parts = local.split("/")[-self._depth :]
        return ["/".join(parts[start:]) for start in range(len(parts))]

    def _local(self, name: str) -> str:
        """`name` with "/" between its folders, relative to the source where it lies below it."""
        path = reader.from_web(name).replace("\\", "/").removeprefix("file://")
        if self._is_below(path):
            path = path[len(self._source) :] if path.startswith(self._source) else _exact(path)[len(self._source) :]
        while path.startswith(("./", "/")):
            path = path[path.index("/") + 1 :]
        return path

    def _is_below(self, path: str) -> bool:
        return _exact(path.removeprefix("file://")).startswith(f"{self._source}/")

    def _is_beside(self, path: str) -> bool:
        bucket = re.match(r"s3://[^/]+/", f"{self._source}/")
        above = bucket[0] if bucket else self._source.rpartition("/")[0] + "/"
        return len(above) > 1 and _exact(path.removeprefix("file://")).startswith(above)


def _note(table: _Table, name: str, key: str) -> None:
    found = table.setdefault(name, [])
    if len(found) <= _NAMED:
        found.append(key)
