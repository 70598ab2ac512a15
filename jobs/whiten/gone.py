"""Photos that have left the source: their rows, and with `--gone delete` the end of their pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import groups, manifest, reviewed
from glasseg.catalog.lock import Lock
from glasseg.catalog.schema import NUMBERED, Reason, Row, Status
from glasseg.catalog.writer import Writer
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import Bucket, Root, unsafe_reason
from jobs.terminal import say
from jobs.whiten.order import PENDING, Pending
from jobs.whiten.plan import Plan

THREADS = 16
_BATCH = 1000


def record(plan: Plan, writer: Writer, own_lock: Lock, *, delete: bool) -> None:
    """A row with status gone for each photo that left; with `delete` its picture and mask are deleted first.

    The source is asked for each of them: one that is there after all, whatever the listing said, is left as it is.
    Only files that our rows name are deleted, and none in whose place a photo of the source is to have its picture:
    until it has, the one that stands there is still ours, as of the photo that left. Raises GlassegError when one can't
    be deleted.
    """
    kept = _kept(plan, writer)
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(plan.gone), _BATCH):
            own_lock.check()
            photos = _left(plan.order.source, plan.gone.slice(start, _BATCH), pool)
            if delete:
                doomed = plan.gone_pictures.filter(pc.is_in(plan.gone_pictures["key"], value_set=photos["key"]))
                _delete_all(plan.order.destination, doomed["output_key"].to_pylist(), pool)
            for row in photos.to_pylist():
                writer.add([_row(plan, row, Reason.DELETED if delete and row["key"] not in kept else Reason.GONE)])
    writer.flush()
    if n := len(kept):
        one, more = "another can take its place", "others can take their places"
        who = "1 picture of a photo that is gone stays" if n == 1 else f"{n:,} pictures of photos that are gone stay"
        say(f"  {who} until {one if n == 1 else more}")


def _kept(plan: Plan, writer: Writer) -> set[str]:
    """The photos that left whose pictures still stand where others should be by now."""
    done = plan.naming.among(plan.needed_pictures["output_key"], pa.array(writer.published, pa.string()))
    return set(plan.needed_pictures["key"].filter(pc.invert(done)).to_pylist())


def _delete_all(root: Root, outputs: list[str], pool: ThreadPoolExecutor) -> None:
    """Delete pictures and their masks, also as far as a power cut could bring them back: no row would name them."""
    list(pool.map(partial(_delete, root), outputs))
    root.sync(key for output in outputs for key in _files(output))


def _files(output: str) -> list[str]:
    """A picture after the mask that it may have; one with a very long name has none."""
    return [key for key in (manifest.mask_key(output), output) if not unsafe_reason(key)]


def _left(source: Root, photos: pa.Table, pool: ThreadPoolExecutor) -> pa.Table:
    """Those of `photos` that are not in the source."""
    there = pa.array(pool.map(partial(_is_there, source), photos["key"].to_pylist()), pa.bool_())
    if n := pc.sum(there).as_py():
        first = photos.filter(there)["key"][0].as_py()
        say(f"  {n} not listed but there, such as {first}: left as they are", level="warning")
    return photos.filter(pc.invert(there))


def _is_there(source: Root, key: str) -> bool:
    try:
        there = source.exists(key)
    except PhotoError:  # a name that no picture can have
        return False
    # a disk that ignores case finds a photo under the name that it had before
    return there and (isinstance(source, Bucket) or any(entry.key == key for entry in source.list(key)))


def _delete(root: Root, output: str) -> None:
    try:
        for key in _files(output):
            root.delete(key)
    except PhotoError as error:
        raise GlassegError(f"a picture whose photo is gone can't be deleted: {error}") from error


def _row(plan: Plan, known: dict[str, Any], reason: Reason) -> Row:
    """The row of a photo that left: "gone", or "deleted" when its pictures left with it."""
    order = plan.order
    pending: dict[str, Any] = dict.fromkeys(PENDING.names) | {
        "key": known["key"],
        "output": known["key"],
        "etag": known["source_etag"],
        "reason": reason,
        "standing_coverage": known["standing_coverage"],
        "guarded": False,
        "place": order.place,
        "unit": known["key"],
        "unit_rows": 1,
        **dict.fromkeys(groups.COLUMNS),
        **{name: known[name] for name in NUMBERED},
        **reviewed.said(known["reviewed"]),
    }
    facts: Row = {
        "status": Status.GONE,
        "model_id": known["model_id"],
        "options_id": known["options_id"],
        "width": known["width"],
        "height": known["height"],
    }
    return order.row(cast(Pending, pending), facts)
