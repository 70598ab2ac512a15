"""Several measurements of the same: their median, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from jobs.terminal import columns


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest, to three decimals."""
    return {"median": round(median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The `spread` of the quotients, round by round."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def table(what: str, unit: str, measured: Mapping[str, Mapping[str, float]], digits: int = 1) -> str:
    """What was measured, by name, each with its median, and its smallest and largest value."""
    rows = [(name, one["median"], f"{one['min']:.{digits}f}–{one['max']:.{digits}f}") for name, one in measured.items()]
    return columns({what: "", unit: f".{digits}f", "min–max": ">"}, rows)
