"""The pictures of a destination as a catalog needs them: one for each photo that has one, with all that is known."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import manifest, state
from glasseg.catalog.schema import Status
from glasseg.catalog.state import State
from glasseg.config import MARKETPLACES
from glasseg.storage.roots import Folder, Root

HELD: Final = "held"
"""The status of a photo whose picture is an older one, since its last one was held back."""

_COLUMNS: Final = {
    "width": "output_width",
    "height": "output_height",
    "bytes": "output_bytes",
    "quality": "quality",
    "reviewed": "reviewed",
    "run_id": "run_id",
    "finished_at": "finished_at",
    **{f"check_{name}": f"check_{name}" for name in MARKETPLACES},
}
"""Fields that are columns of the row that published the picture."""
_OF_LISTS: Final = {"sku": ("sku",), "alt": ("alt", "alt text", "alt_text", "alt-text")}
"""Fields that are columns of lists under one of these names; "" without one."""
FIELDS: Final = ("name", "path", "url", "key", "status", "error_code", *_COLUMNS, *_OF_LISTS)
"""What is known of every picture. `name` and `path` (below the destination) are the picture's, `key` is the photo's."""
PATHS: Final = frozenset({"path", "key"})
"""Fields in which slashes divide folders."""

_SORTED: Final = 250_000
"""Rows that are sorted at a time."""
_BATCH: Final = 10_000


def read(
    root: Root, fields: Collection[str], listed: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[dict[str, str]]:
    """The pictures that stand in a destination, by the keys of their photos; photos that are gone are left out.

    A picture has those of `FIELDS` that are asked for, and the columns of all lists that named its photo: as
    `list.NAME`, and as NAME where that is none of `FIELDS`; each as the last list with a value for it had it. `listed`:
    by key what a list says now, which counts before what is in the manifest. Where a photo failed or was held back, its
    older picture is told, with the photo's status. Beyond the state of the destination this takes room on the disk, and
    little memory.
    """
    columns = [_COLUMNS[field] for field in _COLUMNS if field in fields]
    known = state.read(root)
    with tempfile.TemporaryDirectory(prefix="glasseg-") as folder:
        files = _sorted(root, ["key", "run_seq", "published", "list_columns", *columns], Path(folder))
        photos = groupby(heapq.merge(*map(_rows, files), key=itemgetter("key", "run_seq")), itemgetter("key"))
        for picture in _standing(known):
            rows = next(list(rows) for key, rows in photos if key == picture["key"])  # both are in the order of keys
            said = {name: value for row in rows for name, value in row["list_columns"] or () if value}
            said |= (listed or {}).get(picture["key"], {})
            [published] = {row["run_seq"]: row for row in rows if row["run_seq"] == picture["run_seq"]}.values()
            yield _listed(said) | _facts(root, picture, published)


def list_columns(root: Root) -> set[str]:
    """The columns of all lists of which a row in the manifest has a value."""
    found: set[str] = set()
    for part in manifest.parts(root, ["list_columns"]):
        for chunk in part["list_columns"].drop_null().chunks:
            found.update(pc.unique(chunk.keys).to_pylist())
    return found


def _standing(known: State) -> Iterator[dict[str, Any]]:
    """`key, status, error_code, held` of photos that have a picture and are not gone, and its `output_key, run_seq`.

    In the order of keys, a batch at a time: with ten million photos a sorted copy takes a gigabyte.
    """
    photos = known.photos.select(["key", "status", "error_code", "held"])
    places, place = known.places.select(["output_key", "run_seq"]), state.newest_places(known)
    there = pc.and_not(pc.is_valid(place), state.among(photos["status"], [Status.GONE]))
    order = pc.sort_indices(photos["key"])
    order = order.filter(there.take(order))
    for start in range(0, len(order), _BATCH):
        some = order.slice(start, _BATCH)
        pairs = zip(photos.take(some).to_pylist(), places.take(place.take(some)).to_pylist(), strict=True)
        yield from (photo | picture for photo, picture in pairs)


def _sorted(root: Root, columns: list[str], folder: Path) -> list[Path]:
    """The rows with pictures or columns of lists, in files that are each sorted by key and run."""
    files: list[Path] = []
    gathered = [manifest.wanted(columns).empty_table()]

    def store() -> None:
        files.append(folder / f"{len(files)}.arrow")
        rows = pa.concat_tables(gathered).sort_by([("key", "ascending"), ("run_seq", "ascending")])
        with pa.ipc.new_file(str(files[-1]), rows.schema) as sink:
            sink.write_table(rows, max_chunksize=1000)
        gathered[1:] = []

    for part in manifest.parts(root, columns):
        tells = pc.or_(pc.fill_null(part["published"], False), pc.is_valid(part["list_columns"]))
        gathered.append(part.filter(tells))
        if sum(map(len, gathered)) > _SORTED:
            store()
    store()
    return files


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as rows:
        for number in range(rows.num_record_batches):
            yield from rows.get_batch(number).to_pylist()


def _listed(said: Mapping[str, str]) -> dict[str, str]:
    """The columns of lists as fields."""
    fields = {field: next((said[name] for name in names if name in said), "") for field, names in _OF_LISTS.items()}
    return {f"list.{name}": value for name, value in said.items()} | dict(said) | fields


def _facts(root: Root, picture: Mapping[str, Any], published: Mapping[str, Any]) -> dict[str, str]:
    """What the manifest knows of a picture, as texts; it counts before a list's columns of the same names."""
    path = str(picture["output_key"])
    facts = {field: _text(published[column]) for field, column in _COLUMNS.items() if column in published}
    return facts | {
        "name": path.rpartition("/")[2],
        "path": path,
        "url": f"file://{quote(root.uri_of(path))}" if isinstance(root, Folder) else root.uri_of(path),
        "key": picture["key"],
        "status": HELD if picture["held"] else picture["status"],
        "error_code": picture["error_code"] or "",
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)
