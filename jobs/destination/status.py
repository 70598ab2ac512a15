"""`glasseg status`: what a destination holds, by its records alone; with a key, everything known of one photo."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import destinations, lock, manifest, reviewed, runs, state
from glasseg.catalog.state import among
from glasseg.storage.keys import shown
from glasseg.storage.roots import Root, open_root
from jobs.terminal import columns

RUNS = 5
"""Runs that are shown, the newest first."""
_NOT_ALONE = {"held": "held back (of review)", "gone": "gone (no longer in the source)"}
"""Counts that do not add up with the others to the photos."""
SHOWN = (
    *("run_id", "finished_at", "status", "reason", "error_code", "error", "published", "output_uri", "moved_from"),
    *("mask_coverage", "confidence", "quality", "quality_id", "reviewed", "reviewed_run", "model_id", "options_id"),
    *("replaced_run_id", "source_etag", "group_scale", "warnings"),
    "list_columns",
)
"""Columns of a photo's rows for people; `--json` has all."""


def status(destination_uri: str, key: str | None, *, endpoint_url: str | None, as_json: bool) -> None:
    """Print the counts, models and last runs of a destination, or the rows of one photo.

    Raises GlassegError when glasseg has never worked there, or knows no such photo.
    """
    root = open_root(destination_uri, endpoint_url=endpoint_url)
    if key is not None:
        rows = manifest.of_photo(root, key) or manifest.of_photo(root, _of_picture(root, key))
        if not rows:
            why = (
                f"{root.uri} knows no photo {key!r}, nor a picture: names are relative to the source and to {root.uri}"
            )
            raise destinations.stranger(root, why)
        click.echo(json.dumps(rows, indent=2, default=str) if as_json else _photo(rows))
        return
    found = overview(root)
    if not (found["runs"] or found["photos"] or found["running"]):
        raise destinations.stranger(root, f"glasseg has not worked in {root.uri} yet: is it the right place?")
    click.echo(json.dumps(found, indent=2, default=str) if as_json else _page(root, found))


def _of_picture(root: Root, output: str) -> str:
    """The key of the photo whose picture stands under a name; "" for none."""
    places = state.read(root).places
    found = places.filter(pc.equal(places["output_key"], output))["key"].to_pylist()
    return str(found[0]) if found else ""


def overview(root: Root) -> dict[str, Any]:
    """Photos by status and model, the last runs, and who works there now."""
    known = state.photos(root)
    here = known.filter(pc.invert(among(known["status"], ["gone"])))
    return {
        "photos": len(here),
        "status": _counts(known["status"]) | {"held": pc.sum(known["held"]).as_py() or 0},
        "error_codes": _counts(here["error_code"]),
        "models": _counts(here["model_id"]),
        "options": _counts(here["options_id"]),
        "reviewed": reviewed.counted(here["reviewed"]),
        "held": _held(known),
        "runs": runs.latest(root, RUNS),
        "running": lock.holder(root),
    }


def _held(known: pa.Table) -> dict[str, list[str]]:
    """The keys of the pictures that each run held back and nothing has overtaken, the newest run first."""
    rows = known.filter(known["held"]).select(["run_seq", "run_id", "key"])
    held: dict[str, list[str]] = {}
    for row in rows.sort_by([("run_seq", "descending"), ("key", "ascending")]).to_pylist():
        held.setdefault(row["run_id"], []).append(row["key"])
    return held


def _counts(words: pa.ChunkedArray) -> dict[str, int]:
    """How often each word occurs, the most frequent first; null does not count."""
    found = pc.value_counts(pc.cast(words, pa.string()).drop_null()).to_pylist()
    return {one["values"]: one["counts"] for one in sorted(found, key=lambda one: (-one["counts"], one["values"]))}


def _page(root: Root, found: Mapping[str, Any]) -> str:
    parts = [f"{root.uri}: {found['photos']:,} photos"]
    if holder := found["running"]:
        parts.append(f"run {holder['run_id']} is working: process {holder['pid']} on {holder['host']}")
    titles = {"status": "status", "why not ok": "error_codes", "by hand": "reviewed", "model": "models"}
    for title, name in titles.items():
        if counts := {_NOT_ALONE.get(word, word): count for word, count in found[name].items() if count}:
            parts.append(columns({title: "", "photos": ","}, counts.items()))
    if found["held"]:
        rows = [(run, len(keys), ", ".join(keys[:3])) for run, keys in found["held"].items()]
        parts.append(
            columns({"held back by run": "", "photos": ",", "for example": ""}, rows)
            + f"\nto publish them: glasseg release {root.uri} RUN"
        )
    if found["runs"]:
        parts.append(_runs(found["runs"]))
    return "\n\n".join(parts)


def _runs(records: Sequence[Mapping[str, Any]]) -> str:
    names = ("photos", "ok", "review", "held", "failed", "gone")
    rates = ("minutes", "photos/s")
    heads = {"last runs": "", "ended": "", **dict.fromkeys(names, ","), **dict.fromkeys(rates, ",.1f"), "reasons": ""}
    rows = []
    for one in records:
        counts = [one.get(name, 0) for name in ("processed", *names[1:])]
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in one.get("reasons", {}).items())
        minutes, rate = one.get("seconds", 0) / 60, one.get("photos_per_second", 0)
        rows.append((one["run_id"], one.get("ended", ""), *counts, minutes, rate, reasons))
    return columns(heads, rows)


def _photo(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of one photo, the newest last, as name and value."""
    blocks = [shown(f"{rows[0]['key']} of {rows[-1]['source_uri']}")]
    for row in rows:
        facts = {name: row[name] for name in SHOWN if row[name] is not None}
        width = max(map(len, facts))
        blocks.append("\n".join(f"{name:<{width}}  {_said(value)}" for name, value in facts.items()))
    return "\n\n".join(blocks)


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return shown("; ".join(" = ".join(one) if isinstance(one, tuple) else str(one) for one in value))
    return shown(str(value))
