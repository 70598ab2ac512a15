"""Which pictures only change their names, and in which order they can move; what is known after they have. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.contents import Contents
from glasseg.catalog.state import State
from glasseg.storage.naming import Naming

MOVES: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("key", "old", "new")),
        ("row", pa.int64()),
        ("level", pa.int32()),
        ("cycle", pa.int32()),
        ("name_number", pa.int32()),
        ("name_series", pa.string()),
        ("list_columns", pa.map_(pa.string(), pa.string())),
    ]
)
"""Pictures that move from `old` to `new`; where these are equal, only the number of the photo is new.

`row`: the `run_seq` of the photo's last row. Of a higher `level`: only after those of a lower one, one of which has
the place. `cycle`: of one number are those of which each has the place of another, -1 for none.
"""
MOST_MOVED: Final = 0.05
"""Share of the pictures that move without `--yes`, and below it the number that always does."""
FEW: Final = 5


def refusal(moves: pa.Table, places: pa.Table) -> str:
    """Why pictures do not move without `--yes`; "" when they may. `places`: `State.places`.

    A slip in a template, or another column in the list, would rename a whole catalog.
    """
    away = moves.filter(pc.not_equal(moves["old"], moves["new"]))
    if len(away) < FEW or len(away) <= MOST_MOVED * len(places):
        return ""
    first = away.slice(0, 1).to_pylist()[0]
    return (
        f"{len(away):,} of {len(places):,} pictures would be renamed ({first['old']} to {first['new']}, …): "
        "to rename so many, add --yes"
    )


def ordered(moves: pa.Table, naming: Naming) -> pa.Table:
    """`MOVES` with their levels and cycles; of each place comes one."""
    before = pc.fill_null(naming.index(moves["new"], moves["old"]), -1).to_numpy()
    before = np.where(before == np.arange(len(before)), -1, before)
    after = np.full(len(before), -1, np.int64)
    after[before[before >= 0]] = np.flatnonzero(before >= 0)
    level = np.full(len(before), -1, np.int32)
    front, depth = np.flatnonzero(before < 0), 0
    while len(front):
        level[front] = depth
        front, depth = after[front][after[front] >= 0], depth + 1
    cycle = np.full(len(before), -1, np.int32)
    for number, members in enumerate(_cycles(np.flatnonzero(level < 0), before)):
        cycle[members] = number
    level[level < 0] = depth
    moves = moves.append_column("level", pa.array(level)).append_column("cycle", pa.array(cycle))
    return moves.select(MOVES.names).cast(MOVES)


def _cycles(places: np.ndarray, before: np.ndarray) -> Iterator[list[int]]:
    seen = set[int]()
    for start in places.tolist():
        members, place = [], start
        while place not in seen:
            seen.add(place)
            members.append(place)
            place = int(before[place])
        if members:
            yield members


def state_after(known: State, moves: pa.Table, run_seq: int, naming: Naming) -> State:
    """What is known once the run `run_seq` has moved the pictures."""
    if not len(moves):
        return known
    moved = pc.is_in(known.photos["key"], value_set=moves["key"])
    numbers = pc.if_else(moved, pa.scalar(run_seq, pa.int64()), known.photos["run_seq"])
    photos = known.photos.set_column(known.photos.schema.get_field_index("run_seq"), "run_seq", numbers)
    away = moves.filter(pc.not_equal(moves["old"], moves["new"]))
    places = known.places
    fresh = places.take(pc.index_in(away["old"], value_set=places["output_key"]))
    fresh = fresh.set_column(0, "output_key", away["new"])
    fresh = fresh.set_column(
        fresh.schema.get_field_index("run_seq"),
        "run_seq",
        pa.chunked_array([pa.repeat(run_seq, len(fresh))], pa.int64()),
    )
    gone = pc.or_(
        pc.is_in(places["output_key"], value_set=away["old"]), naming.among(places["output_key"], away["new"])
    )
    kept = places.filter(pc.invert(gone))
    return replace(known, photos=photos, places=pa.concat_tables([kept, fresh.select(kept.schema.names)]))


def contents_after(contents: Contents, moves: pa.Table) -> Contents:
    """What a destination holds once the pictures have moved."""
    away = moves.filter(pc.not_equal(moves["old"], moves["new"]))
    return contents.changed(away["old"], pa.array([], pa.string())).changed(pa.array([], pa.string()), away["new"])
