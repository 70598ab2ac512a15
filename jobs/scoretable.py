"""The scores of a model as a table for people."""

from __future__ import annotations

import math
from typing import Any


def table(found: dict[str, Any]) -> str:
    """What `evaluate` found, as lines."""
    lines = [f"{found['model']} on {found['photos']} photos of {found['data']}", ""]
    lines.append(f"{'photo by photo':<20}{'mean':>8}{'median':>8}{'worst':>8}  worst photo")
    for name, row in found["summary"].items():
        lines.append(f"{name:<20}{_numbers(row, ('mean', 'median', 'worst'))}  {row['worst_photo']}")
    lines += [f"{'strict IoU ≥ .95':<20}{found['share_95']:>8.0%}  of the photos", ""]
    lines.append("over all pixels     " + "  ".join(f"{name} {found['set'][name]:.3f}" for name in _OVER_ALL))
    for condition, classes in found["breakdown"].items():
        lines += ["", f"{'by ' + condition:<32}{'n':>6}{'strict':>8}{'openings':>10}{'boundary':>10}{'≥ .95':>8}"]
        for word, row in classes.items():
            scores = [row["strict_iou"], row["openings_left_out"], row["boundary_f"]]
            numbers = "".join(f"{_number(v):>{w}}" for v, w in zip(scores, (8, 10, 10), strict=True))
            lines.append(f"  {word:<30}{row['n']:>6}{numbers}{row['share_95']:>8.0%}")
    return "\n".join(lines)


_OVER_ALL = ("iou", "precision", "recall", "f1", "accuracy", "average_precision")


def _numbers(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return "".join(f"{_number(row[name]):>8}" for name in names)


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
