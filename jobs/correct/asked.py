"""What a person asks of photos, compared with what the destination knows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import reviewed, runs
from glasseg.catalog.pending import RETRIED_CODES
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import Reason, Row, Status
from glasseg.errors import GlassegError, PhotoError
from glasseg.labels import corrections
from glasseg.labels.corrections import Offer
from glasseg.lists import selection
from glasseg.storage.keys import printable
from glasseg.storage.roots import Root, unsafe_reason

Refused = dict[str, str]
"""Why what was asked of a photo is not done, by the photo's key or the name of what asked for it."""


@dataclass(frozen=True)
class Asked:
    """What is asked of one photo."""

    key: str
    reason: Reason
    """Corrected, approved or withdrawn: the reason of its next row."""
    etag: str | None
    """Of the photo that was read when its last picture was made."""
    map: bytes | None = None
    """Of a correction: a grey PNG of `cutout.correction.LABELS`."""
    model_id: str | None = None
    """The model whose mask the person saw."""

    def word(self, run_id: str) -> Row:
        """The columns of a person's word that the run `run_id` takes."""
        if self.reason == Reason.WITHDRAWN:
            return reviewed.NOTHING
        word = Word.CORRECTED if self.map else Word.APPROVED
        return {"reviewed": word, "reviewed_run": run_id, "reviewed_etag": self.etag, "reviewed_model": self.model_id}


@dataclass(frozen=True)
class Destination:
    """What the checks must know of a destination."""

    root: Root
    known: pa.Table
    """`State.photos`."""
    runs: frozenset[str]
    """The names of all its runs."""
    model_id: str
    """The model with which photos are made again; so `options_id`."""
    options_id: str
    max_pixels: int

    @classmethod
    def of(cls, root: Root, known: pa.Table, model_id: str, options_id: str, max_pixels: int) -> Destination:
        """With the runs that are on record; those of its rows count as well."""
        named = {*runs.names(root), *pc.unique(pc.cast(known["run_id"], pa.string())).to_pylist()}
        return cls(root, known, frozenset(named), model_id, options_id, max_pixels)

    def rows(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What is known of some photos, by key."""
        chosen = self.known.filter(pc.is_in(self.known["key"], value_set=pa.array(list(keys), pa.string())))
        return {row["key"]: {**row, **reviewed.said(row["reviewed"])} for row in chosen.to_pylist()}


def gather(
    destination: Destination,
    given: str | None,
    approve: str | None,
    withdraw: Sequence[str],
    *,
    source_uri: str,
    endpoint_url: str | None,
) -> tuple[list[Asked], list[Asked], Refused]:
    """What is asked of each photo; corrections that later ones of the same photo overtake; and what is refused.

    `given`: corrections, see `labels.corrections.read`; `approve`: a list of photos whose pictures are right;
    `withdraw`: keys. Raises GlassegError for a file or a list that is none, and when a photo is asked to be two things.
    """
    keys = destination.known["key"]
    offers, refused = corrections.read(given, keys.to_pylist(), endpoint_url=endpoint_url) if given else ([], {})
    if approve:
        listed, unmatched = _listed(approve, keys, source_uri, endpoint_url)
        if both := {one.key for one in offers if one.word == Word.CORRECTED} & {one.key for one in listed}:
            raise GlassegError(f"{min(both)} is both corrected and in --approve: leave out one of them", 2)
        offers, refused = [*offers, *listed], refused | unmatched
    if both := {offer.key for offer in offers} & set(map(printable, withdraw)):
        raise GlassegError(f"{min(both)} is both given and in --withdraw: leave out one of them", 2)
    rows = destination.rows({*(offer.key for offer in offers), *map(printable, withdraw)})
    asked: dict[str, Asked] = {}
    overtaken: list[Asked] = []
    for offer in offers:
        row = rows.get(offer.key)
        try:
            one = _said(offer, row, destination)
        except ValueError as error:
            refused[offer.key if offer.key not in refused else offer.name] = f"{error} ({offer.name})"
            continue
        if earlier := asked.get(one.key):
            overtaken.append(earlier)
        asked[one.key] = one
    for key in map(printable, withdraw):
        row = rows.get(key)
        if row and row["reviewed"]:
            asked[key] = Asked(key, Reason.WITHDRAWN, row["source_etag"])
        else:
            refused[key] = "nobody has corrected or approved its picture" if row else "there is no such photo"
    return list(asked.values()), [one for one in overtaken if one.map], refused


def _listed(
    approve: str, keys: pa.ChunkedArray, source_uri: str, endpoint_url: str | None
) -> tuple[list[Offer], Refused]:
    """An approval for each photo that a list names."""
    data = selection.fetch(approve, endpoint_url=endpoint_url)
    chosen = selection.select(approve, data, keys, source_uri)
    unmatched = {f"{approve}, row {one.row}": f"{one.name!r} {one.reason}" for one in chosen.unmatched}
    return [_approval(key, approve) for key in chosen.chosen], unmatched


def _approval(key: str, name: str) -> Offer:
    return Offer(name=name, key=key, word=Word.APPROVED, data=None)


def _said(offer: Offer, row: Mapping[str, Any] | None, destination: Destination) -> Asked:
    """What an offer asks of a photo of which `row` is known. Raises ValueError, one line, when that can't be done."""
    if row is None:
        raise ValueError("there is no such photo")
    if why := _misfit(offer, row, destination):
        raise ValueError(why)
    model_id = offer.model_id or row["model_id"]
    if offer.word == Word.CORRECTED:
        size = (int(row["height"]), int(row["width"]))
        labels = corrections.labels(offer.data or b"", size, destination.max_pixels, is_export=offer.is_export)
        return Asked(offer.key, Reason.CORRECTED, row["source_etag"], corrections.encode(labels), model_id)
    if row["reviewed"] == Word.CORRECTED and offer.run_id and offer.run_id < row["reviewed_run"]:
        raise ValueError("its picture was corrected since: look at that before you approve it")
    if destination.model_id not in {model_id} & {row["model_id"]}:
        way_out = "run glasseg whiten" + " with --redo all" * bool(row["reviewed"])  # else it is not made again
        raise ValueError(f"its picture is of another model: {way_out} first, and look at it again")
    if row["options_id"] != destination.options_id:
        raise ValueError("its picture was made with other options than the last run's: whiten it first, and look again")
    return Asked(offer.key, Reason.APPROVED, row["source_etag"], _map_in_force(row, destination.root), model_id)


def _misfit(offer: Offer, row: Mapping[str, Any], destination: Destination) -> str | None:
    """Why an offer is not for the picture of which `row` is known."""
    if row["status"] == Status.GONE:
        return "it has left the source"
    if row["status"] == Status.FAILED and (row["error_code"] not in RETRIED_CODES or not row["width"]):
        return f"it failed ({row['error_code']}): whiten it first"
    if offer.run_id and offer.run_id not in destination.runs:
        return f"run {offer.run_id} is none of this destination: the file was made for another one"
    if offer.source_etag is not None and offer.source_etag != row["source_etag"]:
        return "the photo has changed since"
    if offer.size and tuple(offer.size) != (row["height"], row["width"]):
        made = f"{offer.size[1]}×{offer.size[0]}"
        return f"it was made for a photo of {made} pixels, and this one has {row['width']}×{row['height']}"
    return unsafe_reason(reviewed.label_key(offer.key, next(iter(destination.runs), "")))


def _map_in_force(row: Mapping[str, Any], root: Root) -> bytes | None:
    """The map of a correction that holds for a photo: who approves its picture approves that, too."""
    if row["reviewed"] != Word.CORRECTED:
        return None
    try:
        return root.read(reviewed.map_key(row["key"], row["reviewed_run"]))[0]
    except PhotoError as error:
        raise ValueError(f"its correction can't be read: {error}") from error
