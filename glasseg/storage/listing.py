"""The contents of a folder or bucket as an Arrow table: a million names take a hundred megabytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice, pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.errors import DeniedError
from glasseg.storage.bucket import Bucket
from glasseg.storage.keys import Entry, printable
from glasseg.storage.roots import Root

SCHEMA: Final = pa.schema(
    [pa.field("key", pa.string(), False), pa.field("size", pa.int64(), False), pa.field("etag", pa.string(), False)]
)
THREADS: Final = 16
"""Prefixes of a bucket that are listed at the same time: a server returns a thousand names per request."""
_CHUNK: Final = 100_000


def read(root: Root, without: str | None = None) -> pa.Table:
    """Everything in a root except the folder `without` (such as "_glasseg/"), as a table of `SCHEMA`.

    A key that is not valid text is listed with its bytes escaped, see `keys.printable`; such names can't be outputs. A
    bucket is listed by up to `THREADS` prefixes at once, and its keys are not sorted. Raises GlassegError when
    something can't be listed.
    """
    if isinstance(root, Bucket):
        return pa.concat_tables(_bucket(root, without))
    return table(root.list(without=without))


def table(entries: Iterable[Entry]) -> pa.Table:
    """Entries as a table of `SCHEMA`; a key that is listed twice, as between two pages, is there once."""
    rest = iter(entries)
    batches = []
    while some := list(islice(rest, _CHUNK)):
        columns = [[printable(one.key) for one in some], [one.size for one in some], [one.etag for one in some]]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        batches.append(pa.record_batch(arrays, schema=SCHEMA))
    made = pa.Table.from_batches(batches, SCHEMA)
    return made if _ascends(made["key"]) else made.filter(first_of(made["key"]))


def _ascends(keys: pa.ChunkedArray) -> bool:
    """Whether keys are in the order of S3, so that none is there twice: without the memory that a comparison takes."""
    chunks = [chunk for chunk in keys.chunks if len(chunk)]
    within = all(pc.all(pc.less(chunk[:-1], chunk[1:]), min_count=0).as_py() for chunk in chunks)
    return within and all(one[-1].as_py() < other[0].as_py() for one, other in pairwise(chunks))


def first_of(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """For each value whether it is the first of its kind."""
    codes = pc.index_in(values, value_set=values)  # the first place of each value
    return pc.equal(codes, pa.array(np.arange(len(values), dtype=np.int32)))


def says(root: Root, key: str, etag: str) -> bool:
    """Whether a bucket's listing now gives an object this etag: one that was read with another is seen through a proxy.

    False for a folder, where both have one source, and where that may not be asked.
    """
    if not isinstance(root, Bucket):
        return False
    with suppress(DeniedError):
        return any(entry.etag == etag for entry in root.list(key) if entry.key == key)
    return False


def compared_by(root: Root, listing: pa.Table) -> str:
    """What tells in a listing whether a photo has changed: "ETag", or "size and time", "size", "time", "nothing"."""
    first = listing["etag"].slice(0, 1000).to_pylist() if isinstance(root, Bucket) else []
    bare = [found for etag in first if (found := re.fullmatch(r"(-?\d{1,15})-(\d+)", etag))]
    if not bare:
        return "ETag"
    known = {"size": all(one[1] != "-1" for one in bare), "time": all(one[2] != "0" for one in bare)}
    return " and ".join(name for name, given in known.items() if given) or "nothing"


def _bucket(bucket: Bucket, without: str | None) -> Iterator[pa.Table]:
    """All objects of a bucket: level by level until there are enough folders to list side by side."""

    def flat(prefix: str) -> pa.Table:
        return table(one for one in bucket.list(prefix) if without is None or not one.key.startswith(without))

    folders: list[str] = [""]
    streams: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        while folders and len(folders) + len(streams) < THREADS:
            levels = list(zip(folders, pool.map(bucket.level, folders), strict=True))
            streams += [folder for folder, (_, below) in levels if below is None]
            yield from (table(entries) for _, (entries, below) in levels if below is not None)
            folders = [one for _, (_, below) in levels for one in below or () if one != without]
        yield from pool.map(flat, [*streams, *folders])
