"""A `Calibration` of quality fitted on judged photos, and how good it is on photos that it was not fitted on.

Photos and composites have the same total weight, however many there are of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from glasseg.labels.pairs import Kind
from glasseg.model.quality import FEATURES, Calibration, expected, standardised

LEAST: Final = 40
"""The fewest judged photos from which a calibration is fitted."""
GOOD: Final = 0.9
"""Strict IoU below which a person should look."""
CAUGHT: Final = 0.8
"""Share of the masks below `GOOD` that the review line is drawn to catch."""
EDGES: Final = (0.0, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Edges of the classes of a reliability table."""
FOLDS: Final = 10
_RIDGE: Final = 3.0
_STEPS: Final = 50


@dataclass(frozen=True)
class Evidence:
    """Masks that were judged, n rows."""

    features: np.ndarray
    """n×features float64, as `quality.features` measures them."""
    truth: np.ndarray
    """Their strict IoU, n float64 in [0, 1]."""
    confidence: np.ndarray
    """n float64 in [0, 1]: the baseline that a calibration has to beat."""
    real: np.ndarray
    """n bool: real photos, not composites."""
    groups: np.ndarray
    """n strings: rows of one group are never on both sides of a fold."""

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]]) -> Evidence:
        """From a judge's rows, those of masks in which something was found."""
        found = [row for row in rows if row["features"] is not None]
        return cls(
            np.array([row["features"] for row in found], np.float64).reshape(len(found), len(FEATURES)),
            np.array([row["strict_iou"] for row in found], np.float64),
            np.array([row["confidence"] for row in found], np.float64),
            np.array([row["kind"] == Kind.SCENE for row in found], bool),
            np.array([row["group"] for row in found], np.str_),
        )

    @property
    def enough(self) -> bool:
        """Whether there is enough to fit a calibration and to cross-validate it."""
        return len(self.truth) >= LEAST and len(np.unique(self.groups)) > 1

    @property
    def weights(self) -> np.ndarray:
        """n float64 with a mean of 1; where there are photos and composites, both have the same sum."""
        share = float(self.real.mean())
        return np.where(self.real, 0.5 / share, 0.5 / (1 - share)) if 0 < share < 1 else np.ones(len(self.real))


def calibrate(evidence: Evidence) -> tuple[Calibration, dict[str, Any]]:
    """A calibration fitted on all of `evidence`, and its expected performance, as `model.json` records it.

    Raises ValueError if there is not `enough`.
    """
    if not evidence.enough:
        raise ValueError(f"a calibration needs {LEAST} judged photos from two groups or more")
    predicted = cross_fit(evidence)
    line = review_line(predicted, evidence.truth, evidence.weights)
    return fit(evidence.features, evidence.truth, evidence.weights, line), _performance(evidence, predicted, line)


def fit(signs: np.ndarray, truth: np.ndarray, weights: np.ndarray, review_below: float) -> Calibration:
    """The calibration that fits n masks best: `signs` n×features, `truth` their strict IoU, `weights` n, mean 1.

    A ridge-regularised logistic regression of a share (L. E. Papke, J. M. Wooldridge, "Econometric Methods for
    Fractional Response Variables", 1996). A sign of a bad mask never raises the quality: one that would, given the
    others, is left out.
    """
    means = np.average(signs, axis=0, weights=weights)
    scales = np.sqrt(np.average(np.square(signs - means), axis=0, weights=weights)) + 1e-6
    standard = standardised(signs, means, scales)
    kept = list(range(signs.shape[1]))
    while True:
        intercept, *found = _regression(standard[:, kept], truth, weights)
        if not found or max(found) <= 0:
            break
        del kept[int(np.argmax(found))]
    return Calibration(
        features=tuple(FEATURES[i] for i in kept),
        means=tuple(means[kept].tolist()),
        scales=tuple(scales[kept].tolist()),
        weights=tuple(float(weight) for weight in found),
        intercept=float(intercept),
        review_below=review_below,
    )


def _regression(standard: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Intercept and weights, 1 + features, by iteratively reweighted least squares."""
    design = np.column_stack([np.ones(len(standard)), standard])
    ridge = np.diag([1e-6, *[_RIDGE] * standard.shape[1]])
    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        mean = expected(standard, found[1:], float(found[0]))
        slope = design.T @ (weights * (truth - mean)) - ridge @ found
        curve = (design.T * (weights * mean * (1 - mean))) @ design + ridge
        step = np.linalg.solve(curve, slope)
        found += step
        if np.abs(step).max() < 1e-9:
            break
    return found


def cross_fit(evidence: Evidence, folds: int = FOLDS) -> np.ndarray:
    """The quality of each of n masks by a calibration that has not seen its group, n float64 in [0, 1].

    Raises ValueError for fewer than two groups.
    """
    names = np.unique(evidence.groups)
    if len(names) < 2:
        raise ValueError("a cross-fit needs two groups or more")
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % folds, strict=True))
    fold = np.array([fold_of[name] for name in evidence.groups])
    predicted = np.empty(len(fold))
    for one in np.unique(fold):
        unseen = fold == one
        calibration = fit(evidence.features[~unseen], evidence.truth[~unseen], evidence.weights[~unseen], 0.0)
        predicted[unseen] = [calibration.predict(vector) for vector in evidence.features[unseen]]
    return predicted


def review_line(predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """The lowest quality, in thousandths, below which at least `CAUGHT` of the bad masks fall, by weight.

    A mask is bad below `GOOD`; without bad masks the line is `GOOD` itself.
    """
    bad = truth < GOOD
    if not bad.any():
        return GOOD
    order = np.argsort(predicted[bad])
    shares = np.cumsum(weights[bad][order]) / weights[bad].sum()
    caught = predicted[bad][order][np.searchsorted(shares, CAUGHT - 1e-9)]
    return min(1.0, (int(caught * 1000) + 1) / 1000)


def auc(scores: np.ndarray, bad: np.ndarray) -> float | None:
    """How often a bad mask (n bool) has a lower score than a good one, [0, 1]; ties count half. None without both."""
    lower, higher = scores[bad][:, None], scores[~bad]
    return float(((lower < higher) + 0.5 * (lower == higher)).mean()) if lower.size and higher.size else None


def reliability(predicted: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    """For each class of `EDGES` with masks: its ends, their number, mean quality and strict IoU, share below `GOOD`."""
    which = np.clip(np.searchsorted(EDGES, predicted, side="right") - 1, 0, len(EDGES) - 2)
    return [
        {
            "from": EDGES[i],
            "to": EDGES[i + 1],
            "n": int(np.count_nonzero(which == i)),
            "quality": float(predicted[which == i].mean()),
            "strict_iou": float(truth[which == i].mean()),
            "bad": float((truth[which == i] < GOOD).mean()),
        }
        for i in np.unique(which)
    ]


def _performance(evidence: Evidence, predicted: np.ndarray, line: float) -> dict[str, Any]:
    """What a cross-fit shows: for photos and composites, how well quality ranks them and how many are flagged below
    `line`; for photos also how reliable it is."""
    found: dict[str, Any] = {"review_below": line, "good": GOOD}
    for name, kind in (("photos", evidence.real), ("composites", ~evidence.real)):
        if kind.any():
            bad, quality = evidence.truth[kind] < GOOD, predicted[kind]
            found[name] = {
                "n": int(kind.sum()),
                "bad": int(bad.sum()),
                "auc": auc(quality, bad),
                "auc_confidence": auc(evidence.confidence[kind], bad),
                "flagged": float((quality < line).mean()),
                "caught": float((quality[bad] < line).mean()) if bad.any() else None,
            }
    return {**found, "reliability": reliability(predicted[evidence.real], evidence.truth[evidence.real])}
