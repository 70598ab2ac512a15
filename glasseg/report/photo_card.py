"""One photo on the review page, as HTML: its pictures, what became of it, what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from glasseg.config import MARKETPLACES
from glasseg.errors import ERROR_CODES
from glasseg.report.cards import Card
from glasseg.report.markup import escape, facts

_NO_VALUE: Final = "–"


@dataclass(frozen=True)
class Thumb:
    """A picture in `thumbs/`, in pixels."""

    name: str
    width: int
    height: int
    transparent: bool = False


@dataclass(frozen=True)
class Shown:
    """A card and its pictures; what is missing is None, and `notes` says why in one line each."""

    card: Card
    before: Thumb | None = None
    after: Thumb | None = None
    mask: Thumb | None = None
    """The mask as a tint with transparency, as large as the picture that it lies on."""
    aligned: bool = False
    """Whether before and after, both there, show the same frame: then one slides over the other, the mask on before."""
    notes: tuple[str, ...] = ()


def card(shown: Shown, number: int) -> str:
    """One photo: pictures, name, what became of it, what was measured."""
    row, state = shown.card.row, shown.card.state
    name, code, error = str(row.get("key", "")), str(row.get("error_code") or ""), str(row.get("error") or "")
    warnings = [str(warning) for warning in row.get("warnings") or ()]
    note = "; ".join(text for text in (error, *warnings) if text)
    data = {"photo": name, "status": state, "code": code, "reason": row.get("reason") or "", "note": note}
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    remarks = "".join(f'<p class="remark">{escape(text)}</p>' for text in (*warnings, *shown.notes))
    return f"""<article class="card" id="c{number}" tabindex="-1" {attributes} aria-labelledby="n{number}">
{_stage(shown, name)}
<div class="body">
<div class="line"><h3 id="n{number}"><bdi>{escape(name)}</bdi></h3><span class="badge {state}">{state}</span></div>
{_error(code, error)}{remarks}
{facts(_measured(row))}
{facts(dict(row.get("list_columns") or {}), "listed")}
<button type="button" class="mark" aria-pressed="false" aria-describedby="n{number}"><span class="box"></span>Mark
</button>
</div>
</article>"""


def _error(code: str, error: str) -> str:
    """Why a photo failed or should be looked at."""
    if not code and not error:
        return ""
    label = f'<code title="{escape(ERROR_CODES.get(code, ""))}">{escape(code)}</code> ' if code else ""
    return f'<p class="error">{label}<bdi>{escape(error)}</bdi></p>'


def _measured(row: Mapping[str, Any]) -> dict[str, str]:
    """Coverage, with that of the run before where it differs, how good it is, size, and what marketplaces would say."""
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
    lines |= {f"Check {name}": str(row[f"check_{name}"]) for name in MARKETPLACES if row.get(f"check_{name}")}
    lines["Reason"] = str(row.get("reason") or _NO_VALUE)
    return lines


def _stage(shown: Shown, name: str) -> str:
    """The pictures of a card: one over the other with a slider, side by side, or the only one."""
    before, after, mask = shown.before, shown.after, shown.mask
    if before and after and shown.aligned:
        pictures = (
            f"{_picture(after, f'{name} on its new background', 'after')}"
            f'<div class="over">{_picture(before, f"{name} as it was", "before")}{_tint(mask)}</div>'
            f"{_tag('before', 'left')}{_tag('after', 'right')}"
            f'<input class="slider" type="range" min="0" max="100" step="1" value="50" '
            f'aria-label="Share of {escape(name)} that is shown as it was">'
        )
        return f'<div class="stage compare{_see_through(before, after)}">{pictures}</div>'
    halves = []
    if before:
        halves.append(_picture(before, f"{name} as it was", "before") + _tag("before", "left"))
    if after:
        halves.append(_picture(after, f"{name} on its new background", "after") + _tint(mask) + _tag("after", "left"))
    if not halves:
        return '<div class="stage empty"><span>No picture to show</span></div>'
    body = "".join(f'<div class="half">{half}</div>' for half in halves)
    kind = "pair" if len(halves) == 2 else "single"
    return f'<div class="stage {kind}{_see_through(before, after)}">{body}</div>'


def _see_through(*thumbs: Thumb | None) -> str:
    return " see-through" if any(thumb and thumb.transparent for thumb in thumbs) else ""


def _picture(thumb: Thumb, alt: str, kind: str) -> str:
    return (
        f'<img class="{kind}" src="thumbs/{escape(thumb.name)}" width="{thumb.width}" height="{thumb.height}" '
        f'alt="{escape(alt)}" loading="lazy" decoding="async" draggable="false">'
    )


def _tag(text: str, side: str) -> str:
    return f'<span class="tag {side}" aria-hidden="true">{text}</span>'


def _tint(mask: Thumb | None) -> str:
    return _picture(mask, "", "tint") if mask else ""
