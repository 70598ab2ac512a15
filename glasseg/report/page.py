"""The review page of a run: one HTML file that holds its style and script and asks for nothing but its thumbnails.

The templates escape everything that comes from outside (names, messages, options, list columns). The script reads
what it needs from data attributes, so outside text has no other way in.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from glasseg.catalog.manifest import report_folder
from glasseg.catalog.skipped import described
from glasseg.errors import ERROR_CODES
from glasseg.report import templates
from glasseg.report.cards import STATES
from glasseg.report.photo_card import PhotoCard, card_facts

_GROUPS: Final = {
    "failed": ("Failed", "No picture was made."),
    "held": ("Held back", "A picture was made but not published: the destination keeps what it had."),
    "review": ("To review", "Published, but a person should look at them; the lowest quality first."),
    "confidence": ("Least certain", "Published as ok; of all masks, the model was least certain about these."),
    "coverage": ("Most changed", "Published as ok; the mask covers more or less of the photo than in the run before."),
    "sample": ("Random sample", "Published as ok; drawn at random from all the others."),
}
"""The heading and the explanation of each group of cards."""

_REASONS: Final = {
    "new": "not seen before",
    "changed": "the photo has changed",
    "redo": "requested again",
    "unfinished": "an unfinished run had replaced its picture",
    "model": "the picture was made by another model",
    "options": "the picture was made with other options",
    "missing": "the picture was missing",
    "retry": "it failed last time",
    "corrected": "a person corrected its mask",
    "approved": "a person took its picture as it is",
    "withdrawn": "a person took such a word back",
}
"""What each reason of the manifest means."""


def page(
    record: Mapping[str, Any], counts: Mapping[str, Any], cards: Sequence[PhotoCard], *, edited: bool = False
) -> str:
    """The whole page as HTML.

    `record` is the run's, as in `runs/RUN.json`; any key may be missing. `counts` come from `cards.count`. `edited`:
    whether the run has an editor, in `edit/` next to the page.
    """
    rows = [one.card.row for one in cards]
    return templates.rendered(
        "page.html",
        style=templates.style("page.css"),
        script=templates.text("page.js"),
        run=record.get("run_id", ""),
        when=_when(record),
        ended=str(record.get("ended", "done")),
        photos=_photos(int(record.get("processed") or counts["photos"])),
        source=record.get("source"),
        pace=_pace(record),
        totals=_totals(record, counts),
        histogram=_histogram(counts["coverage"]),
        codes=counts["codes"],
        code_meanings=ERROR_CODES,
        reasons=counts["reasons"],
        reason_meanings=_REASONS,
        about=_about(record),
        output=record.get("output"),
        outputs=_outputs(record),
        edited=edited,
        shown=len(cards),
        shown_states=_shown_states(cards),
        shown_reasons=_values(rows, "reason"),
        shown_codes=_values(rows, "error_code"),
        groups=_groups(counts, cards),
    )


# --- the run ---


def _when(record: Mapping[str, Any]) -> str:
    """When the run ended, or its name if the record does not say."""
    try:
        ended = datetime.fromisoformat(str(record["finished_at"])).astimezone(UTC)
    except (KeyError, ValueError):
        return str(record.get("run_id", ""))
    return f"{ended.day} {ended:%B %Y, %H:%M} UTC"


def _pace(record: Mapping[str, Any]) -> str:
    """How long the run took and how fast it was, as far as its record says."""
    parts = []
    if record.get("seconds"):
        parts.append(f"in {_duration(float(record['seconds']))}")
    if record.get("photos_per_second"):
        parts.append(f"({float(record['photos_per_second']):,.1f} photos/s)")
    return " ".join(parts)


def _totals(record: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, int]:
    counts = {**counts["states"], "unchanged": int(record.get("unchanged") or 0)}
    return {**counts, "gone": max(counts["gone"], int(record.get("gone") or 0))}


def _histogram(coverage: Mapping[str, Any]) -> dict[str, Any]:
    """The bars of mask coverage, between 2 and 96 high unless they are empty, with a description of each and of all."""
    counts, upper = coverage["counts"], float(coverage["upper"])
    bars = []
    for i, count in enumerate(counts):
        low, high = (100 * upper * edge / len(counts) for edge in (i, i + 1))
        height = max(2.0, 96 * count / max(counts)) if count else 0
        bars.append({"height": height, "title": f"{low:.1f} to {high:.1f} %: {_photos(count)}"})
    label = f"Histogram of mask coverage from 0 to {100 * upper:.0f} % of the frame, {sum(counts):,} pictures"
    return {"bars": bars, "label": label, "upper": f"{100 * upper:.0f} %"}


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What made the pictures, and how many of them pass the marketplaces' checks."""
    options, checks = record.get("options") or {}, record.get("checks")
    lines = {"Run": record.get("run_id"), "Model": record.get("model_id"), "Ended": record.get("ended")}
    if isinstance(options, Mapping):
        lines["Options"] = ", ".join(f"{name} {_plain(value)}" for name, value in options.items()) or "defaults"
    for name, counts in checks.items() if isinstance(checks, Mapping) else ():
        if isinstance(counts, Mapping):
            lines[str(name)] = f"{counts.get('pass', 0)} passed, {counts.get('fail', 0)} failed"
    if record.get("others"):
        kinds = record.get("skipped")
        what = f": {described(kinds)}" if isinstance(kinds, Mapping) and kinds else ""
        lines["Other files"] = f"{record['others']} skipped{what}"
    return lines


def _outputs(record: Mapping[str, Any]) -> dict[str, str]:
    """The other outputs of the run, each with the address of its page, seen from this one; "" where it has none."""
    known, run_id = record.get("outputs"), record.get("run_id", "")
    pages = known if isinstance(known, Mapping) else {}
    return {
        name: f"../../../../{name}/{report_folder(run_id)}index.html" if has_page else ""
        for name, has_page in pages.items()
        if name != record.get("output")
    }


# --- its photos ---


def _shown_states(cards: Sequence[PhotoCard]) -> dict[str, int]:
    """How many cards each state has, the most urgent state first; states without cards are left out."""
    counts = Counter(one.card.state for one in cards)
    return {state: counts[state] for state in reversed(STATES) if counts[state]}


def _values(rows: Iterable[Mapping[str, Any]], column: str) -> list[str]:
    return sorted({str(row[column]) for row in rows if row.get(column)})


def _groups(counts: Mapping[str, Any], cards: Sequence[PhotoCard]) -> list[dict[str, Any]]:
    """The cards by group, numbered from 1 across all of them."""
    groups = []
    for group, members in itertools.groupby(enumerate(cards, 1), key=lambda pair: pair[1].card.group):
        title, explanation = _GROUPS[group]
        photos = [card_facts(card, number) for number, card in members]
        total = counts["states"].get(group, 0)
        size = f"{len(photos)} of {total:,}" if total > len(photos) else str(len(photos))
        groups.append({"title": title, "explanation": explanation, "size": size, "photos": photos})
    return groups


# --- words ---


def _plain(value: Any) -> str:
    """An option's value as people write it: 1:1 for (1, 1), other tuples with commas, yes for True."""
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
