"""Which photos of a source a list names: forgiving about spelling, never guessing between two photos."""

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
from glasseg.lists import reader, safe_csv
from glasseg.lists.spreadsheet import NAME_SUFFIXES
from glasseg.storage.keys import printable
from glasseg.storage.roots import ACCESS_POINT, open_source

_SHOWN: Final = 3  # candidates named in a report
_BATCH: Final = 65_536  # keys held as Python strings at a time


@dataclass(frozen=True)
class Unmatched:
    """A row of the list that chooses no photo, the reason, and up to three keys that it may mean."""

    row: int
    name: str
    reason: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What a list chooses.

    `chosen`: by key, the other columns of the photo's first row, without empty values, in the order of the list.
    `unmatched`: the rows that name no photo or several. `repeated`: those whose photo an earlier row names.
    """

    chosen: dict[str, dict[str, str]]
    unmatched: list[Unmatched]
    repeated: list[Unmatched]


def fetch(uri: str, *, endpoint_url: str | None = None) -> bytes:
    """The bytes of the list at `uri`, a path or s3://.

    Raises GlassegError when there is none, when it can't be read, or when its name is not that of a list.
    """
    if PurePosixPath(uri).suffix.lower() not in NAME_SUFFIXES:
        raise GlassegError(f"{uri} is not a list of photos: its name must end in {', '.join(NAME_SUFFIXES)}")
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
    """The photos named by the list `name` with the bytes `data`, out of `keys`, all photos of the source.

    `source_uri` is the root of the keys, an absolute path or s3://. `column` (case-insensitive) holds the names; None
    finds it. Raises GlassegError when the list can't be read or is empty, when its column is missing or ambiguous, and
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
    """The rows of the list that chose no photo, including those that repeat one, as csv for a spreadsheet."""
    rows = sorted((*selection.unmatched, *selection.repeated), key=lambda one: one.row)
    header = ("row", "name", "reason", "candidates")
    return safe_csv.write(header, [(one.row, one.name, one.reason, "; ".join(one.candidates)) for one in rows])


def _unmatched(row: reader.NamedRow, several: list[str], photos: _Photos) -> Unmatched:
    if not row.name:
        return Unmatched(row.number, "", "has no name")
    if several:
        reason, candidates = "names several photos", several
    else:
        candidates = photos.like(row.name)
        reason = "names no photo" + "; others differ in folder or extension" * bool(candidates)
    more = ", more than are shown" * (len(candidates) > _SHOWN)
    return Unmatched(row.number, row.name, reason + more, tuple(map(printable, candidates[:_SHOWN])))


def _nothing(name: str, rows: list[reader.NamedRow], keys: pa.ChunkedArray | list[str], source_uri: str) -> str:
    listed = ", ".join([row.name for row in rows if row.name][:_SHOWN]) or "only empty names"
    there = ", ".join(map(printable, next(_batches(keys), [])[:_SHOWN])) or "no photos"
    way_out = "is it the list of this source, and --column the right one?"
    message = (
        f"no row of {name} names a photo of {source_uri}; the list has {listed}; the source has {there}: {way_out}"
    )
    return " ".join(message.split())  # cells can hold line breaks


# ---- names against keys ----


def _batches(keys: pa.ChunkedArray | list[str]) -> Iterator[list[str]]:
    """The keys as Python strings, `_BATCH` at a time."""
    for start in range(0, len(keys), _BATCH):
        part = keys[start : start + _BATCH]
        yield part if isinstance(part, list) else part.to_pylist()


def _exact(text: str) -> str:
    """`text` in one Unicode form, without the spaces around it, which lists lose."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def _folded(text: str) -> str:
    """`text` in a form that is the same whatever its case and Unicode form."""
    if text.isascii():
        return text.lower().strip()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold()).strip()


def _without_extension(path: str) -> str:
    """`path` without a photo's extension; any other ending, as in "model 1.5", is part of the name."""
    stem, dot, extension = path.rpartition(".")
    return stem if dot and extension.lower() in PHOTO_EXTENSIONS else path


_Table = dict[str, list[str]]
_WAYS: Final = tuple(
    (caseless, whole, bare) for caseless in (False, True) for whole in (True, False) for bare in (False, True)
)
"""The ways to compare a name, in order: in its own case, then in any; with the whole key, then with the end of the
photo's path; with its extension, then without."""


class _Photos:
    """The photos that names may mean, in lookup tables that hold only these names."""

    def __init__(self, source_uri: str) -> None:
        self._source = _exact(source_uri).rstrip("/")
        path = self._source.partition("://")[2] or self._source
        self._above = [part for part in path.split("/") if part]
        self._depth = 1  # of the deepest key
        self._keys: set[str] = set()  # those that a name spells exactly
        self._tables: dict[tuple[bool, bool, bool], _Table] = {way: {} for way in _WAYS}
        self._like: _Table = {}

    def look_up(self, names: Iterable[str], keys: pa.ChunkedArray | list[str]) -> None:
        """Prepares the answers for `names`; only keys that one of them may mean are kept."""
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
            for path in self._paths(one) or [self._local(one)]  # to show similar ones
        ]
        if rest:
            self._tabulate({_exact(path) for path in rest}, keys)

    def named(self, name: str) -> list[str]:
        """The photos that `name` means by the first way to compare that finds any; four if there are more."""
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
        """Photos with the same file name, whatever their folder, extension or case; four if there are more."""
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
        """Enters `key` under every wanted path in which its own path ends, with and without its extension."""
        depth = key.count("/") + 1
        for bare in (False, True):
            parts = [*self._above, *(_without_extension(key) if bare else key).split("/")]
            for end in (one for one in depths if one <= len(parts)):
                path = "/".join(parts[-end:])
                for caseless, form, wanted in ((False, _exact(path), exact), (True, _folded(path), folded)):
                    if form in wanted:
                        _note(self._tables[caseless, False, bare], form, key)
                        if end == depth:
                            _note(self._tables[caseless, True, bare], form, key)

    def _spellings(self, name: str) -> tuple[str, ...]:
        """The keys that `name` would spell exactly."""
        return (name, self._local(name)) if name else ()

    @staticmethod
    def _attempts(name: str) -> tuple[str, ...]:
        """`name`, and what it was before it was guarded for a spreadsheet."""
        plain = safe_csv.unguarded(name)
        return (name,) if plain == name else (name, plain)

    def _paths(self, name: str) -> list[str]:
        """The paths of photos that `name` may mean, the most exact first.

        A path below the source means the photo at exactly that place. A path elsewhere, such as on another computer,
        is tried with ever fewer of its folders; but one next to the source (in its bucket, or in the folder that holds
        it) means another file.
        """
        local = self._local(name)
        slashed = reader.from_web(name).replace("\\", "/")
        if self._is_below(slashed):
            return ["/".join([*self._above, local])]
        if not local or local.endswith("/") or self._is_next_to(slashed):
            return []
        if not re.match(r"(?i)[a-z][a-z0-9+.-]*:/|/", slashed):
            return [local]
        parts = local.split("/")[-self._depth :]
        return ["/".join(parts[start:]) for start in range(len(parts))]

    def _local(self, name: str) -> str:
        """`name` with "/" between its folders, relative to the source if it lies below it."""
        path = reader.from_web(name).replace("\\", "/").removeprefix("file://")
        if self._is_below(path):
            path = path[len(self._source) :] if path.startswith(self._source) else _exact(path)[len(self._source) :]
        while path.startswith(("./", "/")):
            path = path[path.index("/") + 1 :]
        return path

    def _is_below(self, path: str) -> bool:
        return _exact(path.removeprefix("file://")).startswith(f"{self._source}/")

    def _is_next_to(self, path: str) -> bool:
        bucket = re.match(rf"s3://({ACCESS_POINT}|[^/]+)/", f"{self._source}/")
        above = bucket[0] if bucket else self._source.rpartition("/")[0] + "/"
        return len(above) > 1 and _exact(path.removeprefix("file://")).startswith(above)


def _note(table: _Table, name: str, key: str) -> None:
    found = table.setdefault(name, [])
    if len(found) <= _SHOWN:
        found.append(key)
