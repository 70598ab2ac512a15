"""One Ray actor's work: a batch of photos read, segmented, put on white and written; out come their manifest rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from glasseg import formats
from glasseg.catalog import gates, manifest, pictures, reviewed
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import Reason, Row, Status
from glasseg.cutout import finished, picture, review
from glasseg.cutout.correction import Correction
from glasseg.cutout.finished import Finished
from glasseg.cutout.look import WHITE, Look
from glasseg.cutout.picture import Picture
from glasseg.errors import FAILURE_CODES, REVIEW_CODES, GlassegError, PhotoError, ReviewCode
from glasseg.images import decoder, encoder
from glasseg.images.decoder import Photo
from glasseg.labels import corrections
from glasseg.model.folder import ModelFolder
from glasseg.model.segmentation import Segmentation
from glasseg.model.start import quick_start
from glasseg.storage import client
from glasseg.storage.keys import printable
from jobs.heap import keep_freed
from jobs.whiten.metrics import Meters
from jobs.whiten.order import ROWS, DoneRow, Order, Pending

THREADS_PER_CPU = 3
"""Reading, decoding, composing and writing release the GIL; three threads keep a core busy through their waits."""
GROUP = 4
"""Photos that are segmented one after the other while as many are opened and as many written."""

DROPPED = {
    Word.CORRECTED: "the photo has changed since it was corrected: the correction holds no longer",
    Word.APPROVED: "the photo has changed since its picture was approved: that holds no longer",
}
NO_MASK = "its mask was not written: a part of the mask's name would be longer than 255 bytes"

if TYPE_CHECKING:
    import ray


@dataclass
class Opened:
    """A photo on its way through the worker."""

    pending: Pending
    photo: Photo
    facts: Row
    correction: Correction | None = None
    vouched: bool = False
    """Whether a person has seen this model's mask of it, and corrected or approved it."""
    dropped: str | None = None
    """Why a person's word holds no longer. It goes with the row of a new picture: until then nobody would be told."""


class Whitener:
    """Holds the model. Called by Ray Data with a table of `PENDING`, returns one of `ROWS`.

    `model` may be a reference to one in Ray's object store. `memory`: bytes that the process may take on top of what it
    holds with the model loaded; None for no limit.
    """

    def __init__(self, order: Order, model: ModelFolder | ray.ObjectRef, memory: int | None = None) -> None:
        import cv2

        from glasseg.model.segmenter import Segmenter

        if not isinstance(model, ModelFolder):
            import ray

            model = ray.get(model)
        keep_freed()
        cv2.setNumThreads(1)  # the pool below is the parallelism
        self._order = order
        with quick_start():
            self._segmenter = Segmenter(model, order.cpus, gpu=order.gpus > 0)
        self._calibration = model.spec.calibration
        self._pool = ThreadPoolExecutor(THREADS_PER_CPU * order.cpus)
        self._meters = Meters(order.run_id) if order.metered else None
        if memory:
            _limit_memory(memory)

    def __call__(self, batch: pa.Table) -> pa.Table:
        _refuse_torn(batch)
        rows, fatal = [], None
        try:
            for future in self._whiten(batch.to_pylist()):
                rows.append(future.result())
        except GlassegError as error:
            fatal = str(error)  # an exception would lose the rows of the photos that are done
        try:  # all of a batch at once, before their rows promise that they are there
            self._order.destination.sync(key for row in rows for key in manifest.files_of(row))
        except GlassegError as error:
            rows, fatal = [], str(error)
        if self._meters:
            self._meters.add(rows)
        done = manifest.table(rows).append_column("place", pa.array([row["place"] for row in rows], pa.int32()))
        done = done.append_column("fatal", pa.nulls(len(rows), pa.string())).cast(ROWS)
        stop = pa.Table.from_pylist([{"fatal": fatal}] if fatal else [], schema=ROWS)
        return pa.concat_tables([done, stop])

    def _whiten(self, batch: list[Pending]) -> Iterator[Future[DoneRow]]:
        """Photos go in groups; while one is segmented, the next one is opened and the last one written."""
        groups = [batch[i : i + GROUP] for i in range(0, len(batch), GROUP)]
        opening = [self._pool.submit(self._open, pending) for pending in groups[0]]
        writing: list[Future[DoneRow]] = []
        for following in [*groups[1:], []]:
            opened = [future.result() for future in opening]
            opening = [self._pool.submit(self._open, pending) for pending in following]
            photos = [one for one in opened if isinstance(one, Opened)]
            started = time.perf_counter()
            found = self._segmenter.segment([one.photo.on_white() for one in photos])
            segment_ms = (time.perf_counter() - started) * 1000 / max(1, len(photos))
            yield from writing  # at most three groups of photos are in memory: opening, segmented, being written
            writing = [_done(one) for one in opened if not isinstance(one, Opened)]
            for one, seen in zip(photos, found, strict=True):
                one.facts["segment_ms"] = segment_ms
                writing.append(self._pool.submit(self._write, one, seen))
        yield from writing

    def _open(self, pending: Pending) -> Opened | DoneRow:
        """Read and decode one photo, or its failed row."""
        order, started, before = self._order, time.perf_counter(), client.repeated()
        facts: Row = {}
        try:
            data, facts["source_etag"] = order.source.read(pending["key"])
            facts["listed_etag"] = order.listed_etag(pending, facts["source_etag"])
            facts["source_bytes"] = len(data)
            facts["storage_retries"] = client.repeated() - before
            facts["read_ms"] = (time.perf_counter() - started) * 1000
            photo = decoder.decode(data, max_pixels=order.max_pixels)
            if photo.hidden:
                why = f"{FAILURE_CODES['transparent']}: save it without"
                raise PhotoError("transparent", why, photo.image.shape[:2])
        except PhotoError as error:
            height, width = error.size or (None, None)
            if error.code == "vanished":
                facts["listed_etag"] = order.listed_etag(pending, None)
            return order.failed(pending, error.code, str(error), {**facts, "height": height, "width": width})
        except MemoryError:
            return order.failed(pending, "out_of_memory", "no memory to decode it", facts)
        facts["height"], facts["width"] = photo.image.shape[:2]
        return self._heeded(Opened(pending, photo, facts))

    def _heeded(self, opened: Opened) -> Opened | DoneRow:
        """A photo with what a person said of it, while it is the same; a correction that can't be read fails it."""
        pending, facts = opened.pending, opened.facts
        if not pending["reviewed"]:
            return opened
        if facts["source_etag"] != pending["reviewed_etag"]:
            return replace(opened, dropped=DROPPED[Word(pending["reviewed"])])
        vouched = pending["reviewed_model"] == self._order.model_id
        if pending["reviewed"] != Word.CORRECTED:
            return replace(opened, vouched=vouched)
        key = reviewed.map_key(pending["key"], str(pending["reviewed_run"]))
        try:
            data = self._order.destination.read(key)[0]
            labels = corrections.labels(data, opened.photo.image.shape[:2], self._order.max_pixels, is_export=True)
        except (PhotoError, ValueError) as error:
            why = f"its correction can't be used ({error}): mend that, or forget it with glasseg correct --withdraw"
            return self._order.failed(pending, "read_error", why, facts)
        return replace(opened, vouched=vouched, correction=Correction(labels))

    def _write(self, opened: Opened, seen: Segmentation) -> DoneRow:
        """Make, encode, verify and write one picture; its row."""
        order, spec, started = self._order, self._segmenter.spec, time.perf_counter()
        pending, photo = opened.pending, opened.photo
        try:
            made = picture.compose(photo, seen, spec, order.look, opened.correction)
            sent = finished.finish(made, order.look, formats.format_of(pending["output"]), order.quality, photo.tags)
            code = None if opened.vouched else _review_code(photo, made, sent, order.look, order.review_below)
            # what a person has taken back must not stay because the network's own mask is in doubt
            gated = order.gates and not opened.vouched and pending["reason"] != Reason.WITHDRAWN
            held = _held_code(code, made.mask.coverage, pending) if gated else None
            self._store_label(opened, seen)
            folder, before = manifest.held_folder(order.run_id) if held else "", client.repeated()
            try:
                uris = self._store(folder, pending["output"], made, sent, guarded=bool(pending["guarded"] and not held))
            finally:
                opened.facts["storage_retries"] = (opened.facts["storage_retries"] or 0) + client.repeated() - before
        except PhotoError as error:
            return order.failed(pending, error.code, str(error), opened.facts)
        except MemoryError:
            return order.failed(pending, "out_of_memory", "no memory to write it", opened.facts)
        code = held or code
        outcome: Row = {
            "status": Status.REVIEW if code else Status.OK,
            "error_code": code,
            "error": _why(code, made.mask.quality) if code else None,
            "warnings": [*photo.warnings, *made.warnings, *self._unmasked(pending["output"])] or None,
            "output_key": pending["output"],
            "published": not held,
            "replaced_run_id": None if held else pending["standing_run_id"],
            "quality_id": self._calibration.id if self._calibration and made.mask.quality is not None else None,
            "write_ms": (time.perf_counter() - started) * 1000,
        }
        if opened.dropped:
            outcome |= {**reviewed.NOTHING, "warnings": [opened.dropped, *(outcome["warnings"] or [])]}
        return order.row(pending, {**opened.facts, **_measured(made, sent), **uris, **outcome})

    def _unmasked(self, output: str) -> list[str]:
        return [NO_MASK] if self._order.mask and not self._order.masks(output) else []

    def _store_label(self, opened: Opened, seen: Segmentation) -> None:
        """Keep what training learns from a photo of which a person said a word, once; the run that took it may have
        failed."""
        order, pending = self._order, opened.pending
        if not (opened.vouched or opened.correction):
            return
        key = reviewed.label_key(pending["key"], str(pending["reviewed_run"]))
        if pending["reviewed_run"] != order.run_id and order.destination.exists(key):
            return
        labels = picture.label_map(opened.photo, seen, self._segmenter.spec, opened.correction, vouched=opened.vouched)
        order.destination.write(key, encoder.encode(labels, "png", order.quality))
        order.destination.sync([key])

    def _store(self, folder: str, output: str, made: Picture, sent: Finished, *, guarded: bool) -> Row:
        """Write the picture, and its mask if it has one, below `folder`; where they are now."""
        root = self._order.destination
        mask = encoder.encode(made.alpha, "png", self._order.quality) if self._order.masks(output) else None
        pictures.put(root, output, sent.data, mask, folder=folder, guarded=guarded)
        uris: Row = {"output_uri": printable(root.uri_of(folder + output))}
        if mask is not None:
            uris["mask_uri"] = printable(root.uri_of(folder + manifest.mask_key(output)))
        return uris


def _refuse_torn(batch: pa.Table) -> None:
    """Raise ValueError for a batch without some of the rows that have to be done together."""
    whole = dict(zip(batch["unit"].to_pylist(), batch["unit_rows"].to_pylist(), strict=True))
    there = Counter(batch["unit"].to_pylist())
    if torn := [unit for unit, rows in whole.items() if there[unit] != rows]:
        raise ValueError(f"{torn[0]} has {whole[torn[0]]} rows, and {there[torn[0]]} of them are in this batch")


def _why(code: ReviewCode, quality: float | None) -> str:
    """Why a picture needs a look, in words, with the number where it is one that decided."""
    doubted = code == "uncertain_mask" and quality is not None
    return f"the mask is probably wrong in places: its quality is {quality:.2f}" if doubted else REVIEW_CODES[code]


def _held_code(code: ReviewCode | None, coverage: float, pending: Pending) -> ReviewCode | None:
    """Why this picture may not replace the one that stands there; None when it may."""
    return gates.held_code(code, coverage, pending["standing_status"], pending["standing_coverage"])


def _review_code(
    photo: Photo, made: Picture, sent: Finished, look: Look, review_below: float | None
) -> ReviewCode | None:
    """Why a person should look at this picture; None when nobody needs to."""
    white = sent.whiteness
    # the nearest that a lossy format holds of a colour may come back a level off; white it holds
    ring = white.ring_share if look.colour in {None, WHITE} else white.ring_near
    framing, placement = look.framing, made.placement
    framed_cut = bool(placement.cut) and (framing.frame is not None or framing.fill is not None or placement.angle != 0)
    return review.review_code(
        made.mask,
        ring,
        framed_cut=framed_cut,
        review_below=review_below,
        side=max(photo.image.shape[:2]),
        misfit=made.misfit,
        sideways=made.sideways,
    )


def _measured(made: Picture, sent: Finished) -> Row:
    """The columns that say how mask and picture came out."""
    height, width = made.pixels.shape[:2]
    x0, y0, x1, y1 = made.mask.bbox or (None,) * 4
    verdicts = cast(Row, {f"check_{name}": verdict for name, verdict in sent.verdicts.items()})
    return {
        "mask_coverage": made.mask.coverage,
        "confidence": made.mask.confidence,
        "quality": made.mask.quality,
        "bbox_x0": x0,
        "bbox_y0": y0,
        "bbox_x1": x1,
        "bbox_y1": y1,
        "output_width": width,
        "output_height": height,
        "output_bytes": len(sent.data),
        "fill": made.placement.fill,
        "background_exact": sent.whiteness.exact_share,
        "background_deviation": sent.whiteness.deviation,
        "ring_exact": sent.whiteness.ring_share,
        **verdicts,
    }


def _done(row: DoneRow) -> Future[DoneRow]:
    future: Future[DoneRow] = Future()
    future.set_result(row)
    return future


def _limit_memory(more: int) -> None:
    """Let this process allocate `more` bytes than it holds now (Linux; elsewhere without effect)."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        used = int(fields["VmData"].split()[0]) << 10  # the line is in kB
        resource.setrlimit(resource.RLIMIT_DATA, (used + more, used + more))
