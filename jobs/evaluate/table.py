"""The scores of a model as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.terminal import columns


def table(found: dict[str, Any]) -> str:
    """What `evaluate` found, as lines."""
    over_all = ("iou", "precision", "recall", "f1", "accuracy", "average_precision")
    pixels = ", ".join(f"{name} {found['set'][name]:.3f}" for name in over_all)
    scores = [
        (name, row["mean"], row["median"], row["worst"], row["worst_photo"]) for name, row in found["summary"].items()
    ]
    blocks = [
        f"{found['model']} on {found['photos']} photos of {found['data']}",
        columns({"photo by photo": "", "mean": ".3f", "median": ".3f", "worst": ".3f", "worst photo": ""}, scores),
        f"strict IoU of at least .95: {found['share_95']:.0%} of the photos\nover all pixels: {pixels}",
    ]
    for condition, classes in found["breakdown"].items():
        heads = {"photos": ",", "strict": ".3f", "openings": ".3f", "boundary": ".3f", "≥ .95": ".0%"}
        names = ("n", "strict_iou", "openings_left_out", "boundary_f", "share_95")
        rows = [(word, *(row[name] for name in names)) for word, row in classes.items()]
        blocks.append(columns({f"by {condition}": "", **heads}, rows))
    return "\n\n".join(blocks)


def quality_table(found: dict[str, Any]) -> str:
    """What a calibration is worth, as `glasseg.evaluation.calibration.calibrate` returns it, as lines."""
    under = f"under {found['good']:g}"
    heads = {"n": ",", under: ",", "AUC": ".3f", "confidence": ".3f", "flagged": ".0%", "caught": ".0%"}
    names = ("n", "bad", "auc", "auc_confidence", "flagged", "caught")
    sets = [(one, *(found[one][name] for name in names)) for one in ("photos", "composites") if one in found]
    blocks = [
        columns({"": "", **heads}, sets),
        f"flagged: quality below {found['review_below']:g}; caught: those of them that are {under}",
    ]
    if found["reliability"]:
        blocks.append(_reliability(found["reliability"], under))
    return "\n\n".join(blocks)


def _reliability(rows: Sequence[dict[str, Any]], under: str) -> str:
    """What was found of masks with a quality from–to: their number, their scores, and the share that is bad."""
    heads = {"quality": "", "photos": ",", "mean": ".3f", "strict IoU": ".3f", under: ".0%"}
    names = ("n", "quality", "strict_iou", "bad")
    return columns(heads, [(f"{row['from']:g} to {row['to']:g}", *(row[name] for name in names)) for row in rows])
