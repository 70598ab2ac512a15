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


def quality_table(told: dict[str, Any]) -> str:
    """What a calibration is worth, as `glasseg.evaluation.calibration.calibrate` tells it, as lines."""
    under = f"under {told['good']:g}"
    lines = [f"{'':<12}{'n':>6}{under:>10}{'AUC':>8}{'confidence':>12}{'flagged':>9}{'caught':>8}"]
    for name in ("photos", "composites"):
        if name in told:
            one = told[name]
            numbers = f"{_number(one['auc']):>8}{_number(one['auc_confidence']):>12}"
            lines.append(
                f"{name:<12}{one['n']:>6}{one['bad']:>10}{numbers}{one['flagged']:>9.0%}{_share(one['caught']):>8}"
            )
    lines += ["", f"flagged: quality below {told['review_below']:g}; caught: those of them that are {under}"]
    if told["reliability"]:
        lines += ["", f"{'quality':<12}{'photos':>6}{'mean':>10}{'strict IoU':>12}{under:>11}"]
    for row in told["reliability"]:
        ends = f"{row['from']:g} to {row['to']:g}"
        lines.append(f"{ends:<12}{row['n']:>6}{row['quality']:>10.3f}{row['strict_iou']:>12.3f}{row['bad']:>11.0%}")
    return "\n".join(lines)


_OVER_ALL = ("iou", "precision", "recall", "f1", "accuracy", "average_precision")


def _numbers(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return "".join(f"{_number(row[name]):>8}" for name in names)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
