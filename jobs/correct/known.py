"""What a destination knows of photos, and why what a person says of a picture can't be meant for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import manifest, reviewed
from glasseg.catalog.pending import RETRIED_CODES
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import REVIEWED, Row, Status
from glasseg.labels.corrections import Offer
from glasseg.storage.keys import shown
from glasseg.storage.roots import Root, unsafe_reason

_SEEN: Final = ("status", "source_etag", "model_id", "options_id", "finished_at", *REVIEWED)

Rows = Mapping[tuple[str, str], Row]
"""Rows of earlier runs by key and run."""


@dataclass(frozen=True)
class Destination:
    """What the checks must know of a destination."""

    root: Root
    known: pa.Table
    """`State.photos`."""
    model_id: str
    """The model with which photos are made again; so `options_id`."""
    options_id: str
    max_pixels: int

    def rows(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What is known of some photos, by key."""
        chosen = self.known.filter(pc.is_in(self.known["key"], value_set=pa.array(list(keys), pa.string())))
        return {row["key"]: {**row, **reviewed.said(row["reviewed"])} for row in chosen.to_pylist()}

    def earlier(self, offers: Iterable[Offer], rows: Mapping[str, Mapping[str, Any]]) -> Rows:
        """The rows of all runs of those photos whose last one may not be of the picture that a person saw.

        They cost a second look at the whole manifest, and nearly always there are none.
        """
        unsure = {
            offer.key
            for offer in offers
            if (row := rows.get(offer.key)) and offer.run_id != row["run_id"] and (offer.run_id or _approves(offer))
        }
        return manifest.by_run(self.root, unsure, _SEEN) if unsure else {}


def misfit(offer: Offer, row: Mapping[str, Any]) -> str | None:
    """Why an offer is not for the photo of which `row` is known."""
    if row["status"] == Status.GONE:
        return "it has left the source"
    if row["status"] == Status.FAILED and (row["error_code"] not in RETRIED_CODES or not row["width"]):
        return f"it failed ({row['error_code']}): whiten it first"
    if offer.source_etag is not None and offer.source_etag != row["source_etag"]:
        return "the photo has changed since"
    if offer.size and tuple(offer.size) != (row["height"], row["width"]):
        made = f"{offer.size[1]}×{offer.size[0]}"
        return f"it was made for a photo of {made} pixels, and this one has {row['width']}×{row['height']}"
    return unsafe_reason(reviewed.label_key(offer.key, row["run_id"]))


def overtaken(offer: Offer, row: Mapping[str, Any], earlier: Rows) -> str | None:
    """Why the picture of which `row` is known is not the one that a person saw.

    An offer that names no run says nothing of that: then an approval must be later than the picture.
    """
    if offer.run_id == row["run_id"]:
        return None
    if not offer.run_id:
        made = earlier[offer.key, row["run_id"]]["finished_at"] if _approves(offer) else None
        too_late = made and offer.exported_at and _second(made) > offer.exported_at
        return (
            "its picture was made after that list was saved: look at it, and save the list again" if too_late else None
        )
    before = earlier.get((offer.key, offer.run_id))
    if not before or before["status"] not in {Status.OK, Status.REVIEW}:
        return f"run {shown(offer.run_id)} made no picture of it here: the file was made for another destination"
    return _difference(before, row, approves=_approves(offer))


def seen(offer: Offer, row: Mapping[str, Any], earlier: Rows) -> Mapping[str, Any]:
    """The row of the picture that a person saw: the last one, `row`, where nothing says of an earlier one."""
    return earlier.get((offer.key, offer.run_id or row["run_id"]), row)


def _difference(before: Row, row: Mapping[str, Any], *, approves: bool) -> str | None:
    """Why the picture of one row is not as good as that of another, for who approves it or only corrects its mask."""
    if before["source_etag"] != row["source_etag"]:
        return "the photo has changed since"
    since = {
        "its picture was corrected": correction(row) not in {None, correction(before)},
        "its correction was withdrawn": correction(before) not in {None, correction(row)},
        "its picture was made again by another model": before["model_id"] != row["model_id"],
        "its picture was made again with other options": before["options_id"] != row["options_id"],
    }
    what = next((what for what, applies in since.items() if approves and applies), None)
    return f"{what} since: look at that before you approve it" if what else None


def correction(row: Mapping[str, Any]) -> str | None:
    """The run that took the correction which is in force, None without one."""
    return row["reviewed_run"] if row["reviewed"] == Word.CORRECTED else None


def _second(moment: datetime) -> str:
    """A time as `Offer.exported_at`, but only the second: S3 tells no finer when a file was saved."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat(timespec="microseconds")


def _approves(offer: Offer) -> bool:
    return offer.word == Word.APPROVED
