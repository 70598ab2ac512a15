"""A row of the manifest in Python, and the words it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict


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
    MISSING = "missing"
    GONE = "gone"
    DELETED = "deleted"
    RELEASED = "released"


class Row(TypedDict, total=False):
    """One photo in one run, by the columns of `manifest.SCHEMA`; a column that is left out is null."""

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
    fill: float | None
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
