"""The scale of a unit: how large the glasses are in each of its photos, and what that makes of them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import cast

from glasseg.cutout import framing, picture
from glasseg.cutout.picture import Sized
from glasseg.cutout.scale import Scale
from glasseg.errors import PhotoError
from glasseg.model.folder import ModelSpec
from glasseg.model.segmentation import Segmentation
from jobs.whiten.opening import Opened
from jobs.whiten.order import DoneRow, Order, Orders, Pending

Sizes = dict[tuple[int, str], Sized]
"""By place and key of a row how large the glasses of its photo are, where there are any."""
Scales = dict[tuple[int, str], Scale]
"""By place and key of a row the scale that its unit has got."""


@dataclass(frozen=True)
class Measured:
    """What the first of two passes over a unit keeps of a photo: all but its pixels."""

    key: str
    etag: str | None
    seen: Segmentation
    segment_ms: float | None
    sizes: Sizes


def is_open(pending: Pending) -> bool:
    """Whether the scale of a row is yet to be decided, with its unit."""
    return pending["group_members"] is not None and pending["group_scale"] is None


def measure(opened: Opened, seen: Segmentation, spec: ModelSpec) -> Measured:
    """How large the glasses of a photo are for those of its pictures whose scale is open."""
    photo, sizes = opened.photo, Sizes()
    plain = cache(partial(picture.glasses_of, photo, seen, spec))
    for request in opened.requests:
        if not is_open(request.pending):
            continue
        try:
            corrected = request.correction
            glasses = picture.glasses_of(photo, seen, spec, corrected) if corrected else plain()
            found = picture.sized(photo, glasses, request.order.look)
        except (PhotoError, MemoryError):  # it will have no picture, and its row will tell why
            continue
        if found:
            doubt = found.in_doubt and not request.vouched
            sizes[request.pending["place"], request.pending["key"]] = Sized(found.extent, doubt)
    return Measured(opened.key, opened.facts["source_etag"], seen, opened.facts.get("segment_ms"), sizes)


def decided(rows: Iterable[Pending], sizes: Mapping[tuple[int, str], Sized], orders: Orders) -> Scales:
    """The scales of all units of which `rows` are, where they are open and glasses were found."""
    units: dict[tuple[int, str], list[Pending]] = defaultdict(list)
    for pending in rows:
        if is_open(pending):
            units[pending["place"], pending["unit"]].append(pending)
    scales = Scales()
    for (place, _), unit in units.items():
        if common := _common(unit, sizes, orders[place]):
            scales |= {(place, pending["key"]): common for pending in unit}
    return scales


def _common(unit: list[Pending], sizes: Mapping[tuple[int, str], Sized], order: Order) -> Scale | None:
    """The scale of a unit; masks that are in doubt count only where all are."""
    found = [(sizes[key], pending) for pending in unit if (key := (pending["place"], pending["key"])) in sizes]
    counted = [(size, pending) for size, pending in found if not size.in_doubt] or found
    width = next((pending["width_mm"] for pending in unit if pending["width_mm"]), None)
    pixels = width / order.across_mm * order.look.framing.canvas[1] if width and order.across_mm else None
    return framing.group_scale(
        [size.extent for size, _ in counted],
        order.look.framing,
        pixels,
        [size.extent for size, pending in counted if pending["width_mm"]],
    )


def scale_of(pending: Pending, scales: Mapping[tuple[int, str], Scale]) -> Scale | None:
    """The scale for a row's picture: that which its unit has got, else the one that it came with."""
    if pending["group_scale"] is not None and pending["group_baseline"] is not None:
        return Scale(pending["group_scale"], pending["group_baseline"])
    return scales.get((pending["place"], pending["key"]))


def with_scales(photo: Iterable[Pending], scales: Mapping[tuple[int, str], Scale]) -> list[Pending]:
    """The rows of a photo as a unit of their own, at the scale that they got with others."""
    rows = list(photo)
    alone: list[Pending] = []
    for pending in rows:
        scale = scale_of(pending, scales)
        decided = {"group_scale": scale and scale.scale, "group_baseline": scale and scale.baseline}
        alone.append(cast(Pending, {**pending, **decided, "unit": pending["key"], "unit_rows": len(rows)}))
    return alone


def known_scales(rows: Iterable[DoneRow], scales: Mapping[tuple[int, str], Scale]) -> list[DoneRow]:
    """Rows with the scale that their unit has got: also those that failed may be tried again at that of the others."""
    known = list(rows)
    for row in known:
        if scale := scales.get((row["place"] or 0, row["key"])):
            row["group_scale"], row["group_baseline"] = scale.scale, scale.baseline
    return known
