"""Which photos of a source a list names: forgiving about spelling, never guessing between two photos."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa

from glasseg.errors import GlassegError, PhotoError
from glasseg.lists import reader, safe_csv
from glasseg.lists.matching import SHOWN, Photos, batches
from glasseg.lists.spelling import spoiled, visible
from glasseg.lists.spreadsheet import NAME_SUFFIXES
from glasseg.storage.roots import open_source

_NO_NAME: Final = "has no name"


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
    `unmatched`: the rows that name no photo or several. `repeated`: those whose photo an earlier row names. `rows`: by
    key, the number of the photo's first row. `columns`: of the list, but for that with the names.
    """

    chosen: dict[str, dict[str, str]]
    unmatched: list[Unmatched]
    repeated: list[Unmatched]
    rows: dict[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def is_list(uri: str) -> bool:
    """Whether a file of this name is read as a list of photos."""
    return PurePosixPath(uri).suffix.lower() in NAME_SUFFIXES


def fetch(uri: str, *, endpoint_url: str | None = None) -> bytes:
    """The bytes of the list at `uri`, a path or s3://.

    Raises GlassegError when there is none, when it can't be read, or when its name is not that of a list.
    """
    if not is_list(uri):
        endings = ", ".join(NAME_SUFFIXES)
        raise GlassegError(f"{uri} is not a list of photos: its name must end in {endings}; save it as xlsx or csv")
    root, names = open_source(uri, endpoint_url=endpoint_url)
    if not names:
        raise GlassegError(f"there is no list {uri}: give the file itself")
    try:
        return root.read(names[0])[0]
    except PhotoError as error:
        raise GlassegError(f"can't read the list {uri}: {error}") from error


def saved(uri: str, *, endpoint_url: str | None = None) -> datetime | None:
    """When the list at `uri` was last saved, by the clock of its storage; None where that does not say."""
    root, names = open_source(uri, endpoint_url=endpoint_url)
    found = [one.modified for name in names or () for one in root.list(name) if one.key == name]
    return datetime.fromtimestamp(found[0], UTC) if found and found[0] else None


def select(
    name: str, data: bytes, keys: pa.ChunkedArray | list[str], source_uri: str, column: str | None = None
) -> Selection:
    """The photos named by the list `name` with the bytes `data`, out of `keys`, all photos of the source.

    `source_uri` is the root of the keys, an absolute path or s3://. `column` (case-insensitive) holds the names; None
    finds it. Raises GlassegError when the list can't be read or is empty, when its column is missing or ambiguous, and
    when no row names a photo.
    """
    rows = reader.named_rows(name, data, column)
    photos = Photos(source_uri)
    photos.look_up((one for row in rows for one in (row.name, row.link)), keys)
    chosen: dict[str, dict[str, str]] = {}
    first: dict[str, int] = {}
    unmatched, repeated = [], []
    for row in rows:
        match photos.named(row.name):
            case found if row.doubt:
                unmatched.append(_unmatched(row, row.doubt, found or photos.named(row.link)))
            case [key] if key in first:
                repeated.append(_unmatched(row, f"names the photo of row {first[key]} again", [key]))
            case [key]:
                first[key], chosen[key] = row.number, row.others
            case [_, *_] as several:
                unmatched.append(_unmatched(row, "names several photos", several))
            case _ if not row.may_be_header:
                unmatched.append(_unmatched(row, *_nearest(row, photos)))
    if not chosen:
        raise GlassegError(_nothing(name, unmatched, keys, source_uri))
    return Selection(chosen, unmatched, repeated, first, rows[0].columns)


def unmatched_csv(selection: Selection) -> bytes:
    """The rows of the list that chose no photo, including those that repeat one, as csv for a spreadsheet."""
    rows = sorted((*selection.unmatched, *selection.repeated), key=lambda one: one.row)
    header = ("row", "name", "reason", "candidates")
    return safe_csv.write(header, [(one.row, one.name, one.reason, "; ".join(one.candidates)) for one in rows])


def described(one: Unmatched) -> str:
    """`one` in a line for people."""
    name = f"'{one.name}', " * bool(one.name)
    candidates = f" ({', '.join(one.candidates)})" * bool(one.candidates)
    return f"row {one.row}, {name}{one.reason}{candidates}"


def _unmatched(row: reader.NamedRow, reason: str, candidates: list[str]) -> Unmatched:
    more = ", more than are shown" * (len(candidates) > SHOWN)
    return Unmatched(row.number, visible(row.name), reason + more, tuple(map(visible, candidates[:SHOWN])))


def _nearest(row: reader.NamedRow, photos: Photos) -> tuple[str, list[str]]:
    """Why a row names no photo, and those that it may mean."""
    if not row.name:
        return _NO_NAME, photos.named(row.link)
    if linked := photos.named(row.link):
        return "names no photo; its link leads to another name", linked
    if what := spoiled(row.name):
        return f"names no photo; {what}", []
    candidates, difference = photos.like(row.name)
    return "names no photo" + f"; others differ in {difference}" * bool(candidates), candidates


def _nothing(name: str, rows: list[Unmatched], keys: pa.ChunkedArray | list[str], source_uri: str) -> str:
    listed = "; ".join([described(row) for row in rows if row.name or row.reason != _NO_NAME][:SHOWN])
    listed = listed or "only empty names"
    there = ", ".join(map(visible, next(batches(keys), [])[:SHOWN])) or "no photos"
    way_out = "is it the list of this source, and --column the right one?"
    return f"no row of {name} names a photo of {source_uri}; the list has {listed}; the source has {there}: {way_out}"
