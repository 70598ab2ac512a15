"""Few large parts instead of many small ones: the rows of old runs merged, so that reading them stays quick."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import manifest, records
from glasseg.catalog.manifest import MANIFEST, MERGED
from glasseg.catalog.schema import SCHEMA
from glasseg.storage import listing
from glasseg.storage.roots import Entry, Root, delete_if_allowed

INTENT: Final = "_glasseg/compaction.json"
MOST_SMALL: Final = 32
"""Parts below `LARGE` that are left as they are."""
LARGE: Final = 24 << 20
"""Bytes of a part that is not merged any more: about a quarter of a million rows."""


def compact(root: Root, run_id: str, check: Callable[[], None] = lambda: None) -> int:
    """Merge small parts into files of the run `run_id`, if there are many; how many parts that took away.

    To be called under the lock of the destination; `check` raises when that was lost, since whoever has it then undoes
    the merge, and the parts must stay. The merged file is read again before the old ones are deleted, so a run that is
    killed here leaves rows twice at most; which ones, it noted before, and `finish` deletes them. Where nothing may be
    deleted, nothing is merged.
    """
    finish(root)
    small = [one for one in records.entries(root, MANIFEST, ".parquet") if one.size < LARGE]
    if len(small) <= MOST_SMALL or not delete_if_allowed(root, INTENT):
        return 0
    merged = 0
    for number, group in enumerate(_groups(small)):
        merged += _merge(root, [one.key for one in group], f"{MANIFEST}{run_id}{MERGED}{number:05d}.parquet", check)
    return merged


def finish(root: Root) -> None:
    """Undo a merge that was killed before it had deleted a part, else delete what it had left. Under the lock, as well.

    The first part goes when the merged one is known to be whole: before that nobody knows, and it may be empty.
    """
    if not root.exists(INTENT):
        return
    with records.refused(root, INTENT):
        intent = json.loads(root.read(INTENT)[0])
        target, parts = intent["merged"], list(intent["parts"])
    left = [key for key in parts if root.exists(key)]
    if root.exists(target):
        _discard(root, left if len(left) < len(parts) else [target])
    records.discard(root, INTENT)


def _discard(root: Root, keys: list[str]) -> None:
    """Delete parts, also as far as a power cut could bring them back."""
    for key in keys:
        records.discard(root, key)
    root.sync(keys)


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


def _merge(root: Root, keys: list[str], target: str, check: Callable[[], None]) -> int:
    """Write the rows of the parts `keys`, each once, as `target`, and delete them; how many parts went."""
    tables = [(key, manifest.part(root, key)) for key in keys]
    known = [(key, table) for key, table in tables if table is not None]
    if len(known) < 2:
        return 0
    rows = pa.concat_tables([table for _, table in known])
    if any(rows[field.name].null_count for field in SCHEMA if not field.nullable):
        return 0  # written before the first release: they can be read, but not stored again as they are
    names = pc.binary_join_element_wise(pc.cast(rows["run_seq"], pa.string()), rows["key"], "/")
    rows = rows.filter(listing.first_of(names)).cast(SCHEMA)
    gone = [key for key, _ in known]
    check()
    records.store(root, INTENT, json.dumps({"merged": target, "parts": gone}).encode())
    data = manifest.encoded(rows)
    records.store(root, target, data)
    with records.refused(root, target):
        if root.read(target)[0] != data:
            raise ValueError("it does not hold what was written to it")
    check()
    _discard(root, gone)
    records.discard(root, INTENT)
    return len(gone)
