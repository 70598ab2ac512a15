"""Parquet files from bytes, read without leaving anything behind."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq


def read(data: bytes, columns: Collection[str] | None = None) -> pa.Table:
    """The columns of a file, or those of `columns` that it has. Raises what pyarrow raises for damaged files.

    Arrow's thread pools are not used: a thread that releases our bytes while Python is exiting aborts the process.
    """
    file = _file(data)
    chosen = None if columns is None else [name for name in file.schema_arrow.names if name in columns]
    return file.read(columns=chosen, use_threads=False)


def names(data: bytes) -> list[str]:
    """The columns that a file has. Raises what pyarrow raises for damaged files."""
    return list(_file(data).schema_arrow.names)


def _file(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
