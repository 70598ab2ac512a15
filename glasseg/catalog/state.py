"""What is known of every photo: of a million rows over many nights the last one of each key, as an Arrow table."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import manifest
from glasseg.storage.keys import printable
from glasseg.storage.roots import Root

_WORDS: Final = ("status", "error_code", "reason", "model_id", "options_id", "run_id")
"""Columns of few different values: kept as numbers into a dictionary."""

_BRIEF: Final = ("key", "run_seq", "published", "status", "error_code", "model_id", "options_id", "run_id")
_READ: Final = (*_BRIEF, "reason", "source_etag", "source_uri", "width", "height", "mask_coverage")
_FOLD: Final = 1_500_000
"""Rows that may gather before those that later ones have overtaken are let go."""


def read(root: Root, source_uri: str | None = None, *, brief: bool = False) -> pa.Table:
    """The last row of every photo, and what stands in the destination: one row a key.

    Columns: `key, run_seq, status, error_code, reason, model_id, options_id, run_id, source_etag, width, height` of the
    row with the highest `run_seq`, whatever the clock said; `held`, whether that row's picture was withheld;
    `of_source`, whether that row's photo is `key` below `source_uri` (false without one); and of the last published row
    `standing_run_id, standing_coverage`, null when there is none. `brief` leaves out what only a plan
    needs: `reason, source_etag, width, height, of_source`, and what stands there.
    """
    columns = _BRIEF if brief else _READ
    known = [_slim(manifest.wanted(columns).empty_table(), source_uri)]
    kept = 0
    for part in manifest.parts(root, columns):
        known.append(_slim(part, source_uri))
        if sum(map(len, known)) > 2 * kept + _FOLD:
            known = [_fold(_joined(known))]
            kept = len(known[0])
    return newest(_joined(known))


def _joined(parts: list[pa.Table]) -> pa.Table:
    """The parts as one table with common dictionaries; they are taken out of their list, so that they can go."""
    whole = pa.concat_tables(parts).unify_dictionaries()
    parts.clear()
    return whole


def _slim(part: pa.Table, source_uri: str | None) -> pa.Table:
    """The rows of a part with words as dictionaries and without the long uris."""
    columns = {name: part[name] for name in part.schema.names if name not in {*_WORDS, "source_uri"}}
    columns |= {
        name: pc.cast(part[name], pa.dictionary(pa.int32(), pa.string()))
        for name in _WORDS
        if name in part.schema.names
    }
    columns["published"] = pc.fill_null(part["published"], False)
    if "source_uri" in part.schema.names:
        above = pa.scalar(source_uri and printable(source_uri), pa.string())
        uris = pc.binary_join_element_wise(above, part["key"], "/")
        columns["of_source"] = pc.fill_null(pc.equal(part["source_uri"], uris), False)
    return pa.table(columns)


def newest(rows: pa.Table) -> pa.Table:
    """Of each key the row with the highest `run_seq` among rows of `_slim`, and what was published last."""
    keys, last, standing = _places(rows)
    columns = {"key": keys}
    published = rows["published"].take(last)
    if "mask_coverage" in rows.schema.names:
        for name, column in (("run_id", "run_id"), ("coverage", "mask_coverage")):
            columns[f"standing_{name}"] = rows[column].take(standing)
    rows = rows.drop_columns([name for name in ("key", "published", "mask_coverage") if name in rows.schema.names])
    for name in rows.schema.names:
        columns[name] = rows[name].take(last)
        rows = rows.drop_columns([name])  # of ten million photos each takes hundreds of megabytes
    columns["held"] = pc.and_not(among(columns["status"], ["review"]), published)
    return pa.table(columns)


def _fold(rows: pa.Table) -> pa.Table:
    """`rows` without those that tell nothing any more: neither the last of their key, nor the last published."""
    _, last, standing = _places(rows)
    kept = np.zeros(len(rows), bool)
    for places in (last, standing.drop_null()):
        kept[places.to_numpy()] = True
    return rows.filter(pa.array(kept))  # `take` would first make one array of the names, which holds 2 GiB at most


def _places(rows: pa.Table) -> tuple[pa.Array, pa.Array, pa.Array]:
    """The keys, and for each the place of its last row, and of its last published row or null."""
    keys = rows["key"].dictionary_encode().combine_chunks()  # in this order: one array of names holds 2 GiB at most
    codes = keys.indices.to_numpy()
    order = np.argsort(rows["run_seq"].to_numpy(), kind="stable")
    published = order[rows["published"].to_numpy()[order]]
    count = len(keys.dictionary)
    return keys.dictionary, _last(codes, order, count), _last(codes, published, count)


def _last(codes: np.ndarray, order: np.ndarray, keys: int) -> pa.Array:
    """For each code the last place in `order` that has it, null for none."""
    places = np.full(keys, -1, np.int64)
    places[codes[order]] = order  # of several values for one place numpy keeps the last
    return pa.array(places, mask=places < 0)


def among(words: pa.Array | pa.ChunkedArray, values: list[str]) -> pa.Array:
    """Whether each of the dictionary-encoded `words` is one of `values`; false for null."""
    if isinstance(words, pa.ChunkedArray):
        words = words.combine_chunks()
    hits = pc.is_in(words.dictionary, value_set=pa.array(values, pa.string()))
    return pc.fill_null(hits.take(words.indices), False)
