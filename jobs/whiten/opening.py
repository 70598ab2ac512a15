"""One photo read and decoded for all of its pictures, with what a person said of it at each destination."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from glasseg.catalog import reviewed
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import Row
from glasseg.cutout.correction import Correction
from glasseg.errors import FAILURE_CODES, PhotoError
from glasseg.images import decoder
from glasseg.images.decoder import Photo
from glasseg.labels import corrections
from glasseg.storage import client
from jobs.whiten.order import DoneRow, Order, Orders, Pending


@dataclass
class Request:
    """One picture that is to be made of a photo."""

    order: Order
    pending: Pending
    correction: Correction | None = None
    vouched: bool = False
    """Whether a person has seen this model's mask of it, and corrected or approved it."""
    unseen: bool = False
    """Whether it has a mask of another tool that nobody, nor a model, has compared with it yet."""
    dropped: str | None = None
    """Why a person's word holds no longer. It goes with the row of a new picture: until then nobody would be told."""


@dataclass
class Opened:
    """A photo on its way through the worker."""

    photo: Photo
    facts: Row
    """Columns of all its rows."""
    requests: list[Request]
    failed: list[DoneRow]
    """The rows of pictures that can't be made."""

    @property
    def key(self) -> str:
        """The photo's."""
        return self.requests[0].pending["key"]


def open_photo(orders: Orders, rows: Sequence[Pending]) -> Opened | list[DoneRow]:
    """Read and decode the photo of `rows`, one for each of its pictures; or their rows, if that fails."""
    order, key = orders[rows[0]["place"]], rows[0]["key"]
    started, before = time.perf_counter(), client.repeated()
    facts: Row = {}
    try:
        data, facts["source_etag"] = order.source.read(key)
        facts["listed_etag"] = order.listed_etag(rows[0], facts["source_etag"])
        facts["source_bytes"] = len(data)
        facts["storage_retries"] = client.repeated() - before
        facts["read_ms"] = (time.perf_counter() - started) * 1000
        photo = decoder.decode(data, max_pixels=order.max_pixels)
        if photo.hidden:
            why = f"{FAILURE_CODES['transparent']}: save it without"
            raise PhotoError("transparent", why, photo.image.shape[:2])
    except PhotoError as error:
        facts["height"], facts["width"] = error.size or (None, None)
        if error.code == "vanished":
            facts["listed_etag"] = order.listed_etag(rows[0], None)
        return _failed(orders, rows, error.code, str(error), facts)
    except MemoryError:
        return _failed(orders, rows, "out_of_memory", "no memory to decode it", facts)
    facts["height"], facts["width"] = photo.image.shape[:2]
    opened = Opened(photo, facts, [], [])
    for pending in rows:
        _heed(opened, Request(orders[pending["place"]], pending))
    return opened if opened.requests else opened.failed


def _failed(orders: Orders, rows: Sequence[Pending], code: str, why: str, facts: Row) -> list[DoneRow]:
    return [orders[pending["place"]].failed(pending, code, why, facts) for pending in rows]


def _heed(opened: Opened, request: Request) -> None:
    """Add a request with what a person said of the photo, while it is the same; a correction that can't be read fails
    it."""
    pending, order, facts = request.pending, request.order, opened.facts
    if pending["reviewed"] and facts["source_etag"] != pending["reviewed_etag"]:
        request.dropped = reviewed.DROPPED[Word(pending["reviewed"])]
    elif pending["reviewed"]:
        request.vouched = pending["reviewed_model"] == order.model_id
        if pending["reviewed"] == Word.CORRECTED:
            try:
                request.correction = _correction(opened.photo, request)
                request.unseen = not pending["reviewed_model"]
            except (PhotoError, ValueError) as error:
                why = f"its correction can't be used ({error}): mend that, or forget it with glasseg correct --withdraw"
                opened.failed.append(order.failed(pending, "read_error", why, facts))
                return
    opened.requests.append(request)


def _correction(photo: Photo, request: Request) -> Correction:
    pending, order = request.pending, request.order
    data = order.destination.read(reviewed.map_key(pending["key"], str(pending["reviewed_run"])))[0]
    return Correction(corrections.labels(data, photo.image.shape[:2], order.max_pixels, is_export=True))
