"""What a destination holds besides our records, as far as that can be seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims
from glasseg.errors import DeniedError
from glasseg.formats import OURS
from glasseg.storage import listing
from glasseg.storage.naming import Naming
from glasseg.storage.roots import Root


@dataclass(frozen=True)
class Contents:
    """The files of a destination; all None where it can't be listed."""

    names: pa.ChunkedArray | None = None
    empty: pa.ChunkedArray | None = None
    """Those of them with no bytes."""
    touched: pa.Table | None = None
    """As `claims.touched` returns it."""

    @property
    def listed(self) -> bool:
        """Whether the destination could be listed."""
        return self.names is not None

    def changed(self, gone: pa.Array | pa.ChunkedArray, come: pa.Array | pa.ChunkedArray) -> Contents:
        """The contents without some files and with others, which are not empty."""
        if self.names is None or self.empty is None or not (len(gone) or len(come)):
            return self
        left = self.names.filter(pc.invert(pc.is_in(self.names, value_set=gone)))
        new = pc.unique(come.filter(pc.invert(pc.is_in(come, value_set=left))))
        away = pa.concat_arrays([_one(gone), _one(come)])
        empty = self.empty.filter(pc.invert(pc.is_in(self.empty, value_set=away)))
        return replace(self, names=pa.chunked_array([*left.chunks, new], pa.string()), empty=empty)


def read(destination: Root, naming: Naming) -> Contents:
    """What is in a destination, and what of it an unfinished run wrote."""
    try:
        found = listing.read(destination, OURS)
    except DeniedError:
        return Contents()
    empty = found["key"].filter(pc.equal(found["size"], 0))
    return Contents(found["key"], empty, claims.touched(destination, naming))


def _one(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    return names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
