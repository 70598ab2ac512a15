"""Which files of a destination are ours: pictures that rows name, and those that an unfinished run was to write.

A run claims the names that it is about to write, and drops its claims at its end, when its pictures have rows. So the
names in the claims of a run that was killed or stopped are those whose pictures may be newer than their rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glasseg.catalog import manifest, records
from glasseg.errors import DeniedError, GlassegError
from glasseg.storage import parquet
from glasseg.storage.keys import Entry, printable
from glasseg.storage.naming import EXACT, Naming
from glasseg.storage.roots import Root, delete_if_allowed

CLAIMS: Final = "_glasseg/claims/"
_NUMBER: Final = b"run_seq"
_TOUCHED: Final = pa.schema([("output", pa.string()), ("run_id", pa.string()), ("run_seq", pa.int64())])
_FEW: Final = 100
"""Names that are looked up one by one; for more the destination is listed."""


def refuse_foreign(root: Root, outputs: pa.ChunkedArray, known: pa.Table, naming: Naming = EXACT) -> None:
    """Raise GlassegError when one of `outputs`, files that are there and would be replaced, was not written by us.

    `known`: `State.places`; `naming`: what the root ignores in names.
    """
    if not len(outputs):
        return
    foreign = outputs.filter(pc.invert(ours(root, outputs, known, naming)))
    if n := len(foreign):
        names = ", ".join(sorted(foreign.slice(0, 1000).to_pylist())[:3]) + (", …" if n > 3 else "")
        raise GlassegError(
            f"{n} files in the way in {root.uri} that glasseg did not write ({names}): "
            "choose another destination, or add --overwrite"
        )


def ours(root: Root, outputs: pa.ChunkedArray, known: pa.Table, naming: Naming = EXACT) -> pa.ChunkedArray:
    """For each of `outputs` whether a file of that name was written, by `State.places`, or claimed by us."""
    names = [*known["output_key"].chunks, *claimed(root)]
    return naming.among(outputs, pa.chunked_array(names, pa.string()))


def touched(root: Root, naming: Naming = EXACT) -> pa.Table:
    """The pictures that were written since an unfinished run claimed their names: `output`, its `run_id, run_seq`.

    A picture whose mask was written counts as well: a run may have ended between the two. Where several runs did, the
    last of them. A row older than that run does not describe the picture that stands there.
    """
    entries = records.entries(root, CLAIMS, ".parquet")
    numbers = {entry: _number(root, entry.key) for entry in entries if len(_claims(root, entry.key))}
    claims = sorted(numbers, key=lambda entry: (numbers[entry] or 0, entry.key), reverse=True)
    found = [_TOUCHED.empty_table()]
    if not claims:
        return found[0]
    since = min(claim.modified for claim in claims)
    outputs = [name for chunk in claimed(root) for name in chunk.slice(0, _FEW + 1).to_pylist()]
    there = _there(root, [one for name in outputs for one in (name, manifest.mask_key(name))], naming)
    written = [one for one in there if one.modified >= since]
    for claim in claims:
        later = dict.fromkeys(
            manifest.output_of(printable(one.key)) for one in written if one.modified >= claim.modified
        )
        names = pa.array(list(later), pa.string())
        names = names.filter(naming.among(names, _claims(root, claim.key)))
        run_id, run_seq = claim.key.removeprefix(CLAIMS).removesuffix(".parquet"), numbers[claim]
        found.append(pa.table([names, [run_id] * len(names), [run_seq] * len(names)], schema=_TOUCHED))
    return pa.concat_tables(found)


def _there(root: Root, names: list[str], naming: Naming) -> Iterator[Entry]:
    """What is in a destination of `names`, or all of it where these are many, or a file has several."""
    if len(names) > _FEW or naming != EXACT:
        return root.list()
    return (entry for name in dict.fromkeys(names) for entry in root.list(name) if entry.key == name)


def claim(root: Root, run_id: str, outputs: pa.ChunkedArray, run_seq: int | None = None) -> None:
    """Note the output names that a run is about to write, after it found that they are free or ours.

    Without it, a picture that a killed run wrote before its row was stored would look like somebody else's for ever.
    """
    buffer = io.BytesIO()
    number = {_NUMBER: str(run_seq)} if run_seq else None
    pq.write_table(pa.table({"output": outputs}, metadata=number), buffer, compression="zstd")
    records.store(root, _key(run_id), buffer.getvalue())


def _key(run_id: str) -> str:
    return f"{CLAIMS}{run_id}.parquet"


def drop(
    root: Root,
    run_id: str,
    doubtful: pa.ChunkedArray | None = None,
    *,
    run_seq: int | None = None,
    naming: Naming = EXACT,
) -> None:
    """Drop the claims of a run that came to its end: its pictures have their rows.

    `doubtful`: outputs of photos that failed, which no row names. The worker may have died, or the answer of a server
    may have been lost, when the picture was in its place: the claims on those that were written since they were made
    stay.
    """
    for claims in records.entries(root, _key(run_id), ".parquet"):
        names = set(doubtful.to_pylist()) if doubtful else set()
        if left := _still_there(root, names, naming, since=claims.modified):
            claim(root, run_id, pa.chunked_array([left], pa.string()), run_seq)
        else:
            _forget(root, claims.key)


def _forget(root: Root, key: str) -> None:
    if not delete_if_allowed(root, key) and len(_claims(root, key)):
        claim(root, key.removeprefix(CLAIMS).removesuffix(".parquet"), pa.chunked_array([], pa.string()))


def settle(
    root: Root, run_id: str, published: pa.ChunkedArray, naming: Naming = EXACT, run_seq: int | None = None
) -> None:
    """After a run over the whole source: drop all claims except those on files that no row names.

    Their photos failed, or were away; when they are back, these files must not look like somebody else's. `published`:
    the outputs that rows name, those of this run included.
    """
    names = pa.chunked_array(claimed(root), pa.string())
    if not len(names):
        return
    unnamed = set(names.filter(pc.invert(naming.among(names, published))).to_pylist())
    if left := _still_there(root, unnamed, naming):
        claim(root, run_id, pa.chunked_array([left], pa.string()), run_seq)
    for key in records.keys(root, CLAIMS, ".parquet"):
        if key != _key(run_id):
            _forget(root, key)


def _still_there(root: Root, names: set[str], naming: Naming, since: float = 0.0) -> list[str]:
    """Those of `names` that are in a destination, written `since` then; all of them where it can't be listed."""
    if not names:
        return []
    try:
        there = [printable(one.key) for one in _there(root, sorted(names), naming) if one.modified >= since]
    except DeniedError:
        return sorted(names)
    wanted = pa.array(sorted(names), pa.string())
    return list(wanted.filter(naming.among(wanted, pa.array(there, pa.string()))).to_pylist())


def claimed(root: Root) -> list[pa.Array]:
    """Output names that unfinished runs have claimed. Raises GlassegError for a file that holds no claims."""
    return [chunk for key in records.keys(root, CLAIMS, ".parquet") for chunk in _claims(root, key).chunks]


def _number(root: Root, key: str) -> int | None:
    """The number of the run whose claims these are; None for those that an earlier version wrote."""
    with records.refused(root, key):
        told = parquet.read(root.read(key)[0]).schema.metadata or {}
        return int(told[_NUMBER]) if _NUMBER in told else None


def _claims(root: Root, key: str) -> pa.ChunkedArray:
    with records.refused(root, key):
        return parquet.read(root.read(key)[0])["output"].cast(pa.string())
