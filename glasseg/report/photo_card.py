"""One photo on the review page: its pictures, what became of it, what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from glasseg.config import MARKETPLACES
from glasseg.errors import ERROR_CODES
from glasseg.report.cards import Card

_NO_VALUE: Final = "–"


@dataclass(frozen=True)
class Thumbnail:
    """A small picture in the page's folder `thumbs/`: its file and its size in pixels."""

    name: str
    width: int
    height: int
    transparent: bool = False


@dataclass(frozen=True)
class PhotoCard:
    """A card with its thumbnails. One that is missing is None, and one of the `notes` says why."""

    card: Card
    before: Thumbnail | None = None
    after: Thumbnail | None = None
    mask: Thumbnail | None = None
    """The mask as a tint with transparency, as large as the picture that it lies on."""
    aligned: bool = False
    """Whether before and after show the same frame. One then slides over the other, and the mask lies on before."""
    notes: tuple[str, ...] = ()


def card_facts(photo: PhotoCard, number: int) -> dict[str, Any]:
    """What `photo_card.html` shows of card `number`, by the names used there."""
    row = photo.card.row
    code, error = str(row.get("error_code") or ""), str(row.get("error") or "")
    warnings = [str(warning) for warning in row.get("warnings") or ()]
    return {
        "number": number,
        "name": str(row.get("key", "")),
        "state": photo.card.state,
        "reviewed": row.get("reviewed") or "",
        "reason": row.get("reason") or "",
        "code": code,
        "meaning": ERROR_CODES.get(code, ""),
        "error": error,
        "note": "; ".join(text for text in (error, *warnings) if text),
        "remarks": (*warnings, *photo.notes),
        "measured": _measured(row),
        "listed": dict(row.get("list_columns") or {}),
        "thumbnails": photo,
        "layout": _layout(photo),
        "see_through": any(thumbnail.transparent for thumbnail in (photo.before, photo.after) if thumbnail),
    }


def _layout(photo: PhotoCard) -> str:
    """How the pictures are shown: one over the other with a slider, side by side, a single one, or none."""
    pictures = (photo.before is not None) + (photo.after is not None)
    if pictures == 2 and photo.aligned:
        return "compare"
    return ("empty", "single", "pair")[pictures]


def _measured(row: Mapping[str, Any]) -> dict[str, str]:
    """Coverage (and that of the run before if it differs), quality, sizes, a name of its own, checks, the reason."""
    lines = {}
    coverage, previous = row.get("mask_coverage"), row.get("previous_coverage")
    if coverage is not None:
        was = f" (was {previous:.1%})" if previous is not None and f"{previous:.1%}" != f"{coverage:.1%}" else ""
        lines["Coverage"] = f"{coverage:.1%}{was}".replace("%", " %")
    lines |= {name.capitalize(): f"{row[name]:.2f}" for name in ("quality", "confidence") if row.get(name) is not None}
    if row.get("width") and row.get("height"):
        size = f"{row['width']}×{row['height']}"
        made = f"{row.get('output_width')}×{row.get('output_height')}"
        lines["Size"] = size if made in {size, "None×None"} else f"{size} → {made}"
    key, output = (
        PurePosixPath(str(row.get("key", ""))),
        PurePosixPath(str(row.get("output_key") or row.get("key", ""))),
    )
    if key.with_suffix("") != output.with_suffix(""):
        lines["Picture"] = str(output)
    lines |= {f"Check {name}": str(row[f"check_{name}"]) for name in MARKETPLACES if row.get(f"check_{name}")}
    lines["Reason"] = str(row.get("reason") or _NO_VALUE)
    return lines
