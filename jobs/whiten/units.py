"""Units: rows of the work that are done together, such as all pictures of a photo, and tables of whole ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import Reason

_STEP: Final = 500_000
"""Units that are put together at a time: all strings of a large catalog are too long for one array."""


def merged(works: Sequence[pa.Table]) -> pa.Table:
    """The work of each destination, tables of `PENDING`, as one: the rows of a unit, and of a photo, are neighbours.

    Units come in the order of their first rows, those of which every row is a retry last. A photo that one destination
    has in the unit of a group is worked on with that group for all of them.
    """
    groups = _groups(works)
    if len(works) == 1 and not len(groups):
        return works[0]
    units = [_units(work, groups) for work in works]
    known = pa.chunked_array([], pa.string())
    for one in units:
        new = pc.unique(one.filter(pc.invert(pc.is_in(one, value_set=known))))
        known = pa.chunked_array([*known.chunks, new], pa.string())
    ranks = [pc.index_in(one, value_set=known).to_numpy() for one in units]
    ranks = _retries_last(ranks, works, len(known))
    rows = np.sum([np.bincount(rank, minlength=len(known)) for rank in ranks], axis=0)
    parts = [
        _replaced(work, unit=one, unit_rows=pa.array(rows[rank], pa.int32()))
        for work, one, rank in zip(works, units, ranks, strict=True)
    ]
    return pa.concat_tables([works[0].slice(0, 0), *_interleaved(parts, ranks, len(known))])


def _groups(works: Sequence[pa.Table]) -> pa.Table:
    """`key` and `unit` of the photos that some destination has in the unit of a group."""
    grouped = [work.filter(pc.not_equal(work["unit"], work["key"])).select(["key", "unit"]) for work in works]
    return pa.concat_tables(grouped)


def _units(work: pa.Table, groups: pa.Table) -> pa.ChunkedArray:
    if not len(groups):
        return work["unit"]
    theirs = groups["unit"].combine_chunks().take(pc.index_in(work["key"], value_set=groups["key"]).combine_chunks())
    return pa.chunked_array([pc.coalesce(theirs, work["key"].combine_chunks())])


def _retries_last(ranks: Sequence[np.ndarray], works: Sequence[pa.Table], count: int) -> list[np.ndarray]:
    """The rank of each row's unit when the units that consist of retries come after all others; n int."""
    late = np.ones(count, bool)
    for rank, work in zip(ranks, works, strict=True):
        late[rank[pc.not_equal(work["reason"], Reason.RETRY).to_numpy()]] = False
    place = np.empty(count, np.int64)
    place[np.argsort(late, kind="stable")] = np.arange(count)
    return [place[rank] for rank in ranks]


def _replaced(work: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, column in columns.items():
        work = work.set_column(work.schema.get_field_index(name), work.schema.field(name), column)
    return work


def _interleaved(works: Sequence[pa.Table], ranks: Sequence[np.ndarray], count: int) -> Iterator[pa.Table]:
    """The rows of all `works` by the ranks of their units, in tables of `_STEP` of these."""
    ordered = [_by_rank(work, rank) for work, rank in zip(works, ranks, strict=True)]
    for first in range(0, count, _STEP):
        ends = [np.searchsorted(rank, (first, first + _STEP)) for _, rank in ordered]
        some = pa.concat_tables(work.slice(a, b - a) for (work, _), (a, b) in zip(ordered, ends, strict=True))
        rank = np.concatenate([rank[a:b] for (_, rank), (a, b) in zip(ordered, ends, strict=True)])
        photo = pc.index_in(some["key"], value_set=some["key"]).to_numpy()
        yield some.take(pa.array(np.lexsort((photo, rank))))


def _by_rank(work: pa.Table, rank: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    if not (rank[1:] < rank[:-1]).any():
        return work, rank
    order = np.argsort(rank, kind="stable")
    return work.take(pa.array(order)), rank[order]


def tables(work: pa.Table, photos: int) -> list[pa.Table]:
    """`work` in tables of at least so many photos, where there are as many, and of the fewest whole units."""
    starts = np.append(_begins(work["unit"]), len(work))
    before = np.append(np.searchsorted(_begins(work["key"]), starts[:-1]), count(work))  # photos before each unit
    cuts, done = [0], 0
    while cuts[-1] < len(work):
        unit = min(int(np.searchsorted(before, done + photos)), len(before) - 1)
        cuts.append(int(starts[unit]))
        done = int(before[unit])
    return [work.slice(start, end - start) for start, end in pairwise(cuts)]


def count(work: pa.Table) -> int:
    """How many photos rows of `PENDING` are of."""
    return len(_begins(work["key"]))


def _begins(words: pa.ChunkedArray) -> np.ndarray:
    """The numbers of the rows that differ from the one before; n int64, the first is 0 where there is any."""
    differs = pc.fill_null(pc.not_equal(words[1:], words[:-1]), True).to_numpy()
    return np.append(0, 1 + np.flatnonzero(differs)) if len(words) else np.zeros(0, np.int64)
