"""The output contract: one row per photo worked on, as parquet parts under `DST/_glasseg/manifest/RUN/`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glasseg.catalog import records
from glasseg.catalog.schema import SCHEMA, SCHEMA_VERSION, Row, is_held
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import listing, parquet
from glasseg.storage.keys import printable
from glasseg.storage.roots import Root

MANIFEST: Final = "_glasseg/manifest/"
MASKS: Final = "_glasseg/masks/"
HELD: Final = "_glasseg/held/"
REPORT: Final = "_glasseg/report/"
MERGED: Final = "/part-merged-"
"""Part of the key of a part that holds rows of several runs."""
_ATTEMPTS: Final = 5


class _Vanished(Exception):
    """A part that was listed is not there any more."""


def table(rows: Iterable[Row]) -> pa.Table:
    """Rows as a table of exactly `SCHEMA`; missing columns are null. Raises ArrowInvalid for a missing required one."""
    made = pa.Table.from_pylist([{**row, "schema_version": SCHEMA_VERSION} for row in rows], schema=SCHEMA)
    made.validate(full=True)
    for column in SCHEMA:
        if not column.nullable and made[column.name].null_count:
            raise pa.ArrowInvalid(f"column {column.name} has a null")
    return made


def write_part(root: Root, run_id: str, number: int, rows: Sequence[Row]) -> str:
    """Write one part and return its key."""
    key = f"{MANIFEST}{run_id}/part-{number:05d}.parquet"
    write_table(root, key, table(rows))
    return key


def write_table(root: Root, key: str, rows: pa.Table) -> None:
    """Write a table of `SCHEMA` as the part `key`."""
    records.store(root, key, encoded(rows))


def encoded(rows: pa.Table) -> bytes:
    """A table of `SCHEMA` as a part holds it."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def mask_key(output_key: str) -> str:
    """Where the mask of a picture is kept."""
    return f"{MASKS}{output_key}.png"


def output_of(key: str) -> str:
    """The picture whose mask a key is; a key that is none as it is."""
    return key.removeprefix(MASKS).removesuffix(".png") if key.startswith(MASKS) else key


def held_folder(run_id: str) -> str:
    """Where pictures of a run are kept that were not published; below it things lie as they do in the destination."""
    return f"{HELD}{run_id}/"


def files_of(row: Row) -> list[str]:
    """Where the run of a row put its picture and its mask, as far as it made them."""
    if not row.get("output_uri") or not row.get("output_key"):
        return []
    folder, output = held_folder(row["run_id"]) if is_held(row) else "", str(row["output_key"])
    return [folder + output, *([folder + mask_key(output)] if row.get("mask_uri") else [])]


def report_folder(run_id: str) -> str:
    """Where the page of a run is."""
    return f"{REPORT}{run_id}/"


def read(root: Root, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a destination with the columns of `SCHEMA` (or some of them), as the parts' names sort; see `parts`.

    A row can be there twice, when a compaction was killed between writing and deleting: `key` and `run_seq` show it.
    """
    chosen = tuple(columns or SCHEMA.names)
    return pa.concat_tables([wanted(chosen).empty_table(), *parts(root, chosen)])


def of_run(root: Root, run_id: str, *, merged: bool = True) -> pa.Table:
    """The rows of one run, each once. Without `merged` those in its own parts: all of them, before a compaction."""

    def may_hold(key: str) -> bool:
        return key.startswith(f"{MANIFEST}{run_id}/") or (merged and MERGED in key)

    found = [part.filter(pc.equal(part["run_id"], run_id)) for part in parts(root, SCHEMA.names, may_hold)]
    rows = pa.concat_tables([wanted(SCHEMA.names).empty_table(), *found])
    return rows.filter(listing.first_of(rows["key"]))


def of_photo(root: Root, key: str) -> list[Row]:
    """All rows of one photo, oldest first, each once."""
    key = printable(key)
    found = (part.filter(pc.equal(part["key"], key)).to_pylist() for part in parts(root, SCHEMA.names))
    return [row for _, row in sorted({row["run_seq"]: row for rows in found for row in rows}.items())]


def last_rows(root: Root, keys: Iterable[str], columns: Sequence[str] | None = None) -> dict[str, Row]:
    """The last row of each of some photos, by key, in their order: all columns, or some with `key, run_seq`."""
    chosen = tuple(dict.fromkeys((*(columns or SCHEMA.names), "key", "run_seq")))
    names = list(dict.fromkeys(keys))
    found: dict[str, Row] = {}
    for part in parts(root, chosen):
        for row in part.filter(pc.is_in(part["key"], value_set=pa.array(names, pa.string()))).to_pylist():
            if row["key"] not in found or row["run_seq"] >= found[row["key"]]["run_seq"]:
                found[row["key"]] = row
    return {key: found[key] for key in names if key in found}


def by_run(root: Root, keys: Iterable[str], columns: Sequence[str]) -> dict[tuple[str, str], Row]:
    """All rows of some photos by key and run: some columns, with `key, run_id`."""
    names = pa.array(list(keys), pa.string())
    found = (
        part.filter(pc.is_in(part["key"], value_set=names)).to_pylist()
        for part in parts(root, tuple(dict.fromkeys((*columns, "key", "run_id"))))
    )
    return {(row["key"], row["run_id"]): row for rows in found for row in rows}


def wanted(columns: Sequence[str]) -> pa.Schema:
    """The types of some columns, all of which may be null: what a reader gets."""
    return pa.schema([SCHEMA.field(name).with_nullable(True) for name in columns])


def parts(root: Root, columns: Sequence[str], chosen: Callable[[str], bool] = lambda key: True) -> Iterator[pa.Table]:
    """The parts of a manifest with `columns`, or those whose key is `chosen`, read one by one.

    Parts of older versions get null for columns they lack. When a compaction takes parts away meanwhile, the part that
    it made comes too, so that rows may come twice. Raises GlassegError, naming it, for a part that is not a manifest or
    can't be read.
    """
    done: set[str] = set()
    for _ in range(_ATTEMPTS):
        try:
            # until a listing shows nothing new: a folder may be listed while a compaction moves its rows past us
            while fresh := [key for key in records.keys(root, MANIFEST, ".parquet") if key not in done and chosen(key)]:
                for key in fresh:
                    yield _read_part(root, key, wanted(columns))
                    done.add(key)
            return
        except _Vanished:  # a compaction merged it since it was listed
            continue
    raise GlassegError(f"the manifest in {root.uri} keeps changing: is another run working there?")


def part(root: Root, key: str) -> pa.Table | None:
    """All columns of one part; None when it has columns that this version does not know."""
    with records.refused(root, key):
        data = root.read(key)[0]
        unknown = set(parquet.names(data)) - set(SCHEMA.names)
    return None if unknown else _table_of(root, key, data, wanted(SCHEMA.names))


def _read_part(root: Root, key: str, schema: pa.Schema) -> pa.Table:
    with records.refused(root, key):
        try:
            data = root.read(key)[0]
        except PhotoError as error:
            if error.code == "vanished":
                raise _Vanished from error
            raise
    return _table_of(root, key, data, schema)


def _table_of(root: Root, key: str, data: bytes, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` of the part with the bytes `data`."""
    with records.refused(root, key):
        found = parquet.read(data, {*schema.names, *_IDENTITY, "output_uri"})
        names = set(found.schema.names)
        if lacking := [name for name in _IDENTITY if name not in names]:
            raise pa.ArrowInvalid(f"it has no column {', '.join(lacking)}")
        if empty := [name for name in _IDENTITY if found[name].null_count]:
            raise pa.ArrowInvalid(f"column {', '.join(empty)} has a null")
        if "output_key" in schema.names and "output_key" not in names and "output_uri" in names:
            found = found.append_column("output_key", _output_keys(found))
            names.add("output_key")
        columns = [
            found[field.name].cast(field.type) if field.name in names else pa.nulls(found.num_rows, field.type)
            for field in schema
        ]
        return pa.Table.from_arrays(columns, schema=schema)


def _output_keys(part: pa.Table) -> pa.Array:
    """`output_key` of a part that is older than the column, from `output_uri`: an output lies as deep as its photo."""
    pairs = zip(part["key"].to_pylist(), part["output_uri"].to_pylist(), strict=True)
    names = [uri and "/".join(uri.split("/")[-1 - key.count("/") :]) for key, uri in pairs]
    return pa.array(names, pa.string())


_IDENTITY: Final = ("key", "status", "run_seq")
"""Columns that every part has had from the first version on, and never null."""
