"""The scores of many photos in a few figures: spreads, the set as a whole, and classes of photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np

from glasseg.evaluation import metrics
from glasseg.evaluation.conditions import CLASSES
from glasseg.evaluation.metrics import PhotoScore, RimScore
from glasseg.evaluation.testset import Setting

METRICS: Final = tuple(one.name for one in fields(PhotoScore))
PLAIN: Final = "_plain"
"""What ends the names of the scores of a plainly upsampled mask."""
RIM_SCORES: Final = tuple(one.name + way for way in ("", PLAIN) for one in fields(RimScore))
"""Scores of composites, whose glasses on white are known: of our rim, and of that of a plainly upsampled mask."""
LOWER_IS_BETTER: Final = {"alpha_error", *RIM_SCORES}
BROKEN_DOWN: Final = ("strict_iou", "openings_left_out", "boundary_f")


def summary(rows: Sequence[dict[str, Any]], counts: np.ndarray, histogram: np.ndarray) -> dict[str, Any]:
    """Every figure of a set by name; nan where there is none.

    `rows`: one per photo, its scores by name, None where it has none. `counts` and `histogram`: the sums over its
    photos, as `metrics.set_score` and `metrics.precision_recall` take them.
    """
    curve = metrics.precision_recall(histogram)
    return {
        "summary": {name: _spread(rows, name) for name in (*METRICS, *_rim_scores(rows))},
        "share_95": float(np.mean([row["strict_iou"] >= 0.95 for row in rows])),
        "set": {**asdict(metrics.set_score(counts)), "average_precision": curve.average_precision},
        "breakdown": breakdown(rows),
    }


def _rim_scores(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The names of the rim's scores, if there are composites, which have them."""
    return RIM_SCORES if any(row["rim_error"] is not None for row in rows) else ()


def _spread(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Mean, median and worst of one score over the photos that have it."""
    values = {row["name"]: row[name] for row in rows if row[name] is not None}
    if not values:
        return {"mean": math.nan, "median": math.nan, "worst": math.nan, "worst_photo": ""}
    worst = (max if name in LOWER_IS_BETTER else min)(values, key=lambda photo: float(values[photo]))
    found = np.array(list(values.values()))
    return {
        "mean": float(found.mean()),
        "median": float(np.median(found)),
        "worst": values[worst],
        "worst_photo": worst,
    }


def breakdown(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """By condition and class, in order: the number of photos, the means of `BROKEN_DOWN` and the share at .95."""
    kinds = {row["kind"] for row in rows}
    settings: list[str] = [setting for setting in Setting if setting in kinds]
    classes: dict[str, list[str]] = {"kind": settings} if settings else {}
    classes |= {name: [word for _, word in bins] for name, bins in CLASSES.items()}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for condition, words in classes.items():
        column = "kind" if condition == "kind" else f"{condition}_class"
        groups = {word: [row for row in rows if row[column] == word] for word in words}
        found[condition] = {
            word: {
                "n": len(some),
                **{name: _spread(some, name)["mean"] for name in BROKEN_DOWN},
                "share_95": float(np.mean([row["strict_iou"] >= 0.95 for row in some])),
            }
            for word, some in groups.items()
            if some
        }
    return found
