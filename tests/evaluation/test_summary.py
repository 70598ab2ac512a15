"""The figures of a set of photos: spreads over those that have a score, classes with those that are in them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from glasseg.evaluation import metrics
from glasseg.evaluation.conditions import CLASSES
from glasseg.evaluation.summary import BROKEN_DOWN, METRICS, RIM_SCORES, breakdown, summary


def row(name: str, strict_iou: float, *, kind: str = "scene", scale: str = "middling", **scores: Any) -> dict[str, Any]:
    """The scores of one photo, as a judge gives them."""
    classes = {f"{condition}_class": "" for condition in CLASSES} | {"scale_class": scale}
    others = dict.fromkeys((*METRICS, *RIM_SCORES)) | {"alpha_error": 1 - strict_iou}
    return {"name": name, "kind": kind, **classes, **others, "strict_iou": strict_iou, **scores}


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    counts = dict.fromkeys(metrics.COUNTS, 1.0) | {"photos": len(rows)}
    return summary(rows, np.array(list(counts.values())), np.ones((2, metrics.LEVELS), np.int64))


def test_spreads_leave_out_photos_without_the_score_and_name_the_worst() -> None:
    found = summed([row("a", 0.9, openings_left_out=0.5), row("b", 0.6), row("c", 0.99)])
    strict, openings = found["summary"]["strict_iou"], found["summary"]["openings_left_out"]
    assert (strict["mean"], strict["median"]) == (pytest.approx(0.83), 0.9)
    assert (strict["worst"], strict["worst_photo"]) == (0.6, "b")
    assert (openings["mean"], openings["worst_photo"]) == (0.5, "a")
    assert math.isnan(found["summary"]["iou"]["mean"]) and found["summary"]["iou"]["worst_photo"] == ""
    assert found["share_95"] == pytest.approx(1 / 3)


def test_the_worst_error_is_the_largest() -> None:
    assert summed([row("a", 0.9), row("b", 0.6)])["summary"]["alpha_error"]["worst_photo"] == "b"


def test_scores_of_the_rim_are_there_with_composites_only() -> None:
    assert not set(RIM_SCORES) & summed([row("a", 0.9)])["summary"].keys()
    assert set(RIM_SCORES) < summed([row("a", 0.9), row("b", 0.9, rim_error=2.0)])["summary"].keys()


def test_classes_are_in_order_and_only_those_with_photos() -> None:
    small, large = (words for _, words in (CLASSES["scale"][0], CLASSES["scale"][2]))
    photos = [row("a", 0.9, scale=large), row("b", 0.97, scale=small), row("c", 0.95, scale=small)]
    found = breakdown(photos)
    assert list(found) == [*CLASSES] and list(found["scale"]) == [small, large] and found["tilt"] == {}
    assert (found["scale"][small]["n"], found["scale"][small]["share_95"]) == (2, 1.0)
    assert found["scale"][small].keys() == {"n", "share_95", *BROKEN_DOWN}
    assert found["scale"][large]["strict_iou"] == 0.9


def test_composites_are_broken_down_by_what_they_lie_on() -> None:
    found = breakdown([row("n", 0.9, kind="natural"), row("s", 0.8, kind="studio")])
    assert list(found["kind"]) == ["studio", "natural"] and found["kind"]["studio"]["strict_iou"] == 0.8
