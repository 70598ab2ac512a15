"""The review page of a run: one HTML file that holds its style and script and asks for nothing but its thumbnails.

The templates escape everything that comes from outside (names, messages, options, list columns). The script finds
what it needs in data attributes, so there is no second way in.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from glasseg.errors import ERROR_CODES
from glasseg.report.cards import STATES
from glasseg.report.photo_card import Shown, card_facts

_FOLDER: Final = Path(__file__).parent

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
    """The whole page. `record` is the run's, as in `runs/RUN.json`, any key may be missing; `facts` as `cards.facts`
    counts them."""
    rows = [shown.card.row for shown in cards]
    text = _template().render(
        style=_text("page.css"),
        script=_text("page.js"),
        run=record.get("run_id", ""),
        when=_when(record),
        ended=str(record.get("ended", "done")),
        photos=_photos(int(record.get("processed") or facts["photos"])),
        source=record.get("source"),
        pace=_pace(record),
        totals=_totals(record, facts),
        histogram=_histogram(facts["coverage"]),
        codes=facts["codes"],
        code_meanings=ERROR_CODES,
        reasons=facts["reasons"],
        reason_meanings=_REASONS,
        about=_about(record),
        shown=len(cards),
        shown_states=_shown_states(cards),
        shown_reasons=_values(rows, "reason"),
        shown_codes=_values(rows, "error_code"),
        groups=_groups(facts, cards),
    )
    return text.replace("\r", "&#13;")  # a browser would read a bare CR as a line feed


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sha256": _sha256, "thousands": "{:,}".format}
    return environment.get_template("page.html")


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    """What the page's security policy calls this very text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# --- the run ---


def _when(record: Mapping[str, Any]) -> str:
    """When the run ended, or its name where it does not say."""
    try:
        ended = datetime.fromisoformat(str(record["finished_at"])).astimezone(UTC)
    except (KeyError, ValueError):
        return str(record.get("run_id", ""))
    return f"{ended.day} {ended:%B %Y, %H:%M} UTC"


def _pace(record: Mapping[str, Any]) -> str:
    parts = []
    if record.get("seconds"):
        parts.append(f"in {_duration(float(record['seconds']))}")
    if record.get("photos_per_second"):
        parts.append(f"({float(record['photos_per_second']):,.1f} photos/s)")
    return " ".join(parts)


def _totals(record: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, int]:
    counts = {**facts["states"], "unchanged": int(record.get("unchanged") or 0)}
    return {**counts, "gone": max(counts["gone"], int(record.get("gone") or 0))}


def _histogram(coverage: Mapping[str, Any]) -> dict[str, Any]:
    """The bars of mask coverage, at most 96 high, with what they mean in words."""
    counts, upper = coverage["counts"], float(coverage["upper"])
    bars = []
    for i, count in enumerate(counts):
        low, high = (100 * upper * edge / len(counts) for edge in (i, i + 1))
        height = max(2.0, 96 * count / max(counts)) if count else 0
        bars.append({"height": height, "title": f"{low:.1f} to {high:.1f} %: {_photos(count)}"})
    label = f"Histogram of mask coverage from 0 to {100 * upper:.0f} % of the frame, {sum(counts):,} pictures"
    return {"bars": bars, "label": label, "upper": f"{100 * upper:.0f} %"}


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What made the pictures, and how they did at the marketplaces."""
    options, checks = record.get("options") or {}, record.get("checks")
    lines = {"Run": record.get("run_id"), "Model": record.get("model_id"), "Ended": record.get("ended")}
    if isinstance(options, Mapping):
        lines["Options"] = ", ".join(f"{name} {_plain(value)}" for name, value in options.items()) or "defaults"
    for name, counts in checks.items() if isinstance(checks, Mapping) else ():
        if isinstance(counts, Mapping):
            lines[str(name)] = f"{counts.get('pass', 0)} pass, {counts.get('fail', 0)} fail"
    if record.get("others"):
        lines["Other files"] = f"{record['others']} skipped"
    return lines


# --- its photos ---


def _shown_states(cards: Sequence[Shown]) -> dict[str, int]:
    """How many cards each state has, those that matter most first; states without cards are left out."""
    counts = Counter(shown.card.state for shown in cards)
    return {state: counts[state] for state in reversed(STATES) if counts[state]}


def _values(rows: Iterable[Mapping[str, Any]], column: str) -> list[str]:
    return sorted({str(row[column]) for row in rows if row.get(column)})


def _groups(facts: Mapping[str, Any], cards: Sequence[Shown]) -> list[dict[str, Any]]:
    groups = []
    numbered = enumerate(cards, 1)
    for group, members in itertools.groupby(numbered, key=lambda pair: pair[1].card.group):
        title, explanation = _GROUPS[group]
        photos = [card_facts(shown, number) for number, shown in members]
        total = facts["states"].get(group, 0)
        count = f"{len(photos)} of {total:,}" if total > len(photos) else str(len(photos))
        groups.append({"title": title, "explanation": explanation, "size": count, "photos": photos})
    return groups


# --- words ---


def _plain(value: Any) -> str:
    """An option's value in a few words: (1, 1) is a ratio, other tuples are lists."""
    if isinstance(value, (list, tuple)):
        return (":" if all(isinstance(one, int) for one in value) else ", ").join(str(one) for one in value)
    return "yes" if value is True else str(value)


def _photos(count: int) -> str:
    return f"{count:,} photo{'s' * (count != 1)}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
