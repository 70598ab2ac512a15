"""Which photos are worth a person's time: those of a run for its editor, and those of a whole destination."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import Row, Status
from glasseg.catalog.state import among

MOST: Final = 100
"""Photos in an editor at most: more than a person corrects in one sitting."""
_ALIKE: Final = 5
"""Photos of one kind that are taken before those of other kinds have had their turn."""
_CONSIDERED: Final = 100_000
"""The worst photos of each error code whose folders are looked at: of millions, the names alone take gigabytes."""


def editable(rows: pa.Table, marked: Collection[str] = ()) -> pa.Table:
    """The rows of a run whose masks a person may correct: in review or held back, or with a picture and `marked`.

    `marked`: keys of photos.
    """
    pictured = pc.and_(_among(rows["key"], marked), _among(rows["status"], [Status.OK, Status.REVIEW]))
    return rows.filter(pc.or_(_among(rows["status"], [Status.REVIEW]), pictured))


def worst(rows: pa.Table, marked: Collection[str] = (), most: int = MOST) -> list[Row]:
    """At most `most` of some rows, the lowest quality first, unknown ones last.

    Where there are more, photos `marked` by their keys come before the others.
    """
    quality = _quality(rows)
    unnamed = pc.invert(_among(rows["key"], marked)).to_numpy()
    return cast(list[Row], _taken(rows, _worst_first(np.lexsort((quality, unnamed))[:most], quality)))


def of_destination(photos: pa.Table, count: int) -> list[dict[str, Any]]:
    """At most `count` of the photos of a destination, `state.photos` with their `quality`: not fifty of one kind.

    To choose from are the photos with a picture on which nobody has said a word. Of each error code, and of each folder
    within it, a few of the lowest quality are taken before the others have their turn, and then a few more. The lowest
    quality first, unknown ones last.
    """
    unsaid = pc.is_null(photos["reviewed"]).combine_chunks()
    open_to = pc.and_(among(photos["status"], [Status.OK, Status.REVIEW]), unsaid)
    codes = pc.fill_null(photos["error_code"].combine_chunks().indices, -1).to_numpy()
    quality = _quality(photos)
    order = _worst_first(np.flatnonzero(open_to.to_numpy(zero_copy_only=False)), quality)
    order = order[_turns(codes[order]) < _CONSIDERED]
    order = _in_rounds(order, _pairs(codes[order], _folders(photos["key"].take(pa.array(order)))))
    order = _in_rounds(order, codes[order])
    return _taken(photos, _worst_first(order[:count], quality))


def _worst_first(places: np.ndarray, quality: np.ndarray) -> np.ndarray:
    return places[np.argsort(quality[places], kind="stable")]


def _in_rounds(order: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """`order`, but so that `_ALIKE` of every kind come before more of any; `kinds`: a number for each in `order`."""
    return order[np.argsort(_turns(kinds) // _ALIKE, kind="stable")]


def _turns(kinds: np.ndarray) -> np.ndarray:
    """How many of its kind come before each."""
    order = np.argsort(kinds, kind="stable")
    ordered = kinds[order]
    turns = np.empty(len(kinds), np.int64)
    turns[order] = np.arange(len(kinds)) - np.searchsorted(ordered, ordered)
    return turns


def _pairs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A number for each different pair of two arrays of whole numbers, `other` from 0."""
    return one.astype(np.int64) * (int(other.max(initial=0)) + 1) + other


def _folders(keys: pa.ChunkedArray) -> np.ndarray:
    """A number for the folder of each key."""
    numbers: dict[str, int] = {}
    folders = (key.rpartition("/")[0] for key in keys.to_pylist())
    return np.fromiter((numbers.setdefault(one, len(numbers)) for one in folders), np.int64, len(keys))


def _among(words: pa.ChunkedArray, values: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(words, value_set=pa.array(list(values), pa.string()))


def _quality(rows: pa.Table) -> np.ndarray:
    """n float64, infinite where it is unknown."""
    return pc.fill_null(rows["quality"], np.inf).to_numpy()


def _taken(rows: pa.Table, places: np.ndarray) -> list[dict[str, Any]]:
    # row by row: a take() would first copy every name of a large table
    return [rows.slice(i, 1).to_pylist()[0] for i in places.tolist()]
