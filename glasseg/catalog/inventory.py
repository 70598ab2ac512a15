"""An S3 Inventory as the listing of a bucket: the parquet files in which AWS writes down what a bucket holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import parquet
from glasseg.storage.keys import ETAG_DRESS
from glasseg.storage.roots import Bucket, Folder, Root, open_source

SCHEMA: Final = pa.schema([("key", pa.string()), ("size", pa.int64()), ("etag", pa.string())])
"""The columns that `read` returns: the key relative to the source, its size in bytes, its plain etag; see `id_of`."""

_NEEDED: Final = ("bucket", "key", "size", "e_tag")
_OPTIONAL: Final = ("is_latest", "is_delete_marker")  # only in an inventory of all versions
_ID: Final = b"inventory"
_ONE_DAY: Final = "give the manifest.json of one day"


def listing_of(source: Root, uri: str, *, endpoint_url: str | None = None) -> pa.Table:
    """The listing of `source` in the inventory at `uri`, with `SCHEMA`; see `read`.

    `uri`: one .parquet file, a folder or prefix with such files below it, or the manifest.json that AWS writes for each
    day: where AWS left it or copied, with its files in ../data, as AWS has them, or in a folder next to it.
    Raises GlassegError when the source is a folder, and when the inventory isn't there, can't be read or is another's.
    """
    if not isinstance(source, Bucket):
        raise GlassegError(f"an inventory lists an S3 bucket, and {source.uri} is a folder: leave out --listing")
    root, names = open_source(uri, endpoint_url=endpoint_url)
    if names is None:
        names = [entry.key for entry in root.list() if entry.key.lower().endswith(".parquet")]
        if not names:
            raise GlassegError(f"no .parquet files in {uri}: give the place of an S3 Inventory, or its manifest.json")
    elif names[0].lower().endswith(".json"):
        root, names = _of_manifest(root, names[0], source.bucket)
    elif not names[0].lower().endswith(".parquet"):
        raise GlassegError(
            f"{uri} is not an S3 Inventory: give its manifest.json, a .parquet file or the folder of these"
        )
    return read(root, names, source.bucket, source.prefix)


def read(root: Root, names: Iterable[str], bucket: str, prefix: str) -> pa.Table:
    """The objects of `bucket` below `prefix` in the inventory files `names` of `root`, with `SCHEMA`, in their order.

    Latest versions only, no delete markers, no "directory markers". Keys count as they are: AWS encodes them in csv
    only. Raises GlassegError when a file can't be read or lacks a column or a value, when nothing of the prefix is
    listed, and when a key is listed twice: the files of several days would bring back what was deleted since.
    """
    parts, buckets, digest = [], set[str](), hashlib.sha256()
    for name in names:
        where = root.uri_of(name)
        rows = _rows(root, name, digest)
        buckets.update(pc.unique(rows["bucket"]).to_pylist())
        parts.append(_below(where, rows, bucket, f"{prefix}/" if prefix else ""))
    table = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    place = Bucket(bucket, prefix).uri
    if not table.num_rows:
        lists = f"is of {', '.join(sorted(buckets - {bucket}))}" if buckets - {bucket} else "has other folders or none"
        raise GlassegError(f"the inventory in {root.uri} lists nothing of {place}, it {lists}: is it the right one?")
    if len(pc.unique(table["key"])) < table.num_rows:
        counts = pc.value_counts(table["key"])
        twice = counts.field("values")[pc.index(pc.greater(counts.field("counts"), 1), True).as_py()]
        raise GlassegError(
            f"the inventory in {root.uri} lists {twice} of {place} twice, as several days do: {_ONE_DAY}"
        )
    return table.replace_schema_metadata({_ID: digest.hexdigest()[:12]})


def id_of(table: pa.Table) -> str:
    """What tells an inventory from those of other days: a hash of its files, as `read` found them."""
    return str(table.schema.metadata[_ID].decode())


def _rows(root: Root, name: str, digest: hashlib._Hash) -> pa.Table:
    """The columns that matter of one file, as the types that they must have; its bytes are added to `digest`."""
    where = root.uri_of(name)
    try:
        data = root.read(name)[0]
        digest.update(data)
        rows = parquet.read(data, (*_NEEDED, *_OPTIONAL))
        lacking = [column for column in _NEEDED if column not in rows.column_names]
        if lacking:
            way_out = "add size and ETag to the inventory's fields" if {*lacking} <= {"size", "e_tag"} else "is it one?"
            raise GlassegError(f"the inventory {where} lacks the column {' and '.join(lacking)}: {way_out}")
        types = {"size": pa.int64(), **dict.fromkeys(_OPTIONAL, pa.bool_())}
        return rows.cast(pa.schema([(column, types.get(column, pa.string())) for column in rows.column_names]))
    except PhotoError as error:
        raise GlassegError(f"can't read the inventory file {where}: {error}") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise GlassegError(f"{where} is not a readable parquet file of an inventory: {reason}") from error


def _below(where: str, rows: pa.Table, bucket: str, prefix: str) -> pa.Table:
    """The rows of current objects of `bucket` whose keys start with `prefix`, with `SCHEMA`."""
    keys = rows["key"]
    wanted = pc.and_(pc.equal(rows["bucket"], bucket), pc.starts_with(keys, prefix))
    wanted = pc.and_not(wanted, pc.ends_with(keys, "/"))
    if "is_latest" in rows.column_names:
        wanted = pc.and_(wanted, pc.fill_null(rows["is_latest"], True))
    if "is_delete_marker" in rows.column_names:
        wanted = pc.and_not(wanted, pc.fill_null(rows["is_delete_marker"], False))
    rows = rows.filter(wanted)
    for column in ("size", "e_tag"):
        lacking = pc.equal(pc.fill_null(rows[column].cast(pa.string()), ""), "")
        if pc.any(lacking).as_py():
            key = rows["key"][pc.index(lacking, True).as_py()]
            raise GlassegError(f"the inventory {where} has no {column} for {key}: leave out --listing, or repair it")
    keys = pc.utf8_slice_codeunits(rows["key"], len(prefix))
    return pa.table([keys, rows["size"], pc.replace_substring_regex(rows["e_tag"], ETAG_DRESS, "")], schema=SCHEMA)


def _of_manifest(root: Root, name: str, bucket: str) -> tuple[Root, list[str]]:
    """Where the files that the manifest `name` lists lie, and their names there."""
    where = root.uri_of(name)
    try:
        entry = _parsed(root.read(name)[0])
    except PhotoError as error:
        raise GlassegError(f"can't read the manifest {where}: {error}") from error
    if entry is None:
        raise GlassegError(
            f"{where} is not the manifest of an S3 Inventory: it must have fileFormat, sourceBucket and files"
        )
    written_as, of, files = entry
    if written_as.lower() != "parquet":
        raise GlassegError(f"the inventory {where} is {written_as}: set its output format to Apache Parquet")
    if of.rpartition(":")[2] != bucket:
        raise GlassegError(f"the inventory {where} is of the bucket {of}, not of {bucket}: is it the right one?")
    copied = [PurePosixPath(file).name for file in files]
    if isinstance(root, Bucket):  # keys there count from the top of the bucket, unless the files were copied to it
        top = Bucket(root.bucket, "", root.endpoint_url)
        data = PurePosixPath(root.prefix).parent / "data"
        moved = files and not top.exists(files[0]) and top.exists(str(data / copied[0]))
        return top, [str(data / file) for file in copied] if moved else files
    above, day = Folder(root.path.parent), root.path.name
    return above, [f"{day}/{file}" if above.exists(f"{day}/{file}") else f"data/{file}" for file in copied]


def _parsed(data: bytes) -> tuple[str, str, list[str]] | None:
    """Format, source bucket and files of a manifest; None when `data` is none."""
    try:
        manifest = json.loads(data)
        texts = [manifest["fileFormat"], manifest["sourceBucket"], *(one["key"] for one in manifest["files"])]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if not all(isinstance(text, str) and text for text in texts):
        return None
    return texts[0], texts[1], texts[2:]
