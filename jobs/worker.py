"""One Ray actor's work: a batch of photos read, segmented, put on white and written; out come their manifest rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from glasseg import decoder, delivery, encoder, manifest, picture, whitening
from glasseg.decoder import Photo
from glasseg.delivery import Delivery
from glasseg.errors import REVIEW_CODES, GlassegError, PhotoError
from glasseg.keys import printable
from glasseg.look import WHITE, Look
from glasseg.modelfolder import ModelFolder
from glasseg.picture import Picture
from glasseg.storage import Root

MASKS = "_glasseg/masks/"
THREADS_PER_CPU = 3
"""Reading, decoding, composing and writing release the GIL; three threads keep a core busy through their waits."""

ROWS = pa.schema([*(column.with_nullable(True) for column in manifest.SCHEMA), pa.field("fatal", pa.string())])
"""What a batch returns: manifest rows, and after them perhaps one whose `fatal` says why the whole run has to stop."""

PENDING = pa.schema([(name, pa.string()) for name in ("key", "output", "etag", "reason", "replaced_run_id")])
"""What a batch gets."""


@dataclass(frozen=True)
class Order:
    """What every worker of a run must know."""

    source: Root
    destination: Root
    run_id: str
    run_seq: int
    model_id: str
    options_id: str
    mask: bool
    quality: int
    max_pixels: int
    cpus: int
    gpus: float = 0.0
    look: Look = field(default_factory=Look)

    def row(self, pending: dict[str, Any], **facts: Any) -> dict[str, Any]:
        """A manifest row of this run for one pending photo."""
        return {
            "key": pending["key"],
            "source_uri": printable(self.source.uri_of(pending["key"])),
            "reason": pending["reason"],
            "source_etag": pending["etag"],
            "replaced_run_id": pending["replaced_run_id"],
            "model_id": self.model_id,
            "options_id": self.options_id,
            "run_id": self.run_id,
            "run_seq": self.run_seq,
            "finished_at": datetime.now(UTC),
            "published": False,
            **facts,
        }

    def failed(self, pending: dict[str, Any], code: str, message: str, **facts: Any) -> dict[str, Any]:
        """The row of a photo that could not be done, and so replaced nothing."""
        return self.row({**pending, "replaced_run_id": None}, status="failed", error_code=code, error=message, **facts)


@dataclass
class Opened:
    """A photo on its way through the worker."""

    pending: dict[str, Any]
    photo: Photo
    facts: dict[str, Any] = field(default_factory=dict)


class Whitener:
    """Holds the model. Called by Ray Data with a table of `PENDING`, returns one of `ROWS`.

    `memory`: bytes that the process may take on top of what it holds with the model loaded; None for no limit.
    """

    def __init__(self, order: Order, model: ModelFolder, memory: int | None = None) -> None:
        import cv2

        from glasseg.segmenter import BATCH, Segmenter

        cv2.setNumThreads(1)  # the pool below is the parallelism
        self._order = order
        self._segmenter = Segmenter(model, order.cpus, gpu=order.gpus > 0)
        self._group = BATCH
        self._pool = ThreadPoolExecutor(THREADS_PER_CPU * order.cpus)
        if memory:
            _limit_memory(memory)

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows, fatal = [], None
        try:
            for future in self._whiten(batch.to_pylist()):
                rows.append(future.result())
        except GlassegError as error:
            fatal = str(error)  # an exception would lose the rows of the photos that are done
        done = manifest.table(rows).append_column("fatal", pa.nulls(len(rows), pa.string())).cast(ROWS)
        stop = pa.Table.from_pylist([{"fatal": fatal}] if fatal else [], schema=ROWS)
        return pa.concat_tables([done, stop])

    def _whiten(self, batch: list[dict[str, Any]]) -> Iterator[Future[dict[str, Any]]]:
        """Photos go in groups of one network call; meanwhile the next group is opened and the last one written."""
        groups = [batch[i : i + self._group] for i in range(0, len(batch), self._group)]
        opening = [self._pool.submit(self._open, pending) for pending in groups[0]]
        writing: list[Future[dict[str, Any]]] = []
        for following in [*groups[1:], []]:
            opened = [future.result() for future in opening]
            opening = [self._pool.submit(self._open, pending) for pending in following]
            photos = [one for one in opened if isinstance(one, Opened)]
            started = time.perf_counter()
            probabilities = self._segmenter.probabilities([one.photo.on_white() for one in photos])
            segment_ms = (time.perf_counter() - started) * 1000 / max(1, len(photos))
            yield from writing  # at most three groups of photos are in memory: opening, segmented, being written
            writing = [_done(one) for one in opened if not isinstance(one, Opened)]
            for one, probability in zip(photos, probabilities, strict=True):
                one.facts["segment_ms"] = segment_ms
                writing.append(self._pool.submit(self._write, one, probability))
        yield from writing

    def _open(self, pending: dict[str, Any]) -> Opened | dict[str, Any]:
        """Read and decode one photo, or its failed row."""
        order, started = self._order, time.perf_counter()
        facts: dict[str, Any] = {}
        try:
            data, facts["source_etag"] = order.source.read(pending["key"])
            facts["source_bytes"] = len(data)
            facts["read_ms"] = (time.perf_counter() - started) * 1000
            photo = decoder.decode(data, max_pixels=order.max_pixels)
        except PhotoError as error:
            height, width = error.size or (None, None)
            return order.failed(pending, error.code, str(error), height=height, width=width, **facts)
        except MemoryError:
            return order.failed(pending, "out_of_memory", "no memory to decode it", **facts)
        facts["height"], facts["width"] = photo.image.shape[:2]
        return Opened(pending, photo, facts)

    def _write(self, opened: Opened, probability: np.ndarray) -> dict[str, Any]:
        """Make, encode, verify and write one picture; its row."""
        order, spec, started = self._order, self._segmenter.spec, time.perf_counter()
        output, photo = opened.pending["output"], opened.photo
        mask_key = f"{MASKS}{output}.png" if order.mask else None
        try:
            made = picture.make(photo, probability, threshold=spec.threshold, ramp=spec.ramp, look=order.look)
            sent = delivery.deliver(made, order.look, encoder.format_of(output), order.quality, photo.tags)
            if mask_key:
                order.destination.write(mask_key, encoder.encode(made.alpha, "png", order.quality))
            order.destination.write(output, sent.data)
        except PhotoError as error:
            return order.failed(opened.pending, error.code, str(error), **opened.facts)
        except MemoryError:
            return order.failed(opened.pending, "out_of_memory", "no memory to write it", **opened.facts)
        code = _review_code(made, sent, order.look)
        return order.row(
            opened.pending,
            status="review" if code else "ok",
            error_code=code,
            error=REVIEW_CODES[code] if code else None,
            warnings=[*photo.warnings, *made.warnings] or None,
            output_uri=printable(order.destination.uri_of(output)),
            mask_uri=printable(order.destination.uri_of(mask_key)) if mask_key else None,
            published=True,
            write_ms=(time.perf_counter() - started) * 1000,
            **_measured(made, sent),
            **opened.facts,
        )


def _review_code(made: Picture, sent: Delivery, look: Look) -> str | None:
    """Why a person should look at this picture; None when nobody needs to."""
    white = sent.whiteness
    # the nearest that a lossy format holds of a colour may come back a level off; white it holds
    ring = white.ring_share if look.colour in {None, WHITE} else white.ring_near
    framing, placement = look.framing, made.placement
    framed_cut = bool(placement.cut) and (framing.frame is not None or framing.fill is not None or placement.angle != 0)
    return whitening.review_code(made.mask, ring, framed_cut=framed_cut)


def _measured(made: Picture, sent: Delivery) -> dict[str, Any]:
    """The columns that say how mask and picture came out."""
    height, width = made.pixels.shape[:2]
    return {
        "mask_coverage": made.mask.coverage,
        "confidence": made.mask.confidence,
        **dict(zip(("bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1"), made.mask.bbox or (None,) * 4, strict=True)),
        "output_width": width,
        "output_height": height,
        "output_bytes": len(sent.data),
        "fill": made.placement.fill,
        "background_exact": sent.whiteness.exact_share,
        "background_deviation": sent.whiteness.deviation,
        "ring_exact": sent.whiteness.ring_share,
        **{f"check_{name}": verdict for name, verdict in sent.verdicts.items()},
    }


def _done(row: dict[str, Any]) -> Future[dict[str, Any]]:
    future: Future[dict[str, Any]] = Future()
    future.set_result(row)
    return future


def _limit_memory(more: int) -> None:
    """Let this process allocate `more` bytes than it holds now (Linux; elsewhere without effect)."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        held = int(fields["VmData"].split()[0]) << 10  # the line is in kB
        resource.setrlimit(resource.RLIMIT_DATA, (held + more, held + more))
