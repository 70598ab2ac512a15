"""What a person asks of photos, compared with what the destination knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from glasseg.catalog import reviewed
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import Reason, Row, Status
from glasseg.errors import GlassegError, PhotoError
from glasseg.labels import corrections
from glasseg.labels.corrections import Offer
from glasseg.lists import selection
from glasseg.storage.keys import printable
from glasseg.storage.roots import Root
from jobs.correct.known import Destination, Rows, correction, misfit, overtaken, seen

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
    """The model whose mask the person saw; None for a mask of another tool."""
    options_id: str | None = None
    """The options of the picture that the person saw."""

    def word(self, run_id: str) -> Row:
        """The columns of a person's word that the run `run_id` takes."""
        if self.reason == Reason.WITHDRAWN:
            return reviewed.NOTHING
        word = Word.CORRECTED if self.map else Word.APPROVED
        return {
            "reviewed": word,
            "reviewed_run": run_id,
            "reviewed_etag": self.etag,
            "reviewed_model": self.model_id,
            "reviewed_options": self.options_id,
        }


@dataclass
class Gathered:
    """All that is asked, and what can't be done."""

    asked: dict[str, Asked] = field(default_factory=dict)
    """By key."""
    overtaken: list[Asked] = field(default_factory=list)
    """Corrections that later ones of the same photo overtake."""
    done: set[str] = field(default_factory=set)
    """Photos of which just that was said before."""
    refused: Refused = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    """The URIs of other destinations for which exports were made."""


def gather(
    destination: Destination,
    given: str | None,
    approve: str | None,
    withdraw: Sequence[str],
    *,
    source_uri: str,
    endpoint_url: str | None,
) -> Gathered:
    """What is asked of each photo.

    `given`: corrections, see `labels.corrections.read`; `approve`: a list of photos whose pictures are right;
    `withdraw`: keys, and lists of photos. Raises GlassegError for a file or a list that is none, and when a photo is
    asked to be two things.
    """
    keys = destination.known["key"]
    offers, refused = corrections.read(given, keys.to_pylist(), endpoint_url=endpoint_url) if given else ([], {})
    if approve:
        listed, unmatched = _listed(approve, keys, source_uri, endpoint_url)
        if both := {one.key for one in offers if one.word == Word.CORRECTED} & {one.key for one in listed}:
            raise GlassegError(f"{min(both)} is both corrected and in --approve: leave out one of them", 2)
        offers, refused = [*offers, *listed], refused | unmatched
    withdrawn, unmatched = _withdrawn(withdraw, keys, source_uri, endpoint_url)
    refused |= unmatched
    if both := {offer.key for offer in offers} & withdrawn:
        raise GlassegError(f"{min(both)} is both given and in --withdraw: leave out one of them", 2)
    found = Gathered(refused=refused)
    rows = destination.rows({offer.key for offer in offers} | withdrawn)
    _take(found, offers, rows, destination)
    for key in sorted(withdrawn):
        row = rows.get(key)
        if row and row["reviewed"]:
            found.asked[key] = Asked(key, Reason.WITHDRAWN, row["source_etag"])
        else:
            found.refused[key] = "nobody has corrected or approved its picture" if row else "there is no such photo"
    return found


def _take(
    found: Gathered, offers: Sequence[Offer], rows: Mapping[str, Mapping[str, Any]], destination: Destination
) -> None:
    """Add what is offered, the latest last, to what was found."""
    earlier = destination.earlier(offers, rows)
    for offer in offers:
        try:
            one = _said(offer, rows.get(offer.key), earlier, destination)
        except ValueError as error:
            name = offer.key if offer.key not in found.refused else offer.name
            found.refused[name] = f"{error} ({offer.name})"
            continue
        if offer.destination and offer.destination != destination.root.uri:
            found.elsewhere.add(offer.destination)
        if (before := found.asked.get(one.key)) and before.map:
            found.overtaken.append(before)
        found.asked[one.key] = one
    found.done = {key for key, one in found.asked.items() if _holds(one, rows[key], destination)}
    found.asked = {key: one for key, one in found.asked.items() if key not in found.done}
    found.overtaken = [one for one in found.overtaken if one.key not in found.done]


def _listed(
    approve: str, keys: pa.ChunkedArray, source_uri: str, endpoint_url: str | None
) -> tuple[list[Offer], Refused]:
    """An approval for each photo that a list names: of the picture of its `run_id`, as the page of a run exports it."""
    chosen, unmatched = _chosen(approve, keys, source_uri, endpoint_url)
    saved = corrections.stamp(selection.saved(approve, endpoint_url=endpoint_url))
    offers = [
        Offer(approve, key, Word.APPROVED, None, run_id=columns.get("run_id"), exported_at=saved)
        for key, columns in chosen.items()
    ]
    return offers, unmatched


def _withdrawn(
    withdraw: Sequence[str], keys: pa.ChunkedArray, source_uri: str, endpoint_url: str | None
) -> tuple[set[str], Refused]:
    """The photos that are meant by keys and lists: the name of a list is that of no photo."""
    found, refused = {printable(one) for one in withdraw if not selection.is_list(one)}, Refused()
    for uri in filter(selection.is_list, withdraw):
        chosen, unmatched = _chosen(uri, keys, source_uri, endpoint_url)
        found, refused = found | chosen.keys(), refused | unmatched
    return found, refused


def _chosen(
    uri: str, keys: pa.ChunkedArray, source_uri: str, endpoint_url: str | None
) -> tuple[dict[str, dict[str, str]], Refused]:
    """The photos that a list names with its other columns, by key, and what it names otherwise."""
    found = selection.select(uri, selection.fetch(uri, endpoint_url=endpoint_url), keys, source_uri)
    return found.chosen, {f"{uri}, row {one.row}": f"{one.name!r} {one.reason}" for one in found.unmatched}


def _said(offer: Offer, row: Mapping[str, Any] | None, earlier: Rows, destination: Destination) -> Asked:
    """What an offer asks of a photo of which `row` is known. Raises ValueError, one line, when that can't be done."""
    if row is None:
        raise ValueError("there is no such photo")
    if why := misfit(offer, row) or overtaken(offer, row, earlier):
        raise ValueError(why)
    model_id = offer.model_id or row["model_id"]
    options_id = seen(offer, row, earlier)["options_id"]
    if offer.word == Word.CORRECTED:
        size = (int(row["height"]), int(row["width"]))
        labels = corrections.labels(offer.data or b"", size, destination.max_pixels, is_export=offer.is_export)
        drawn, saw = corrections.encode(labels), model_id if offer.is_export else None
        return Asked(offer.key, Reason.CORRECTED, row["source_etag"], drawn, saw, options_id)
    if destination.model_id not in {model_id} & {row["model_id"]}:
        way_out = "run glasseg whiten" + " with --redo all" * bool(row["reviewed"])  # else it is not made again
        raise ValueError(f"its picture is of another model: {way_out} first, and look at it again")
    if row["options_id"] != destination.options_id:
        raise ValueError("its picture was made with other options than the last run's: whiten it first, and look again")
    map = _map_in_force(row, destination.root)
    return Asked(offer.key, Reason.APPROVED, row["source_etag"], map, model_id, options_id)


def _map_in_force(row: Mapping[str, Any], root: Root) -> bytes | None:
    """The map of a correction that holds for a photo: who approves its picture approves that, too."""
    if not (run_id := correction(row)):
        return None
    try:
        return root.read(reviewed.map_key(row["key"], run_id))[0]
    except PhotoError as error:
        raise ValueError(f"its correction can't be read: {error}") from error


def _holds(one: Asked, row: Mapping[str, Any], destination: Destination) -> bool:
    """Whether just that was said before, and of the picture as it is."""
    ids = (destination.model_id, destination.options_id)
    if (row["model_id"], row["options_id"]) != ids or row["status"] not in {Status.OK, Status.REVIEW}:
        return False
    if one.reason == Reason.APPROVED:
        approved = row["reviewed"] == Word.APPROVED or row["reason"] == Reason.APPROVED
        return approved and row["status"] == Status.OK and row["reviewed_model"] == destination.model_id
    try:
        return one.map == _map_in_force(row, destination.root)
    except ValueError:
        return False
