"""Photos that have left the source since a run worked on them, and the pictures that they leave behind."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import Reason, Status
from glasseg.catalog.state import among
from glasseg.storage.naming import Naming

MOST_DELETED: Final = 0.05
"""Share of the known photos whose pictures are deleted without `--yes`."""


def photos(found: pa.Table, state: pa.Table, *, delete: bool, skipped: pa.ChunkedArray | None = None) -> pa.Table:
    """The rows of `state` whose photos were below the source and are not in its complete listing any more.

    `skipped`: keys of the listing that are no photos for this run, but may have been for an earlier one.
    Those that an earlier run recorded are left out; with `delete` only those whose pictures it deleted.
    """
    listed = pc.is_in(state["key"], value_set=found["key"])
    if skipped is not None:
        listed = pc.or_(listed, pc.is_in(state["key"], value_set=skipped))
    left = pc.and_not(state["of_source"], listed)
    recorded = among(state["reason"], [Reason.DELETED]) if delete else among(state["status"], [Status.GONE])
    return state.filter(pc.and_not(left, recorded))


def kept(state: pa.Table, skipped: pa.ChunkedArray) -> int:
    """How many rows of `state` are of photos that are `skipped` now, and not gone."""
    here = pc.and_(state["of_source"], pc.is_in(state["key"], value_set=skipped))
    return pc.sum(pc.and_not(here, among(state["status"], [Status.GONE]))).as_py() or 0


def pictures(gone: pa.Table, places: pa.Table, outputs: pa.ChunkedArray, naming: Naming) -> tuple[pa.Table, pa.Table]:
    """`key` and `output_key` of what stands in the destination of photos that are gone: the rest, and in `outputs`.

    What a photo that is still there has replaced, under another name for the same file, stands no more.
    """
    pairs = places.select(["key", "output_key"])
    if not len(gone):
        return pairs.slice(0, 0), pairs.slice(0, 0)
    left = pc.is_in(pairs["key"], value_set=gone["key"])
    theirs = pairs.filter(left)
    needed = naming.among(theirs["output_key"], outputs)
    taken = naming.among(theirs["output_key"], pairs.filter(pc.invert(left))["output_key"])
    return theirs.filter(pc.invert(needed)), theirs.filter(pc.and_not(needed, taken))


def refusal(gone: pa.Table, known: pa.Table) -> str:
    """Why the pictures of `gone` are not deleted without `--yes`; "" when they may be."""
    there = pc.sum(pc.and_not(known["of_source"], among(known["reason"], ["deleted"]))).as_py() or 0
    if len(gone) <= MOST_DELETED * there:
        return ""
    names = ", ".join(gone["key"].slice(0, 3).to_pylist())
    return (
        f"{len(gone)} of {there} known photos have left the source ({names} …): "
        "to delete the pictures of so many, add --yes"
    )
