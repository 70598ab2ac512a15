"""Few large parts instead of many small ones: the rows of old runs merged, so that reading them stays quick."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import manifest, records
from glasseg.catalog.manifest import MANIFEST, MERGED
from glasseg.catalog.schema import SCHEMA
from glasseg.storage.roots import Entry, Root, delete_if_allowed

INTENT: Final = "_glasseg/compaction.json"
MOST_SMALL: Final = 32
"""Parts below `LARGE` that are left as they are."""
LARGE: Final = 24 << 20
"""Bytes of a part that is not merged any more: about a quarter of a million rows."""


def compact(root: Root, run_id: str) -> int:
    """Merge small parts into files of the run `run_id`, if there are many; how many parts that took away.

    To be called under the lock of the destination. The merged file is written before the old ones are deleted, so a
    run that is killed here leaves rows twice at most; which ones, it noted before, and the next call deletes them.
    Where nothing may be deleted, nothing is merged.
    """
    _finish(root)
    small = [one for one in records.entries(root, MANIFEST, ".parquet") if one.size < LARGE]
    if len(small) <= MOST_SMALL or not delete_if_allowed(root, INTENT):
        return 0
    merged = 0
    for number, group in enumerate(_groups(small)):
        merged += _merge(root, [one.key for one in group], f"{MANIFEST}{run_id}{MERGED}{number:05d}.parquet")
    return merged


def _finish(root: Root) -> None:
    """Delete what a merge that was killed had left to delete."""
    if not root.exists(INTENT):
        return
    with records.refused(root, INTENT):
        intent = json.loads(root.read(INTENT)[0])
        target, keys = intent["merged"], list(intent["parts"])
    if root.exists(target):
        for key in keys:
            records.discard(root, key)
    records.discard(root, INTENT)


def _groups(parts: list[Entry]) -> Iterator[list[Entry]]:
    """Neighbours that are one large part together, and what is left over at the end, unless it is a single one."""
    group: list[Entry] = []
    size = 0
    for one in parts:
        group.append(one)
        size += one.size
        if size >= LARGE:
            yield group
            group, size = [], 0
    if len(group) > 1:
        yield group


def _merge(root: Root, keys: list[str], target: str) -> int:
    """Write the rows of the parts `keys`, each once, as `target`, and delete them; how many parts went."""
    tables = [(key, manifest.part(root, key)) for key in keys]
    known = [(key, table) for key, table in tables if table is not None]
    if len(known) < 2:
        return 0
    rows = pa.concat_tables([table for _, table in known])
    if any(rows[field.name].null_count for field in SCHEMA if not field.nullable):
        return 0  # written before the first release: they can be read, but not stored again as they are
    names = pc.binary_join_element_wise(pc.cast(rows["run_seq"], pa.string()), rows["key"], "/")
    rows = rows.filter(manifest.first_of(names)).cast(SCHEMA)
    gone = [key for key, _ in known]
    records.store(root, INTENT, json.dumps({"merged": target, "parts": gone}).encode())
    manifest.write_table(root, target, rows)
    for key in gone:
        records.discard(root, key)
    records.discard(root, INTENT)
    return len(gone)
