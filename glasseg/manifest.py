"""The output contract: one row per photo worked on, as parquet parts under `DST/_glasseg/manifest/RUN/`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from glasseg.config import MARKETPLACES
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage import Root

SCHEMA_VERSION: Final = 2
MANIFEST: Final = "_glasseg/manifest/"
RUNS: Final = "_glasseg/runs/"
CLAIMS: Final = "_glasseg/claims/"
_THREADS: Final = False
"""Whether Arrow reads with its pool: a thread of it that lets go of our bytes while Python ends aborts the process."""
STATUSES: Final = ("ok", "review", "failed", "gone")


def _text(name: str, required: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), nullable=not required)


SCHEMA: Final = pa.schema(
    [
        _text("key", required=True),
        _text("source_uri", required=True),
        _text("output_uri"),
        _text("mask_uri"),
        _text("status", required=True),
        _text("reason", required=True),
        _text("error_code"),
        _text("error"),
        pa.field("warnings", pa.list_(pa.string())),
        _text("source_etag"),
        pa.field("source_bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("mask_coverage", pa.float64()),
        *(pa.field(f"bbox_{edge}", pa.int32()) for edge in ("x0", "y0", "x1", "y1")),
        pa.field("confidence", pa.float64()),
        pa.field("output_width", pa.int32()),
        pa.field("output_height", pa.int32()),
        pa.field("output_bytes", pa.int64()),
        pa.field("fill", pa.float64()),
        pa.field("background_exact", pa.float64()),
        pa.field("background_deviation", pa.int32()),
        pa.field("ring_exact", pa.float64()),
        *(_text(f"check_{name}") for name in MARKETPLACES),
        _text("model_id", required=True),
        _text("options_id", required=True),
        _text("run_id", required=True),
        pa.field("run_seq", pa.int64(), nullable=False),
        pa.field("published", pa.bool_(), nullable=False),
        _text("replaced_run_id"),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
        *(pa.field(f"{step}_ms", pa.float32()) for step in ("read", "segment", "write")),
        pa.field("schema_version", pa.int32(), nullable=False),
    ]
)
"""Columns, types and nullability of every part; README lists what each one means."""


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of exactly `SCHEMA`; missing columns are null. Raises ArrowInvalid for a missing required one."""
    made = pa.Table.from_pylist([{**row, "schema_version": SCHEMA_VERSION} for row in rows], schema=SCHEMA)
    made.validate(full=True)
    for column in SCHEMA:
        if not column.nullable and made[column.name].null_count:
            raise pa.ArrowInvalid(f"column {column.name} has a null")
    return made


def write_part(root: Root, run_id: str, number: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write one part and return its key."""
    key = f"{MANIFEST}{run_id}/part-{number:05d}.parquet"
    _store(root, key, _parquet(table(rows)))
    return key


def read(root: Root, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a destination, oldest run first, with the columns of `SCHEMA` (or some of them).

    Parts of older versions get null for columns they lack. Raises GlassegError, naming it, for a part that is no
    manifest or can't be read.
    """
    chosen = pa.schema([SCHEMA.field(name) for name in columns]) if columns else SCHEMA
    wanted = pa.schema([field.with_nullable(True) for field in chosen])
    keys = sorted(_ours(root, MANIFEST, ".parquet"))
    return pa.concat_tables([_read_part(root, key, wanted) for key in keys] or [wanted.empty_table()])


def _read_part(root: Root, key: str, wanted: pa.Schema) -> pa.Table:
    with _refused(root, key):
        part = pq.ParquetFile(io.BytesIO(root.read(key)[0]))
        names = set(part.schema_arrow.names)
        if lacking := [name for name in _IDENTITY if name not in names]:
            raise pa.ArrowInvalid(f"it has no column {', '.join(lacking)}")
        found = part.read(columns=sorted(names & {*wanted.names, *_IDENTITY}), use_threads=_THREADS)
        if empty := [name for name in _IDENTITY if found[name].null_count]:
            raise pa.ArrowInvalid(f"column {', '.join(empty)} has a null")
        columns = [
            found[field.name].cast(field.type) if field.name in names else pa.nulls(found.num_rows, field.type)
            for field in wanted
        ]
        return pa.Table.from_arrays(columns, schema=wanted)


def _ours(root: Root, prefix: str, suffix: str) -> Iterator[str]:
    """Keys below one of our folders, but for the `._*` files that macOS leaves on disks of other systems."""
    for entry in root.list(prefix):
        if entry.key.endswith(suffix) and not entry.key.rpartition("/")[2].startswith("._"):
            yield entry.key


@contextmanager
def _refused(root: Root, key: str) -> Iterator[None]:
    """Turns what reading one of our files may raise into a GlassegError that names it."""
    try:
        yield
    except PhotoError as error:
        raise GlassegError(f"a record of glasseg can't be read: {error}") from error
    # pyarrow raises OSError for damaged pages
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())
        raise GlassegError(
            f"{root.uri_of(key)} is no record of glasseg ({text}): move it away, or choose another destination"
        ) from error


_IDENTITY: Final = ("key", "status", "run_seq")
"""Columns that every part has had from the first version on, and never null."""

STATE_COLUMNS: Final = (
    *("key", "status", "error_code", "source_etag", "model_id", "options_id"),
    *("output_uri", "mask_uri", "run_id", "run_seq", "width", "height"),
)


def state(root: Root) -> dict[str, dict[str, Any]]:
    """The last row of every photo, by key, with `STATE_COLUMNS`: the one with the highest `run_seq`."""
    rows = read(root, STATE_COLUMNS).sort_by([("run_seq", "ascending")])
    return {row["key"]: row for batch in rows.to_batches() for row in batch.to_pylist()}


def written(root: Root) -> set[str]:
    """Keys of all outputs that any row names, wherever the destination was then mounted.

    The last rows alone would not do: a photo that fails once, or changes its format, leaves an earlier picture behind.
    """
    rows = read(root, ("key", "output_uri")).to_pylist()
    named = ((row["key"].count("/") + 1, row["output_uri"]) for row in rows if row["output_uri"])
    return {"/".join(uri.split("/")[-parts:]) for parts, uri in named}  # an output lies as deep as its photo


def new_run_id(now: datetime | None = None) -> str:
    """A name for a run that sorts by time, such as 20260131T021500.123Z."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def next_run_seq(root: Root, known: Mapping[str, Mapping[str, Any]]) -> int:
    """One more than any run so far had, those without rows included; `known` as `state` gives it.

    Raises GlassegError for a `runs/RUN.json` that is none.
    """
    sequences = [row["run_seq"] for row in known.values()]
    for key in _ours(root, RUNS, ".json"):
        with _refused(root, key):
            sequences.append(int(json.loads(root.read(key)[0])["run_seq"]))
    return max(sequences, default=0) + 1


def write_run(root: Root, run_id: str, summary: Mapping[str, Any]) -> None:
    """Write `runs/RUN.json`, the summary of one run."""
    _store(root, f"{RUNS}{run_id}.json", json.dumps(summary, indent=2, default=str).encode() + b"\n")


def claim(root: Root, run_id: str, outputs: Sequence[str]) -> None:
    """Note the output names that a run is about to write, after it found that they are free or ours.

    Without it, a picture that a killed run wrote before its row was stored would for ever look like somebody else's.
    """
    _store(root, f"{CLAIMS}{run_id}.parquet", _parquet(pa.table({"output": pa.array(outputs, pa.string())})))


def release(root: Root) -> None:
    """Forget all claims: after a run that did everything, every picture has its row."""
    for key in list(_ours(root, CLAIMS, ".parquet")):
        try:
            root.delete(key)
        except PhotoError as error:
            raise GlassegError(f"a claim can't be deleted: {error}") from error


def claimed(root: Root) -> set[str]:
    """Output names that unfinished runs have claimed. Raises GlassegError for a file that holds no claims."""
    names: set[str] = set()
    for key in _ours(root, CLAIMS, ".parquet"):
        with _refused(root, key):
            part = pq.ParquetFile(io.BytesIO(root.read(key)[0]))
            names.update(part.read(use_threads=_THREADS)["output"].to_pylist())
    return names


def _parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def _store(root: Root, key: str, data: bytes) -> None:
    """Write a file of ours; that it can't be written is no fault of a photo but ends the run."""
    try:
        root.write(key, data)
    except PhotoError as error:
        raise GlassegError(f"the run's records can't be written: {error}") from error
