"""Names of a list against the keys of photos: forgiving about spelling, never guessing between two photos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyarrow as pa

from glasseg.formats import PHOTO_EXTENSIONS
from glasseg.lists.spelling import holds_several, is_elsewhere, readings, without_marks
from glasseg.storage.roots import ACCESS_POINT

SHOWN: Final = 3
"""Candidates named in a report."""
_BATCH: Final = 65_536  # keys held as Python strings at a time


def batches(keys: pa.ChunkedArray | list[str]) -> Iterator[list[str]]:
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


def _visible(text: str) -> str:
    """`text` in a form that is the same whatever its case and Unicode form, and the marks in it that nobody sees."""
    return _folded(without_marks(text))


def _loose(stem: str) -> str:
    """The letters and digits of `stem`, without the zeros before a number, which spreadsheets lose."""
    plain = stem if stem.isascii() else unicodedata.normalize("NFKC", stem)
    plain = plain if plain.isalnum() else re.sub(r"[\W_]", "", plain)
    return plain.lstrip("0") or stem


_Table = dict[str, list[str]]
_Form = Callable[[str], str]
_FORMS: Final[tuple[_Form, ...]] = (_exact, _folded, _visible)
_Way = tuple[_Form, bool, bool]
_WAYS: Final[tuple[_Way, ...]] = tuple(
    (form, whole, bare) for form in _FORMS for whole in (True, False) for bare in (False, True)
)
"""The ways to compare a name, in order: as it is, in any case, as it looks; with the whole key, then with the end of
the photo's path; with its extension, then without."""


class Photos:
    """The photos that names may mean, in lookup tables that hold only these names."""

    def __init__(self, source_uri: str) -> None:
        self._source = _exact(source_uri).rstrip("/")
        path = self._source.partition("://")[2] or self._source
        self._above = [part for part in path.split("/") if part]
        self._depth = 1  # of the deepest key
        self._keys: set[str] = set()  # those that a name spells exactly
        self._tables: dict[_Way, _Table] = {way: {} for way in _WAYS}
        self._like: _Table = {}  # by stems
        self._alike: _Table = {}  # by what `_loose` leaves of stems

    def look_up(self, names: Iterable[str], keys: pa.ChunkedArray | list[str]) -> None:
        """Prepares the answers for `names`; only keys that one of them may mean are kept."""
        spelled = {name: [one for several in readings(name) for one in several] for name in names if name}
        wanted = {key for name, meant in spelled.items() for key in (name, *map(self._local, meant))}
        for batch in batches(keys):
            self._keys.update(wanted.intersection(batch))
            self._depth = max(self._depth, *(key.count("/") + 1 for key in batch))
        rest = [
            path
            for name, meant in spelled.items()
            if self._keys.isdisjoint((name, self._local(name)))
            for one in meant
            for path in self._paths(one) or [self._local(one)]  # to show similar ones
        ]
        if rest:
            self._tabulate({_exact(path) for path in rest}, keys)

    def named(self, name: str) -> list[str]:
        """The photos that `name` means by the most literal reading that finds any; at least four if there are more."""
        if name in self._keys:
            return [name]
        here = holds_several(name)  # of several paths elsewhere, the end would be the last one's
        for several in readings(name):
            if found := list(dict.fromkeys(key for one in several for key in self._meant(one, here=here))):
                return found
        return []

    def like(self, name: str) -> tuple[list[str], str]:
        """Photos with nearly the same file name, and how they differ from it; four if there are more."""
        files = [self._local(one).rpartition("/")[2] for several in readings(name) for one in several]
        stems = [_visible(stem) for file in files for stem in (_without_extension(file), file)]
        if stem := next((stem for stem in stems if stem in self._like), ""):
            return self._like[stem], "folder or extension"
        loose = next((stem for stem in map(_loose, stems) if stem in self._alike), "")
        return self._alike.get(loose, []), "leading zeros or punctuation"

    def _meant(self, reading: str, *, here: bool) -> list[str]:
        """The photos that a reading means by the first way to compare that finds any; `here`: no path elsewhere."""
        if (local := self._local(reading)) in self._keys:
            return [local]
        if here and is_elsewhere(reading.replace("\\", "/")):
            return []
        for path in self._paths(reading):
            for way in _WAYS:
                if found := self._tables[way].get(way[0](path)):
                    return found
        return []

    def _tabulate(self, exact: set[str], keys: pa.ChunkedArray | list[str]) -> None:
        wanted = {form: {form(path) for path in exact} for form in _FORMS}
        files = [path.rpartition("/")[2] for path in wanted[_visible]]
        stems = {_loose(_visible(stem)) for file in files for stem in (file, _without_extension(file))}
        depths = {path.count("/") + 1 for path in exact}
        for batch in batches(keys):
            for key in batch:
                stem = _visible(_without_extension(key.rpartition("/")[2]))
                if (loose := _loose(stem)) in stems:
                    _note(self._like, stem, key)
                    _note(self._alike, loose, key)
                    self._note_paths(key, wanted, depths)

    def _note_paths(self, key: str, wanted: dict[_Form, set[str]], depths: set[int]) -> None:
        """Enters `key` under every wanted path in which its own path ends, with and without its extension."""
        depth = key.count("/") + 1
        for bare in (False, True):
            parts = [*self._above, *(_without_extension(key) if bare else key).split("/")]
            for end in (one for one in depths if one <= len(parts)):
                path = "/".join(parts[-end:])
                for form in _FORMS:
                    if (formed := form(path)) in wanted[form]:
                        _note(self._tables[form, False, bare], formed, key)
                        if end == depth:
                            _note(self._tables[form, True, bare], formed, key)

    def _paths(self, reading: str) -> list[str]:
        """The paths of photos that a reading may mean, the most exact first.

        A path below the source means the photo at exactly that place. A path elsewhere, such as on another computer,
        is tried with ever fewer of its folders; but one next to the source (in its bucket, or in the folder that holds
        it) means another file.
        """
        local = self._local(reading)
        slashed = reading.replace("\\", "/")
        if self._is_below(slashed):
            return ["/".join([*self._above, local])]
        if not local or local.endswith("/") or self._is_next_to(slashed):
            return []
        if not is_elsewhere(slashed):
            return [local]
        parts = local.split("/")[-self._depth :]
        return ["/".join(parts[start:]) for start in range(len(parts))]

    def _local(self, reading: str) -> str:
        """`reading` with "/" between its folders, relative to the source if it lies below it."""
        path = reading.replace("\\", "/")
        if self._is_below(path):
            path = path[len(self._source) :] if path.startswith(self._source) else _exact(path)[len(self._source) :]
        while path.startswith(("./", "/")):
            path = path[path.index("/") + 1 :]
        return path

    def _is_below(self, path: str) -> bool:
        return _exact(path).startswith(f"{self._source}/")

    def _is_next_to(self, path: str) -> bool:
        bucket = re.match(rf"s3://({ACCESS_POINT}|[^/]+)/", f"{self._source}/")
        above = bucket[0] if bucket else self._source.rpartition("/")[0] + "/"
        return len(above) > 1 and _exact(path).startswith(above)


def _note(table: _Table, name: str, key: str) -> None:
    found = table.setdefault(name, [])
    if len(found) <= SHOWN:
        found.append(key)
