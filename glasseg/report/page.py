"""The review page of a run: one HTML file that holds its style and script and asks for nothing but its thumbnails.

Everything that comes from outside (names, messages, options, list columns) passes `markup.escape`. The script finds
what it needs in data attributes, so there is no second way in.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from string import Template
from typing import Any, Final

from glasseg.errors import ERROR_CODES
from glasseg.report.cards import STATES
from glasseg.report.markup import escape
from glasseg.report.markup import facts as facts_list
from glasseg.report.photo_card import Shown, card

_GROUPS: Final = {
    "failed": ("Failed", "No picture was made."),
    "held": ("Held back", "A picture was made but not published: the destination keeps what it had."),
    "review": ("To review", "Published, but a person should look; the lowest quality first."),
    "confidence": ("Least sure", "Published as ok; the masks of these are the least sure."),
    "coverage": ("Most changed", "Published as ok; the mask covers far more or less than the run before found."),
    "sample": ("Random sample", "Published as ok; drawn by chance from all the others."),
}
"""Heading and explanation of each group of cards."""

_REASONS: Final = {
    "new": "not seen before",
    "changed": "the photo has changed since",
    "redo": "asked for again",
    "unfinished": "an unfinished run had replaced its picture",
    "model": "the picture was made by another model",
    "options": "the picture was made with other options",
    "missing": "the picture was not there any more",
    "retry": "it failed last time",
}


def page(record: Mapping[str, Any], facts: Mapping[str, Any], cards: Sequence[Shown]) -> str:
    """The whole page. `record` is the run's, as in `runs/RUN.json`, any key may be missing; `facts` as `reportcards`
    counts them."""
    style, script = _file("page.css"), _file("page.js")
    return Template(_file("page.html")).substitute(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        run=escape(record.get("run_id", "")),
        when=escape(_when(record)),
        subtitle=_subtitle(record, facts),
        ended=_ended(record),
        totals=_totals(record, facts),
        about=_about(record, facts),
        filters=_filters(cards),
        sections=_sections(facts, cards),
        shown=_count(len(cards)),
    )


# --- head of the page ---


def _when(record: Mapping[str, Any]) -> str:
    """When the run ended, or its name where it does not say."""
    try:
        ended = datetime.fromisoformat(str(record["finished_at"])).astimezone(UTC)
    except (KeyError, ValueError):
        return str(record.get("run_id", ""))
    return f"{ended.day} {ended:%B %Y, %H:%M} UTC"


def _subtitle(record: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    parts = [_photos(int(record.get("processed") or facts["photos"]))]
    if record.get("seconds"):
        parts.append(f"in {_duration(float(record['seconds']))}")
    if record.get("photos_per_second"):
        parts.append(f"({float(record['photos_per_second']):,.1f} photos/s)")
    source = f" of <bdi>{escape(record['source'])}</bdi>" if record.get("source") else ""
    return parts[0] + source + escape(" ".join(["", *parts[1:]]))


def _ended(record: Mapping[str, Any]) -> str:
    """A word on how the run ended, unless it simply came to its end."""
    ended = str(record.get("ended", "done"))
    return "" if ended == "done" else f'<span class="ended">{escape(ended)}</span>'


def _totals(record: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    counts = {**facts["states"], "unchanged": int(record.get("unchanged") or 0)}
    counts["gone"] = max(counts["gone"], int(record.get("gone") or 0))
    return "\n".join(
        f'<div class="total {state}{"" if count else " none"}"><dt>{state}</dt><dd>{_count(count)}</dd></div>'
        for state, count in counts.items()
    )


def _about(record: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    panels = {
        "Coverage": _chart(facts["coverage"]),
        "Error codes": _bars(facts["codes"], ERROR_CODES),
        "Why worked on": _bars(facts["reasons"], _REASONS),
        "This run": _details(record),
    }
    return "\n".join(f'<section class="panel"><h2>{title}</h2>{body}</section>' for title, body in panels.items())


def _chart(coverage: Mapping[str, Any]) -> str:
    """The histogram of mask coverage, as a drawing of our own; its labels are text below it."""
    counts, upper = coverage["counts"], float(coverage["upper"])
    if not counts:
        return '<p class="nothing">No picture was made.</p>'
    top = max(counts)
    bars = []
    for i, count in enumerate(counts):
        tall = max(2.0, 96 * count / top) if count else 0
        low, high = (100 * upper * edge / len(counts) for edge in (i, i + 1))
        title = f"{low:.1f} to {high:.1f} %: {_photos(count)}"
        bars.append(
            f'<rect x="{i * 10 + 1}" y="{100 - tall:.1f}" width="8" height="{tall:.1f}"><title>{title}</title></rect>'
        )
    pictures = sum(counts)
    label = f"Histogram of mask coverage from 0 to {100 * upper:.0f} % of the frame, {pictures:,} pictures"
    axis = ("0 %", "share of the photo that is glasses", f"{100 * upper:.0f} %")
    return (
        f'<svg class="chart" viewBox="0 0 {len(counts) * 10} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{"".join(bars)}</svg>'
        f'<p class="axis">{"".join(f"<span>{text}</span>" for text in axis)}</p>'
    )


def _bars(counts: Mapping[str, int], meanings: Mapping[str, str]) -> str:
    """Names with their counts and a bar each; a `<meter>` needs no style of its own for its length."""
    if not counts:
        return '<p class="nothing">None.</p>'
    top = max(counts.values())
    lines = (
        f"<li><span>{escape(name)}</span><b>{_count(count)}</b>"
        f'<meter min="0" max="{top}" value="{count}" aria-hidden="true"></meter>'
        f"<small>{escape(meanings.get(name, ''))}</small></li>"
        for name, count in counts.items()
    )
    return f'<ul class="bars">{"".join(lines)}</ul>'


def _details(record: Mapping[str, Any]) -> str:
    """What made the pictures, and how they did at the marketplaces."""
    options = record.get("options") or {}
    lines = {"Run": record.get("run_id"), "Model": record.get("model_id"), "Ended": record.get("ended")}
    if isinstance(options, Mapping):
        lines["Options"] = ", ".join(f"{name} {_plain(value)}" for name, value in options.items()) or "defaults"
    checks = record.get("checks")
    if isinstance(checks, Mapping):
        for name, counts in checks.items():
            if isinstance(counts, Mapping):
                lines[str(name)] = f"{counts.get('pass', 0)} pass, {counts.get('fail', 0)} fail"
    if record.get("others"):
        lines["Other files"] = f"{record['others']} skipped"
    return facts_list(lines)


# --- filters ---


def _filters(cards: Sequence[Shown]) -> str:
    """Buttons for the statuses that have cards, and lists of the reasons and codes that they have."""
    rows = [shown.card.row for shown in cards]
    states = [shown.card.state for shown in cards]
    chips = [
        ("", "all", len(cards)),
        *((state, state, states.count(state)) for state in reversed(STATES) if state in states),
    ]
    buttons = "".join(
        f'<button type="button" class="chip {value}" data-status="{value}" aria-pressed="{str(not value).lower()}">'
        f"{label} <b>{count}</b></button>"
        for value, label, count in chips
    )
    reasons = _choices("reason", "Every reason", (row.get("reason") for row in rows))
    codes = _choices("code", "Every code", (row.get("error_code") for row in rows))
    return f'<div class="chips" role="group" aria-label="Status">{buttons}</div>{reasons}{codes}'


def _choices(name: str, every: str, values: Iterable[Any]) -> str:
    found = sorted({str(value) for value in values if value})
    if not found:
        return ""
    options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in found)
    return f'<select data-filter="{name}" aria-label="{every}"><option value="">{every}</option>{options}</select>'


# --- cards ---


def _sections(facts: Mapping[str, Any], cards: Sequence[Shown]) -> str:
    if not cards:
        return '<p class="empty">No photo of this run has a card.</p>'
    sections, number = [], 0
    for group, members in itertools.groupby(cards, key=lambda shown: shown.card.group):
        some = list(members)
        title, why = _GROUPS[group]
        total = facts["states"].get(group, 0)
        count = f"{len(some)} of {_count(total)}" if total > len(some) else str(len(some))
        body = "\n".join(card(shown, number + i) for i, shown in enumerate(some, 1))
        number += len(some)
        sections.append(
            f'<section class="group"><header><h2>{title} <span class="count">{count}</span></h2><p>{why}</p></header>'
            f'<div class="grid">\n{body}\n</div></section>'
        )
    return "\n".join(sections)


# --- pieces ---


def _plain(value: Any) -> str:
    """An option's value in a few words: (1, 1) is a ratio, other tuples are lists."""
    if isinstance(value, (list, tuple)):
        return (":" if all(isinstance(one, int) for one in value) else ", ").join(str(one) for one in value)
    return "yes" if value is True else str(value)


def _photos(count: int) -> str:
    return f"{count:,} photo{'s' * (count != 1)}"


def _count(number: int) -> str:
    return f"{number:,}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _file(name: str) -> str:
    return (resources.files("glasseg.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's security policy calls this very text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
