"""What is known of every photo and of every place, from the rows of many nights, as Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import manifest, reviewed
from glasseg.catalog.schema import NUMBERED, REVIEWED, Reason, Status
from glasseg.storage.keys import printable
from glasseg.storage.roots import Root

_WORDS: Final = ("status", "error_code", "reason", "model_id", "options_id", "run_id")
"""Columns of few different values: kept as numbers into a dictionary."""

_BRIEF: Final = ("key", "run_seq", "published", "status", "error_code", "model_id", "options_id", "run_id", *REVIEWED)
_READ: Final = (
    *(*_BRIEF, "reason", "source_etag", "listed_etag", "source_uri"),
    *("width", "height", "mask_coverage", "output_key", "moved_from", *NUMBERED),
)
_SELDOM: Final = ("moved_from", *NUMBERED)
"""Columns that most destinations never use: without a value they take no memory."""
_FOLD: Final = 1_500_000
"""Rows that may gather before those that later ones have overtaken are dropped."""


@dataclass(frozen=True)
class State:
    """What is known of a destination: of every photo, and of every place where a picture may stand."""

    photos: pa.Table
    """One row per key. `run_seq, status, error_code, reason, model_id, options_id, run_id, source_etag, listed_etag,
    width, height` of its row with the highest `run_seq`, whatever the clock said; `held`, whether that row's picture
    was held back; `reviewed`, a person's word on it as `reviewed.joined` makes it; `of_source`, whether that row's
    photo is `key` below the source; `name_number, name_series`, of type null where no photo has any; and of its last
    published row `standing_run_id, standing_coverage`, null when there is none."""
    places: pa.Table
    """One row per `output_key`: `key, run_seq, run_id, status, mask_coverage` of the row that published the picture
    there last, of whatever photo. The last rows of the photos would not do: one that fails, or changes its name or
    format, leaves an earlier picture behind. Pictures that were deleted with their photo, or moved away, are left
    out."""
    moved: pa.Table
    """One row per place that a picture has left by its row, with that row's `key, run_seq`, where none has come since:
    `output_key` is no file of ours any more, unless a run was killed before it deleted it."""


def read(root: Root, source_uri: str | None = None, more: Sequence[str] = ()) -> State:
    """Read every part of the manifest once.

    `source_uri`: the source that `of_source` asks about. `more`: columns that `photos` has as well.
    """
    rows = _gathered(root, (*_READ, *more), source_uri)
    keys, codes = _encoded(rows["key"])
    places, moved = _places(rows, keys, codes)
    return State(_photos(rows, keys, codes), places, moved)


def photos(root: Root, *more: str) -> pa.Table:
    """`State.photos` without the columns that only a plan needs: what the source holds, `reason` and `standing_*`.

    `more`: columns of numbers that it has as well.
    """
    rows = _gathered(root, (*_BRIEF, *more), None)
    return _photos(rows, *_encoded(rows["key"]))


def newest_places(known: State) -> pa.Array:
    """For each of the photos the number of its row in `places` that has the highest `run_seq`, null for none."""
    whose = pc.index_in(known.places["key"], value_set=known.photos["key"])
    return _last(whose.to_numpy(), _by_run(known.places), len(known.photos))


def _gathered(root: Root, columns: Sequence[str], source_uri: str | None) -> pa.Table:
    """The rows of all parts, without most of those that later ones have overtaken."""
    known = [_slim(manifest.wanted(columns).empty_table(), source_uri)]
    kept = 0
    for part in manifest.parts(root, columns):
        known.append(_slim(part, source_uri))
        if sum(map(len, known)) > 2 * kept + _FOLD:
            known = [_fold(_joined(known))]
            kept = len(known[0])
    return _joined(known)


def _joined(parts: list[pa.Table]) -> pa.Table:
    """The parts as one table with common dictionaries; they are taken out of their list, so that they can go."""
    whole = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    parts.clear()
    return whole


def _slim(part: pa.Table, source_uri: str | None) -> pa.Table:
    """The rows of a part with words as dictionaries and without the long uris; `renamed` is the output's key where it
    is not the photo's."""
    apart = {*_WORDS, *REVIEWED, "source_uri", "output_key"}
    columns = {name: part[name] for name in part.schema.names if name not in apart}
    columns |= {
        name: pc.cast(part[name], pa.dictionary(pa.int32(), pa.string()))
        for name in _WORDS
        if name in part.schema.names
    }
    for name in _SELDOM:
        if name in columns and _all_null(columns[name]):
            columns[name] = pa.nulls(len(part))
        elif name == "name_series" and name in columns:
            columns[name] = pc.cast(columns[name], pa.dictionary(pa.int32(), pa.string()))
    columns["published"] = pc.fill_null(part["published"], False)
    columns["reviewed"] = pc.cast(reviewed.joined(part), pa.dictionary(pa.int32(), pa.string()))
    if "source_uri" in part.schema.names:
        above = pa.scalar(source_uri and printable(source_uri), pa.string())
        uris = pc.binary_join_element_wise(above, part["key"], "/")
        columns["of_source"] = pc.fill_null(pc.equal(part["source_uri"], uris), False)
    if "output_key" in part.schema.names:
        same = pc.equal(part["output_key"], part["key"])
        columns["renamed"] = pc.if_else(same, pa.scalar(None, pa.string()), part["output_key"])
    return pa.table(columns)


def _photos(rows: pa.Table, keys: pa.Array, codes: np.ndarray) -> pa.Table:
    """`State.photos` from rows of `_slim`, whose keys are encoded."""
    columns, order = {"key": keys}, _by_run(rows)
    last = _last(codes, order, len(keys))
    published = rows["published"].take(last)
    if "mask_coverage" in rows.schema.names:
        standing = _last(codes, _chosen(order, rows["published"]), len(keys))
        for name, column in (("run_id", "run_id"), ("coverage", "mask_coverage")):
            columns[f"standing_{name}"] = rows[column].take(standing)
    dropped = {"key", "published", "mask_coverage", "renamed", "moved_from"}
    rows = rows.drop_columns([name for name in rows.schema.names if name in dropped])
    for name in rows.schema.names:
        columns[name] = rows[name].take(last)
        rows = rows.drop_columns([name])  # with ten million photos each takes hundreds of megabytes
    columns["held"] = pc.and_not(among(columns["status"], [Status.REVIEW]), published)
    return pa.table(columns)


def _places(rows: pa.Table, keys: pa.Array, codes: np.ndarray) -> tuple[pa.Table, pa.Table]:
    """`State.places` and `State.moved` from rows of `_slim`, whose keys are encoded."""
    outputs, places = (keys, codes) if _all_null(rows["renamed"]) else _encoded(_output_keys(rows))
    order = _by_run(rows)
    last = _last(places, _chosen(order, rows["published"]), len(outputs))
    stands = pc.and_(pc.is_valid(last), pc.invert(_deleted(rows, codes, order, last)))
    if not pc.all(stands, min_count=0).as_py():
        outputs, last = outputs.filter(stands), last.filter(stands)
    columns = {name: rows[name].take(last) for name in ("run_seq", "run_id", "status", "mask_coverage")}
    whose = outputs if outputs is keys else keys.take(pa.array(codes).take(last))
    return _without_moved(pa.table({"output_key": outputs, "key": whose, **columns}), rows, order)


def _without_moved(places: pa.Table, rows: pa.Table, order: np.ndarray) -> tuple[pa.Table, pa.Table]:
    """Places without those that their pictures have left by later rows; and these, as `State.moved`."""
    if _all_null(rows["moved_from"]):
        return places, pa.table({name: places[name].slice(0, 0) for name in ("output_key", "key", "run_seq")})
    moves = rows.select(["moved_from", "key", "run_seq"]).take(
        pa.array(_chosen(order, pc.is_valid(rows["moved_from"])))
    )
    names, codes = _encoded(moves["moved_from"])
    moves = moves.take(_last(codes, np.arange(len(moves)), len(names)))
    move = pc.index_in(places["output_key"], value_set=moves["moved_from"])
    later = pc.greater(moves["run_seq"].take(move), places["run_seq"])
    left = pc.fill_null(pc.and_(later, pc.equal(moves["key"].take(move), places["key"])), False)
    places = places.filter(pc.invert(left))
    free = pc.invert(pc.is_in(moves["moved_from"], value_set=places["output_key"]))
    return places, moves.filter(free).rename_columns(["output_key", "key", "run_seq"])


def _deleted(rows: pa.Table, codes: np.ndarray, order: np.ndarray, last: pa.Array) -> pa.Array:
    """Whether the picture of each of the rows `last` was deleted later, with its photo; null for null."""
    deletions = _last(codes, _chosen(order, among(rows["reason"], [Reason.DELETED])), int(codes.max(initial=-1)) + 1)
    when = rows["run_seq"].take(deletions).combine_chunks().take(pa.array(codes).take(last))
    return pc.fill_null(pc.less_equal(rows["run_seq"].take(last).combine_chunks(), when), False)


def _fold(rows: pa.Table) -> pa.Table:
    """`rows` without those that mean nothing any more for `_photos` and `_places`."""
    keys, codes = _encoded(rows["key"])
    order = _by_run(rows)
    published = _chosen(order, rows["published"])
    needed = [_last(codes, order, len(keys)), _last(codes, published, len(keys))]
    if "renamed" in rows.schema.names:
        needed.append(_last(codes, _chosen(order, among(rows["reason"], [Reason.DELETED])), len(keys)))
        if not _all_null(rows["renamed"]):
            outputs, places = _encoded(_output_keys(rows))
            needed.append(_last(places, published, len(outputs)))
        if not _all_null(rows["moved_from"]):
            needed.append(pa.array(np.flatnonzero(pc.is_valid(rows["moved_from"]).to_numpy())))
    kept = np.zeros(len(rows), bool)
    for some in needed:
        kept[some.drop_null().to_numpy()] = True
    return rows.filter(pa.array(kept))  # `take` would first make one array of the names, which holds 2 GiB at most


def _all_null(values: pa.ChunkedArray) -> bool:
    return bool(values.null_count == len(values))


def _output_keys(rows: pa.Table) -> pa.ChunkedArray:
    return pc.coalesce(rows["renamed"], rows["key"])


def _encoded(names: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The different names, and for each row the number of its name."""
    encoded = names.dictionary_encode().combine_chunks()  # in this order: one array of names holds 2 GiB at most
    return encoded.dictionary, encoded.indices.to_numpy()


def _by_run(rows: pa.Table) -> np.ndarray:
    """The places of rows in the order of their runs."""
    return np.argsort(rows["run_seq"].to_numpy(), kind="stable")


def _chosen(order: np.ndarray, wanted: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Those places of `order` whose row is `wanted`."""
    return order[wanted.to_numpy(zero_copy_only=False)[order]]


def _last(codes: np.ndarray, order: np.ndarray, keys: int) -> pa.Array:
    """For each code the last place in `order` that has it, null for none."""
    places = np.full(keys, -1, np.int64)
    places[codes[order]] = order  # numpy keeps the last of several values for one place
    return pa.array(places, mask=places < 0)


def among(words: pa.Array | pa.ChunkedArray, values: list[str]) -> pa.Array:
    """Whether each of the dictionary-encoded `words` is one of `values`; false for null."""
    if isinstance(words, pa.ChunkedArray):
        words = words.combine_chunks()
    hits = pc.is_in(words.dictionary, value_set=pa.array(values, pa.string()))
    return pc.fill_null(hits.take(words.indices), False)
