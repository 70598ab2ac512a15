"""The pictures of one photo: composed, encoded, verified and written, each with its row."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Final, cast

from glasseg import formats
from glasseg.catalog import gates, manifest, pictures, reviewed
from glasseg.catalog.schema import Reason, Row, Status
from glasseg.cutout import finished, picture, review
from glasseg.cutout.finished import Finished
from glasseg.cutout.look import WHITE
from glasseg.cutout.picture import Glasses, Picture
from glasseg.cutout.scale import Scale
from glasseg.errors import REVIEW_CODES, PhotoError, ReviewCode
from glasseg.images import encoder
from glasseg.images.decoder import Photo
from glasseg.model.folder import ModelSpec
from glasseg.model.segmentation import Segmentation
from glasseg.storage import client
from glasseg.storage.keys import printable
from jobs.whiten.opening import Opened, Request
from jobs.whiten.order import DoneRow, Order, Pending
from jobs.whiten.scaling import Scales, scale_of

NO_MASK: Final = "its mask was not written: a part of the mask's name would be longer than 255 bytes"


def write_all(opened: Opened, seen: Segmentation, spec: ModelSpec, scales: Scales) -> list[DoneRow]:
    """Make and write the pictures of a photo by what the model saw in it; all of its rows.

    Its glasses are cut out once, but for pictures that a person has corrected. `scales`: those of its units.
    """
    photo = opened.photo
    several = sum(request.correction is None for request in opened.requests) > 1
    shared = cache(lambda: picture.glasses_of(photo, seen, spec).shared(photo))
    rows = list(opened.failed)
    for request in opened.requests:
        own = partial(picture.glasses_of, photo, seen, spec, request.correction)
        glasses = shared if several and request.correction is None else own
        scale = scale_of(request.pending, scales)
        rows.append(_write(request, opened, seen, spec, partial(_picture, request, photo, glasses, scale)))
    return rows


def _picture(request: Request, photo: Photo, glasses: Callable[[], Glasses], scale: Scale | None) -> Picture:
    return picture.picture_of(photo, glasses(), request.order.look, scale)


def _write(
    request: Request, opened: Opened, seen: Segmentation, spec: ModelSpec, make: Callable[[], Picture]
) -> DoneRow:
    """Make, encode, verify and write one picture; its row."""
    order, pending, photo, started = request.order, request.pending, opened.photo, time.perf_counter()
    facts = opened.facts.copy()
    try:
        made = make()
        sent = finished.finish(made, order.look, formats.format_of(pending["output"]), order.quality, photo.tags)
        if request.unseen and not made.far_apart:
            request = replace(request, vouched=True)
        code = _review_code(request, photo, made, sent)
        # what a person has taken back must not stay because the network's own mask is in doubt
        gated = order.gates and (code or not request.vouched) and pending["reason"] != Reason.WITHDRAWN
        held = _held_code(code, made.mask.coverage, pending) if gated else None
        _store_label(request, opened, seen, spec)
        folder, before = manifest.held_folder(order.run_id) if held else "", client.repeated()
        try:
            guarded = bool(pending["guarded"] and not held)
            uris = _store(order, folder, pending["output"], made, sent, guarded=guarded)
        finally:
            facts["storage_retries"] = (facts["storage_retries"] or 0) + client.repeated() - before
    except PhotoError as error:
        return order.failed(pending, error.code, str(error), facts)
    except MemoryError:
        return order.failed(pending, "out_of_memory", "no memory to write it", facts)
    code = held or code
    quality, beyond = review.judged_quality(made.mask), made.placement.overflow
    why = _why(code, quality, order.review_below, beyond) if code else None
    outcome: Row = {
        "status": Status.REVIEW if code else Status.OK,
        "error_code": code,
        "error": why,
        "warnings": [*photo.warnings, *made.warnings, *_unmasked(order, pending["output"])] or None,
        "output_key": pending["output"],
        "published": not held,
        "replaced_run_id": None if held else pending["standing_run_id"],
        "quality_id": spec.calibration.id if spec.calibration and made.mask.quality is not None else None,
        "write_ms": (time.perf_counter() - started) * 1000,
    }
    if _unsettles(pending, made):
        outcome["group_members"] = None
    if request.unseen and request.vouched:
        outcome["reviewed_model"] = order.model_id
    if request.dropped:
        outcome |= {**reviewed.NOTHING, "warnings": [request.dropped, *(outcome["warnings"] or [])]}
    return order.row(pending, {**facts, **_measured(made, sent), **uris, **outcome})


def _unsettles(pending: Pending, made: Picture) -> bool:
    """Whether the group of a photo is to be decided anew in the next run: its scale was decided without this mask.

    That of a group of which the list has only a part stays.
    """
    if pending["group_scale"] is None or pending["group_partial"]:
        return False
    return pending["reason"] == Reason.RETRY or bool(made.placement.overflow)


def _unmasked(order: Order, output: str) -> list[str]:
    return [NO_MASK] if order.mask and not order.masks(output) else []


def _store_label(request: Request, opened: Opened, seen: Segmentation, spec: ModelSpec) -> None:
    """Keep what training learns from a photo of which a person said a word, once; the run that took it may have
    failed."""
    order, pending = request.order, request.pending
    if not (request.vouched or request.correction):
        return
    key = reviewed.label_key(pending["key"], str(pending["reviewed_run"]))
    if pending["reviewed_run"] != order.run_id and order.destination.exists(key):
        return
    labels = picture.label_map(opened.photo, seen, spec, request.correction, vouched=request.vouched)
    order.destination.write(key, encoder.encode(labels, "png", order.quality))
    order.destination.sync([key])


def _store(order: Order, folder: str, output: str, made: Picture, sent: Finished, *, guarded: bool) -> Row:
    """Write the picture, and its mask if it has one, below `folder`; where they are now."""
    root = order.destination
    mask = encoder.encode(made.alpha, "png", order.quality) if order.masks(output) else None
    pictures.put(root, output, sent.data, mask, folder=folder, guarded=guarded)
    uris: Row = {"output_uri": printable(root.uri_of(folder + output))}
    if mask is not None:
        uris["mask_uri"] = printable(root.uri_of(folder + manifest.mask_key(output)))
    return uris


def _why(code: ReviewCode, quality: float | None, review_below: float | None, beyond: Sequence[str] = ()) -> str:
    """Why a picture needs a look, in words: with the numbers or the edges where these are what decided."""
    if code == "uncertain_mask" and quality is not None and review_below is not None:
        return f"the mask may be wrong in places: its quality is {_floored(quality)}, below {review_below:.4g}"
    if code == "mask_mismatch":
        return f"{REVIEW_CODES[code]} glasseg correct --approve takes it all the same, --withdraw forgets it"
    if code == "cut_off" and beyond:
        return f"at the scale of its group the glasses go beyond the picture ({', '.join(beyond)})"
    return REVIEW_CODES[code]


def _floored(share: float) -> str:
    """A share with two places, never rounded up to the line that it is below."""
    return f"{math.floor(100 * share) / 100:.2f}"


def _held_code(code: ReviewCode | None, coverage: float, pending: Pending) -> ReviewCode | None:
    """Why this picture may not replace the one that stands there; None when it may."""
    return gates.held_code(code, coverage, pending["standing_status"], pending["standing_coverage"])


def _review_code(request: Request, photo: Photo, made: Picture, sent: Finished) -> ReviewCode | None:
    """Why a person should look at this picture; what somebody has seen needs no other look.

    Who saw the mask in a picture of other options has not seen how this one is framed, and nobody vouches for a scale
    at which the glasses have no room.
    """
    order, look, white = request.order, request.order.look, sent.whiteness
    if request.vouched and request.pending["reviewed_options"] == order.options_id:
        return "cut_off" if made.placement.overflow else None
    # the nearest that a lossy format holds of a colour may come back a level off; white it holds
    ring = white.ring_share if look.colour in {None, WHITE} else white.ring_near
    framing, placement = look.framing, made.placement
    if placement.overflow:  # then that is why
        ring = 1.0
    framed_cut = bool(placement.cut) and (framing.frame is not None or framing.fill is not None or placement.angle != 0)
    framed_cut = framed_cut or bool(placement.overflow)
    return review.review_code(
        made.mask,
        ring,
        framed_cut=framed_cut,
        review_below=order.review_below,
        side=max(photo.image.shape[:2]),
        misfit=made.misfit,
        sideways=made.sideways,
        far_apart=request.unseen and made.far_apart,
        mask_seen=request.vouched,
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
