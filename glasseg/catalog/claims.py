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
    """The pictures that were written since an unfinished run claimed their names, as `output` and that run's `run_id`.

    A picture whose mask was written counts as well: a run may have ended between the two. Where several runs did, the
    last of them. A row older than that run does not describe the picture that stands there.
    """
    claims = [entry for entry in reversed(records.entries(root, CLAIMS, ".parquet")) if len(_claims(root, entry.key))]
    found = [pa.table({"output": pa.array([], pa.string()), "run_id": pa.array([], pa.string())})]
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
        run_id = claim.key.removeprefix(CLAIMS).removesuffix(".parquet")
        found.append(pa.table({"output": names, "run_id": pa.array([run_id] * len(names), pa.string())}))
    return pa.concat_tables(found)


def _there(root: Root, names: list[str], naming: Naming) -> Iterator[Entry]:
    """What is in a destination of `names`, or all of it where these are many, or a file has several."""
    if len(names) > _FEW or naming != EXACT:
        return root.list()
    return (entry for name in dict.fromkeys(names) for entry in root.list(name) if entry.key == name)


def claim(root: Root, run_id: str, outputs: pa.ChunkedArray) -> None:
    """Note the output names that a run is about to write, after it found that they are free or ours.

    Without it, a picture that a killed run wrote before its row was stored would look like somebody else's for ever.
    """
    buffer = io.BytesIO()
    pq.write_table(pa.table({"output": outputs}), buffer, compression="zstd")
    records.store(root, _key(run_id), buffer.getvalue())


def _key(run_id: str) -> str:
    return f"{CLAIMS}{run_id}.parquet"


def drop(root: Root, run_id: str) -> None:
    """Drop the claims of a run that came to its end: its pictures have their rows."""
    for key in records.keys(root, _key(run_id), ".parquet"):
        _forget(root, key)


def _forget(root: Root, key: str) -> None:
    if not delete_if_allowed(root, key) and len(_claims(root, key)):
        claim(root, key.removeprefix(CLAIMS).removesuffix(".parquet"), pa.chunked_array([], pa.string()))


def settle(root: Root, run_id: str, published: pa.ChunkedArray, naming: Naming = EXACT) -> None:
    """After a run over the whole source: drop all claims except those on files that no row names.

    Their photos failed, or were away; when they are back, these files must not look like somebody else's. `published`:
    the outputs that rows name, those of this run included.
    """
    names = pa.chunked_array(claimed(root), pa.string())
    if not len(names):
        return
    unnamed = set(names.filter(pc.invert(naming.among(names, published))).to_pylist())
    if left := _still_there(root, unnamed, naming):
        claim(root, run_id, pa.chunked_array([left], pa.string()))
    for key in records.keys(root, CLAIMS, ".parquet"):
        if key != _key(run_id):
            _forget(root, key)


def _still_there(root: Root, names: set[str], naming: Naming) -> list[str]:
    """Those of `names` that are in a destination, all of them where it can't be listed."""
    try:
        there = [printable(one.key) for one in _there(root, sorted(names), naming)]
    except DeniedError:
        return sorted(names)
    wanted = pa.array(sorted(names), pa.string())
    return list(wanted.filter(naming.among(wanted, pa.array(there, pa.string()))).to_pylist())


def claimed(root: Root) -> list[pa.Array]:
    """Output names that unfinished runs have claimed. Raises GlassegError for a file that holds no claims."""
    return [chunk for key in records.keys(root, CLAIMS, ".parquet") for chunk in _claims(root, key).chunks]


def _claims(root: Root, key: str) -> pa.ChunkedArray:
    with records.refused(root, key):
        return parquet.read(root.read(key)[0])["output"].cast(pa.string())
