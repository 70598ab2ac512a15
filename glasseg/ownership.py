"""Which files of a destination are ours: pictures that rows name, and those that an unfinished run was to write."""

from __future__ import annotations

import io
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glasseg import manifest, parquet, records
from glasseg.errors import GlassegError
from glasseg.storage import Root, delete_if_allowed

CLAIMS: Final = "_glasseg/claims/"


def refuse_foreign(root: Root, outputs: pa.ChunkedArray) -> None:
    """Raise GlassegError when one of `outputs`, files that are there and would be replaced, was not written by us."""
    if not len(outputs):
        return
    foreign = outputs.filter(pc.invert(ours(root, outputs)))
    if n := len(foreign):
        names = ", ".join(sorted(foreign.slice(0, 1000).to_pylist())[:3]) + (", …" if n > 3 else "")
        raise GlassegError(
            f"{n} files in the way in {root.uri} that glasseg did not write ({names}): "
            "choose another destination, or add --overwrite"
        )


def ours(root: Root, outputs: pa.ChunkedArray) -> pa.ChunkedArray:
    """For each of `outputs` whether a file of that name was written, or claimed, by us."""
    known = [*_written(root, outputs), *claimed(root)]
    return pc.is_in(outputs, value_set=pa.chunked_array(known, pa.string()))


def _written(root: Root, outputs: pa.ChunkedArray) -> list[pa.Array]:
    """Those of `outputs` that any row names, wherever the destination was then mounted.

    The last rows alone would not do: a photo that fails once, or changes its format, leaves an earlier picture behind.
    """
    found = []
    for part in manifest.parts(root, ("output_key", "published")):
        named = pc.and_kleene(part["published"], pc.is_in(part["output_key"], value_set=outputs))
        found += part["output_key"].filter(named).chunks
    return found


def claim(root: Root, run_id: str, outputs: pa.ChunkedArray) -> None:
    """Note the output names that a run is about to write, after it found that they are free or ours.

    Without it, a picture that a killed run wrote before its row was stored would for ever look like somebody else's.
    """
    buffer = io.BytesIO()
    pq.write_table(pa.table({"output": outputs}), buffer, compression="zstd")
    records.store(root, f"{CLAIMS}{run_id}.parquet", buffer.getvalue())


def release(root: Root, run_id: str | None = None) -> None:
    """Forget the claims of a run that came to its end, so that its pictures have their rows, or those of all runs."""
    own = f"{CLAIMS}{run_id}.parquet"
    for key in records.keys(root, CLAIMS if run_id is None else own, ".parquet"):
        if not delete_if_allowed(root, key):
            if run_id is not None:
                claim(root, run_id, pa.chunked_array([], pa.string()))
            return


def claimed(root: Root) -> list[pa.Array]:
    """Output names that unfinished runs have claimed. Raises GlassegError for a file that holds no claims."""
    found: list[pa.Array] = []
    for key in records.keys(root, CLAIMS, ".parquet"):
        with records.refused(root, key):
            found += parquet.read(root.read(key)[0])["output"].cast(pa.string()).chunks
    return found
