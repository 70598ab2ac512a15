"""Which photos of a run a person should look at first, and the counts shown above them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import SCHEMA

QUOTAS: Final = {"failed": 0.2, "held": 0.2, "review": 0.25, "confidence": 0.1, "coverage": 0.1, "sample": 0.15}
"""The groups in the order in which the page shows them, each with its share of the cards."""

STATES: Final = ("ok", "review", "held", "failed", "gone")
"""What became of a photo: the manifest's statuses, and `held` for a review whose picture was held back."""

CHANGED: Final = 0.005
"""The smallest change of coverage worth a card; a smaller one means that an edge moved by a pixel or two."""

_BINS: Final = 24


@dataclass(frozen=True)
class Card:
    """One photo on the page: the group it was chosen for, and its manifest row."""

    group: str
    row: dict[str, Any]

    @property
    def state(self) -> str:
        """One of `STATES`."""
        row = self.row
        held = row.get("status") == "review" and row.get("published") is False and row.get("output_uri") is not None
        return "held" if held else str(row.get("status"))


def choose(rows: pa.Table, most: int = 300, seed: str = "") -> list[Card]:
    """At most `most` photos of one run, each once, in the groups and the order of `QUOTAS`, worst first.

    `rows` are the run's manifest rows; columns may be missing. The groups after it share what a group does not need.
    Photos to review are sorted by expected quality, the lowest first, those without one last. Photos that are gone get
    no card. `seed` draws the random sample.
    """
    chosen: dict[str, list[int]] = {group: [] for group in QUOTAS}
    taken: set[int] = set()
    ranked = _ranked(rows, seed)
    for group, share in [*_shares(), *((group, 1.0) for group in QUOTAS)]:  # the second round fills what is left
        fresh = (int(i) for i in ranked[group] if int(i) not in taken)
        wanted = math.ceil((most - len(taken)) * share)
        picked = [i for i, _ in zip(fresh, range(wanted), strict=False)]
        chosen[group] += picked
        taken.update(picked)
    quality = _numbers(rows, "quality")
    for group in ("held", "review"):
        chosen[group].sort(key=lambda i: np.inf if np.isnan(quality[i]) else quality[i])
    # row by row: a take() would first copy every name of a large run
    return [Card(group, rows.slice(i, 1).to_pylist()[0]) for group, picked in chosen.items() for i in picked]


def count(rows: pa.Table) -> dict[str, Any]:
    """How many photos of one run's rows there are in all and of each kind.

    `photos`: in all; `states`: by `STATES`; `reasons` and `codes`: by reason and error code, the most frequent first;
    `coverage`: the histogram of the pictures' mask coverage, as `counts` of equal bins from 0 to `upper`. `counts` is
    empty if no picture was measured.
    """
    states = _states(rows)
    pictures = np.isin(states, [STATES.index(name) for name in ("ok", "review", "held")])
    return {
        "photos": rows.num_rows,
        "states": {name: int(np.count_nonzero(states == i)) for i, name in enumerate(STATES)},
        "reasons": _frequencies(_column(rows, "reason")),
        "codes": _frequencies(_column(rows, "error_code")),
        "coverage": _histogram(_numbers(rows, "mask_coverage")[pictures]),
    }


def _shares() -> Iterator[tuple[str, float]]:
    """Each group with its share of the cards that the groups before it leave."""
    left = sum(QUOTAS.values())
    for group, quota in QUOTAS.items():
        yield group, min(1.0, quota / left)
        left -= quota


def _ranked(rows: pa.Table, seed: str) -> dict[str, np.ndarray]:
    """The row numbers that each group may show, worst first. A photo that is ok may be in several groups."""
    states, codes, doubt = _states(rows), _codes(rows), _surest_last(rows)
    ranked = {}
    for state in ("failed", "held", "review"):
        these = np.flatnonzero(states == STATES.index(state))
        ranked[state] = these[_in_turn(codes[these], doubt[these])]
    good = np.flatnonzero(states == STATES.index("ok"))
    measured = good[np.isfinite(_numbers(rows, "confidence")[good])]
    ranked["confidence"] = measured[np.argsort(doubt[measured], kind="stable")]
    change = np.abs(_numbers(rows, "mask_coverage") - _numbers(rows, "previous_coverage"))
    moved = good[change[good] >= CHANGED]  # false for a nan
    ranked["coverage"] = moved[np.argsort(-change[moved], kind="stable")]
    rng = np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()))
    ranked["sample"] = rng.permutation(good)
    return ranked


def _surest_last(rows: pa.Table) -> np.ndarray:
    """Each row's place in the order of quality, and of confidence where quality is unknown or equal; n int."""
    quality, confidence = (np.nan_to_num(_numbers(rows, name), nan=np.inf) for name in ("quality", "confidence"))
    places = np.empty(len(quality), np.int64)
    places[np.lexsort((confidence, quality))] = np.arange(len(quality))
    return places


def _in_turn(codes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """An order in which every code has its turn before any comes again, with each code's photos by their places.

    Thousands of photos with one fault must not hide the only photo with another.
    """
    order = np.lexsort((places, codes))
    ordered = codes[order]
    turn = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return order[np.argsort(turn, kind="stable")]


def _states(rows: pa.Table) -> np.ndarray:
    """The place in `STATES` of each row's state; n int8."""
    status = _column(rows, "status")
    states = np.full(rows.num_rows, -1, np.int8)
    for i, name in enumerate(STATES):
        states[_true(pc.equal(status, name))] = i
    unpublished = pc.equal(_column(rows, "published"), False)
    held = pc.and_(pc.and_(pc.equal(status, "review"), unpublished), pc.is_valid(_column(rows, "output_uri")))
    states[_true(held)] = STATES.index("held")
    return states


def _true(mask: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(mask, False).to_numpy()


def _column(rows: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of the manifest; all nulls if the table lacks it."""
    if name in rows.column_names:
        return rows[name]
    return pa.chunked_array([pa.nulls(rows.num_rows, SCHEMA.field(name).type)])


def _numbers(rows: pa.Table, name: str) -> np.ndarray:
    """A column as n float64, with nan for null."""
    return pc.fill_null(_column(rows, name).cast(pa.float64()), math.nan).to_numpy()


def _codes(rows: pa.Table) -> np.ndarray:
    """A number for the error code of each row, -1 for none; n int."""
    encoded = pc.dictionary_encode(_column(rows, "error_code")).combine_chunks()
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)


def _frequencies(values: pa.ChunkedArray) -> dict[str, int]:
    """How often each value occurs, the most frequent first; nulls are not counted."""
    counts = {str(pair["values"]): int(pair["counts"]) for pair in pc.value_counts(values.drop_null()).to_pylist()}
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _histogram(coverage: np.ndarray) -> dict[str, Any]:
    """`counts` of `_BINS` equal bins from 0 to `upper`, the next twentieth above all values; nans are not counted."""
    known = coverage[np.isfinite(coverage)]
    if not known.size:
        return {"upper": 1.0, "counts": []}
    upper = min(1.0, max(1, math.ceil(round(float(known.max()) * 20, 9))) / 20)
    return {"upper": upper, "counts": np.histogram(known, _BINS, (0.0, upper))[0].tolist()}
