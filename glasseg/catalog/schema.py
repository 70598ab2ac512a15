"""The columns of the manifest: their types in Arrow and in Python, and the words that some of them hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypedDict

import pyarrow as pa

from glasseg.config import MARKETPLACES


class Status(StrEnum):
    """What became of a photo."""

    OK = "ok"
    REVIEW = "review"
    """A person should look at its picture."""
    FAILED = "failed"
    GONE = "gone"
    """It has left the source."""


class Reason(StrEnum):
    """Why a row was written; up to `MISSING` also why a photo is pending, see `pending.difference`."""

    NEW = "new"
    CHANGED = "changed"
    REDO = "redo"
    RETRY = "retry"
    UNFINISHED = "unfinished"
    MODEL = "model"
    OPTIONS = "options"
    GROUP = "group"
    MISSING = "missing"
    GONE = "gone"
    DELETED = "deleted"
    RELEASED = "released"
    CORRECTED = "corrected"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    RENAMED = "renamed"
    """Its picture has another name, and is the same."""


SCHEMA_VERSION: Final = 7
NUMBERED: Final = ("name_number", "name_series")
"""Columns of a photo's number among those whose pictures have the same name but for it, see `catalog.names`."""
REVIEWED: Final = ("reviewed", "reviewed_run", "reviewed_etag", "reviewed_model", "reviewed_options")
"""Columns of a person's word, see `catalog.reviewed`."""


def _text(name: str, required: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), nullable=not required)


SCHEMA: Final = pa.schema(
    [
        _text("key", required=True),
        _text("source_uri", required=True),
        _text("output_key"),
        _text("output_uri"),
        _text("mask_uri"),
        _text("status", required=True),
        _text("reason", required=True),
        _text("error_code"),
        _text("error"),
        pa.field("warnings", pa.list_(pa.string())),
        _text("source_etag"),
        _text("listed_etag"),
        pa.field("source_bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("mask_coverage", pa.float64()),
        pa.field("previous_coverage", pa.float64()),
        *(pa.field(f"bbox_{edge}", pa.int32()) for edge in ("x0", "y0", "x1", "y1")),
        pa.field("confidence", pa.float64()),
        pa.field("quality", pa.float64()),
        _text("quality_id"),
        pa.field("output_width", pa.int32()),
        pa.field("output_height", pa.int32()),
        pa.field("output_bytes", pa.int64()),
        *(_text(name) for name in REVIEWED),
        pa.field("fill", pa.float64()),
        _text("moved_from"),
        pa.field("name_number", pa.int32()),
        _text("name_series"),
        pa.field("group_scale", pa.float64()),
        pa.field("group_baseline", pa.float64()),
        _text("group_members"),
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
        pa.field("list_columns", pa.map_(pa.string(), pa.string())),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
        *(pa.field(f"{step}_ms", pa.float32()) for step in ("read", "segment", "write")),
        pa.field("storage_retries", pa.int32()),
        pa.field("schema_version", pa.int32(), nullable=False),
    ]
)
"""Columns, types and nullability of every part; docs/manifest.md explains each one."""


class Row(TypedDict, total=False):
    """One photo in one run, by the columns of `SCHEMA`; a column that is left out is null."""

    key: str
    source_uri: str
    output_key: str | None
    output_uri: str | None
    mask_uri: str | None
    status: str
    reason: str
    error_code: str | None
    error: str | None
    warnings: list[str] | None
    source_etag: str | None
    listed_etag: str | None
    source_bytes: int | None
    width: int | None
    height: int | None
    mask_coverage: float | None
    previous_coverage: float | None
    bbox_x0: int | None
    bbox_y0: int | None
    bbox_x1: int | None
    bbox_y1: int | None
    confidence: float | None
    quality: float | None
    quality_id: str | None
    output_width: int | None
    output_height: int | None
    output_bytes: int | None
    reviewed: str | None
    reviewed_run: str | None
    reviewed_etag: str | None
    reviewed_model: str | None
    reviewed_options: str | None
    fill: float | None
    moved_from: str | None
    name_number: int | None
    name_series: str | None
    group_scale: float | None
    group_baseline: float | None
    group_members: str | None
    background_exact: float | None
    background_deviation: int | None
    ring_exact: float | None
    check_amazon: str | None
    check_google: str | None
    check_zalando: str | None
    check_ebay: str | None
    model_id: str
    options_id: str
    run_id: str
    run_seq: int
    published: bool
    replaced_run_id: str | None
    list_columns: list[tuple[str, str]] | None
    finished_at: datetime
    read_ms: float | None
    segment_ms: float | None
    write_ms: float | None
    storage_retries: int | None
    schema_version: int


def is_held(row: Row | Mapping[str, Any]) -> bool:
    """Whether a row's picture was held back: kept aside, because it may not replace the one that stands there."""
    return bool(row["status"] == Status.REVIEW and not row["published"])
