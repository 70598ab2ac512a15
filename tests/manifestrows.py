"""Rows and parts of a manifest."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from glasseg.catalog import manifest
from glasseg.storage.roots import Root

NOW = datetime(2026, 1, 31, 2, 15, 0, 123456, UTC)


def row(key: str = "a.jpg", run_seq: int = 1, **facts: Any) -> dict[str, Any]:
    """A row with the required columns."""
    return {
        "key": key,
        "source_uri": f"/in/{key}",
        "status": "ok",
        "reason": "new",
        "model_id": "compact-0",
        "options_id": "0",
        "run_id": f"run{run_seq}",
        "run_seq": run_seq,
        "published": True,
        "finished_at": NOW,
        **facts,
    }


FULL = row(
    output_uri="/out/a.jpg",
    mask_uri="/out/m.png",
    error_code="uncertain_mask",
    error="words",
    warnings=["one", "two"],
    source_etag="3-4",
    source_bytes=5_000_000_000,
    output_key="a.jpg",
    previous_coverage=0.25,
    list_columns=[("sku", "A 1"), ("name", "é")],
    width=1600,
    height=1200,
    mask_coverage=0.125,
    bbox_x0=1,
    bbox_y0=2,
    bbox_x1=30,
    bbox_y1=40,
    confidence=0.75,
    quality=0.875,
    quality_id="59e56b102339",
    replaced_run_id="run0",
    read_ms=1.5,
    segment_ms=2.5,
    write_ms=3.5,
    storage_retries=2,
)


def put(root: Root, key: str, table: pa.Table) -> str:
    """Writes a parquet file of any kind among the manifest's parts."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    root.write(manifest.MANIFEST + key, buffer.getvalue())
    return key
